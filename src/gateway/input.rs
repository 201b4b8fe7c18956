//! What goes from a channel into a command or a connection, at the speed of the slower.

use std::future::pending;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::queue::{Limits, Queue};

/// The queue and where it leads.
pub struct Input {
    queue: Queue,
    sink: Option<Box<dyn AsyncWrite + Unpin + Send>>,
    ended: bool,
}

impl Input {
    /// Leads nowhere yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { queue: Queue::new(directory, Limits::default()), sink: None, ended: false }
    }

    /// From now on it is passed on there.
    pub fn lead_to(&mut self, sink: impl AsyncWrite + Unpin + Send + 'static) {
        self.sink = Some(Box::new(sink));
    }

    /// Whether there is still somebody who reads.
    pub fn is_open(&self) -> bool {
        self.sink.is_some()
    }

    /// Whether more may be taken from the channel.
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Takes what came from the channel.
    ///
    /// # Errors
    /// When the disk is full.
    pub async fn take(&mut self, data: Bytes) -> io::Result<()> {
        if self.ended || data.is_empty() {
            return Ok(());
        }
        self.queue.push(data).await
    }

    /// The client sends no more.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Nobody reads any more: what waits is dropped, and what comes.
    pub fn close(&mut self) {
        self.sink = None;
        self.ended = true;
        self.queue.clear();
    }

    /// Passes a part on; waits while there is nothing to do. May be cancelled.
    pub async fn pass_on(&mut self) {
        let Some(sink) = &mut self.sink else { return pending().await };
        let passed = match self.queue.front().await {
            Ok(Some(front)) => sink.write(front).await.map(Some),
            Ok(None) if self.ended => sink.shutdown().await.map(|()| None),
            Ok(None) => return pending().await,
            Err(error) => Err(error),
        };
        match passed {
            Ok(Some(count @ 1..)) => self.queue.advance(count),
            // Ended, or the reader has closed its side, as `head` does.
            _ => self.close(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_slow_reader_gets_everything_and_then_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let mut input = Input::new(directory.path().to_owned());
        for _ in 0..100 {
            assert!(input.has_room());
            input.take(Bytes::from(vec![7; 32_768])).await.unwrap();
        }
        input.end();
        let (sink, mut reader) = tokio::io::duplex(1000);
        input.lead_to(sink);
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).await.unwrap();
            all
        });
        while input.sink.is_some() {
            // Interrupted again and again, as in the loop of a channel.
            let _ = tokio::time::timeout(Duration::from_micros(50), input.pass_on()).await;
        }
        let all = reading.await.unwrap();
        assert!(all.len() == 3_276_800 && all.iter().all(|byte| *byte == 7));
    }

    #[tokio::test]
    async fn a_reader_that_goes_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let mut input = Input::new(directory.path().to_owned());
        let (sink, reader) = tokio::io::duplex(10);
        drop(reader);
        input.lead_to(sink);
        input.take(Bytes::from_static(b"x")).await.unwrap();
        input.pass_on().await;
        assert!(input.sink.is_none());
        input.take(Bytes::from_static(b"y")).await.unwrap();
        let idle = tokio::time::timeout(Duration::from_millis(20), input.pass_on()).await;
        assert!(idle.is_err());
    }
}
