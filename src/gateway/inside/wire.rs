//! What goes between the gateway and the process that enters a container: messages on a socket that
//! keeps their borders and carries descriptors. Nothing is ever in argv.
//!
//! The gateway sends one request (a file in memory, and the command's standard streams), then one
//! byte for each signal that the command shall get. It gets one reply. Closing the socket hangs up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Seek, SeekFrom};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};

use super::super::terminal::Terminal;
use crate::error::Error;

/// Descriptors in one message: the request and three streams.
const MAX_DESCRIPTORS: usize = 4;
/// Longer replies are cut; only messages of errors are anywhere near.
const MAX_REPLY: usize = 16 << 10;

/// What shall happen in a container.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The container's full name.
    pub container: String,
    /// liblxc's log file.
    pub log: PathBuf,
    /// Environment beside what belongs to the container's root.
    pub environment: BTreeMap<String, String>,
    /// What shall run.
    pub job: Job,
    /// Whether it runs on a terminal of the container's.
    pub terminal: Option<Terminal>,
    /// How many files it may have open: the gateway raised its own limit.
    pub open_files: Option<u64>,
}

/// What shall run in a container.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// A login shell.
    Shell,
    /// A command line for the shell; bytes, since no client promises an encoding.
    Command(Vec<u8>),
    /// The container's own SFTP server.
    Files,
    /// A connection, handed back as a socket.
    Connect(Destination),
}

/// Where a connection shall lead, as seen from the container.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// TCP.
    Port {
        /// As the client wrote it.
        host: String,
        /// The port.
        port: u16,
        /// Where the container's daemons may listen when the client means the container itself.
        own: Vec<Ipv4Addr>,
    },
    /// A socket in the container's file system.
    Path(String),
}

/// What came of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It runs; with a terminal, its master comes along.
    Started,
    /// The connection stands; its socket comes along.
    Connected,
    /// In words for the user.
    Failed(String),
}

impl From<&Error> for Reply {
    fn from(error: &Error) -> Self {
        let hints: String = error.hints.iter().map(|hint| format!(" {hint}")).collect();
        Self::Failed(format!("{error}.{hints}"))
    }
}

/// The two ends of the socket: the gateway's, which never blocks, and the other's.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// Sends the request and the command's standard streams: none or three.
pub fn send_request(
    control: impl AsFd,
    request: &Request,
    streams: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let memory = rustix::fs::memfd_create(c"request", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut memory = File::from(memory);
    serde_json::to_writer(&memory, request)?;
    memory.seek(SeekFrom::Start(0))?;
    let mut descriptors = vec![memory.as_fd()];
    descriptors.extend(streams);
    send(control, b"r", &descriptors)
}

/// Receives the request and the streams.
pub fn receive_request(control: impl AsFd) -> io::Result<(Request, Vec<OwnedFd>)> {
    let (_, mut descriptors) = receive(control, 1)?;
    if descriptors.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let request = File::from(descriptors.remove(0));
    let request = serde_json::from_reader(io::BufReader::new(request))?;
    Ok((request, descriptors))
}

/// Sends the reply.
pub fn send_reply(
    control: impl AsFd,
    reply: &Reply,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    if text.len() > MAX_REPLY {
        text = serde_json::to_vec(&Reply::Failed("the reason is too long to be told".to_owned()))?;
    }
    send(control, &text, descriptor.as_slice())
}

/// Receives the reply; `None` when the other side ended without one.
pub fn receive_reply(control: impl AsFd) -> io::Result<Option<(Reply, Option<OwnedFd>)>> {
    let (text, mut descriptors) = receive(control, MAX_REPLY)?;
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&text)?, descriptors.pop())))
}

/// Asks for a signal.
pub fn send_signal(control: impl AsFd, number: u8) -> io::Result<()> {
    send(control, &[number], &[])
}

/// The signal that was asked for; `None` when the gateway hung up.
pub fn receive_signal(control: impl AsFd) -> io::Result<Option<u8>> {
    Ok(receive(control, 1)?.0.first().copied())
}

fn send(control: impl AsFd, text: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    let text = [IoSlice::new(text)];
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&control, &text, &mut ancillary, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

fn receive(control: impl AsFd, length: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut text = vec![0; length];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut text)];
        rustix::net::recvmsg(&control, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    text.truncate(received.bytes);
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((text, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn request() -> Request {
        Request {
            container: "x".to_owned(),
            log: "/log".into(),
            environment: BTreeMap::from([("A".to_owned(), "b".repeat(300_000))]),
            job: Job::Command(vec![0xff, b'l', b's']),
            terminal: None,
            open_files: None,
        }
    }

    #[test]
    fn a_request_of_any_size_arrives_with_its_streams() {
        let (ours, theirs) = pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let streams = [reader.as_fd(), writer.as_fd(), writer.as_fd()];
        send_request(&ours, &request(), &streams).unwrap();
        let (received, streams) = receive_request(&theirs).unwrap();
        assert_eq!(received, request());
        drop(writer);
        let mut streams = streams.into_iter().map(File::from);
        let mut reader = streams.next().unwrap();
        for mut writer in streams {
            writer.write_all(b"x").unwrap();
        }
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "xx");
    }

    #[test]
    fn a_reply_a_signal_and_the_end_are_told_apart() {
        let (ours, theirs) = pair().unwrap();
        let waiting = receive_reply(&ours).unwrap_err();
        assert_eq!(waiting.kind(), io::ErrorKind::WouldBlock);
        send_reply(&theirs, &Reply::Started, Some(theirs.as_fd())).unwrap();
        let (reply, descriptor) = receive_reply(&ours).unwrap().unwrap();
        assert!(reply == Reply::Started && descriptor.is_some());
        send_signal(&ours, 15).unwrap();
        assert_eq!(receive_signal(&theirs).unwrap(), Some(15));
        drop(ours);
        assert_eq!(receive_signal(&theirs).unwrap(), None);
    }

    #[test]
    fn an_error_is_told_with_what_to_do() {
        let error = Error::failed("attach to `x`").because("it is not running").hint("Start it.");
        let expected = "attach to `x`: it is not running. Start it.";
        assert_eq!(Reply::from(&error), Reply::Failed(expected.to_owned()));
    }
}
