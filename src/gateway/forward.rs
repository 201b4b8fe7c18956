//! A forwarding channel: a connection from inside the container, carried both ways.

use std::sync::Arc;
use std::time::Instant;

use russh::server::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure};
use std::os::fd::OwnedFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::client::Client;
use super::input::Input;
use super::inside::wire::{Destination, Job, Request};
use super::process::Process;
use crate::error::{Error, Result, ResultExt};

/// Connects and serves the channel to its end.
pub async fn serve(
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
    handle: Handle,
    client: Arc<Client>,
    destination: Destination,
) {
    let what = match &destination {
        Destination::Port { host, port, .. } => format!("forwarding to {host}:{port}"),
        Destination::Path(path) => format!("forwarding to {path}"),
    };
    let begun = Instant::now();
    match connect(&client, destination).await {
        Ok((source, sink)) => {
            client.log(&format!("started: {what}"));
            reply.accept().await;
            carry(channel, &handle, &client, source, sink).await;
            let seconds = begun.elapsed().as_secs_f64();
            client.log(&format!("ended after {seconds:.1} s: {what}"));
        }
        Err(error) => {
            client.log(&format!("not started: {what}: {error}"));
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        }
    }
}

type Source = Box<dyn AsyncRead + Unpin + Send>;
type Sink = Box<dyn AsyncWrite + Unpin + Send>;

async fn connect(client: &Client, destination: Destination) -> Result<(Source, Sink)> {
    let is_path = matches!(destination, Destination::Path(_));
    let request = client.request(Job::Connect(destination), Default::default(), None);
    if is_path {
        let stream = UnixStream::from_std(socket(&request).await?.into());
        let (source, sink) = stream.doing(taking_over)?.into_split();
        return Ok((Box::new(source), Box::new(sink)));
    }
    let (source, sink) = tcp(&request).await?.into_split();
    Ok((Box::new(source), Box::new(sink)))
}

fn taking_over() -> String {
    "take over a connection".to_owned()
}

/// A TCP connection from inside a container.
///
/// # Errors
/// When nobody answers there, or the container does not run.
pub async fn tcp(request: &Request) -> Result<TcpStream> {
    let stream = TcpStream::from_std(socket(request).await?.into()).doing(taking_over)?;
    // Debuggers and APIs talk in small messages.
    stream.set_nodelay(true).doing(taking_over)?;
    Ok(stream)
}

async fn socket(request: &Request) -> Result<OwnedFd> {
    let mut process = Process::spawn(request, &[])?;
    let socket = process.started().await?;
    let socket =
        socket.ok_or_else(|| Error::failed(taking_over()).because("no socket came along"))?;
    process.ended().await;
    rustix::io::ioctl_fionbio(&socket, true).doing(taking_over)?;
    Ok(socket)
}

async fn carry(
    channel: Channel<Msg>,
    handle: &Handle,
    client: &Client,
    mut source: Source,
    sink: Sink,
) {
    let (mut reader, writer) = channel.split();
    let mut input = Input::new(client.spool_dir());
    input.lead_to(sink);
    let mut to_client = writer.make_writer();
    let id = writer.id();
    let output = async {
        let mut buffer = vec![0; 32 << 10];
        loop {
            let length = source.read(&mut buffer).await.unwrap_or(0);
            if length == 0 {
                // The other direction may go on.
                return handle.eof(id).await.is_ok();
            }
            if to_client.write_all(&buffer[..length]).await.is_err() {
                return false;
            }
        }
    };
    tokio::pin!(output);
    let (mut source_open, mut client_open) = (true, true);
    while source_open || client_open || input.is_open() {
        tokio::select! {
            message = reader.wait(), if input.has_room() => match message {
                Some(ChannelMsg::Data { data }) => {
                    if input.take(data).await.is_err() {
                        break;
                    }
                }
                Some(ChannelMsg::Eof) => {
                    client_open = false;
                    input.end();
                }
                Some(ChannelMsg::Close) | None => return,
                Some(_) => {}
            },
            () = input.pass_on() => client_open &= input.is_open(),
            alive = &mut output, if source_open => {
                source_open = false;
                if !alive {
                    break;
                }
            }
        }
    }
    let _ = handle.close(id).await;
}
