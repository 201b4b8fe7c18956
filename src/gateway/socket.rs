//! A client's connection, without the pauses that two careful ends make together.
//!
//! Most clients wait with a small message until the last one is acknowledged, and the kernel waits
//! with an acknowledgement for something to send along, up to 40 ms: twice for every command. So
//! what is read here is acknowledged at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection that waits with nothing.
pub struct Prompt(TcpStream);

impl Prompt {
    /// From an accepted connection.
    pub fn new(stream: TcpStream) -> Self {
        // Slower without, and that is all.
        let _ = stream.set_nodelay(true);
        Self(stream)
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        // The kernel forgets it soon.
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.0, true);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_client_that_waits_for_acknowledgements_is_not_held_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut server = Prompt::new(listener.accept().await.unwrap().0);
        let serving = tokio::spawn(async move {
            // Answers every second message, as a server of requests in two parts does.
            let mut message = [0; 2];
            while server.read_exact(&mut message).await.is_ok() {
                server.write_all(b"x").await.unwrap();
            }
        });
        let begun = Instant::now();
        for _ in 0..50 {
            client.write_all(b"a").await.unwrap();
            client.write_all(b"b").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
        }
        // Fifty pauses of 40 ms would be two seconds.
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        drop(client);
        serving.await.unwrap();
    }
}
