//! What goes between `aio` and its helper: one JSON request and one JSON reply, each after its
//! length in decimal and a newline, over the socket that is the helper's standard input. After the
//! request come the bytes of the command's own standard input. Nothing is ever in argv.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::files::FileRequest;
use super::prepare::Preparation;
use super::publication::Place;
use crate::error::{Error, ErrorKind};
use crate::model::publication::Publication;

/// What the helper is asked to do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Starts a container as a daemon.
    Start {
        /// Full name.
        name: String,
        /// liblxc's log file.
        log: PathBuf,
    },
    /// Stops a container: asks its init and waits that long, then kills; 0 kills at once.
    Stop {
        /// Full name.
        name: String,
        /// liblxc's log file.
        log: PathBuf,
        /// How long init may take.
        orderly_secs: u32,
    },
    /// Runs a command in a running container.
    Run {
        /// Full name.
        name: String,
        /// liblxc's log file.
        log: PathBuf,
        /// Program and arguments.
        argv: Vec<String>,
        /// The whole environment.
        environment: BTreeMap<String, String>,
        /// How many bytes of standard input follow the request.
        stdin_length: u64,
        /// How long it may take to clean up when nobody waits for it any more.
        grace_secs: u32,
    },
    /// Writes files in a running container.
    WriteFiles {
        /// Full name.
        name: String,
        /// liblxc's log file.
        log: PathBuf,
        /// The files.
        files: Vec<FileRequest>,
    },
    /// Changes the root of a stopped container.
    Prepare(Preparation),
    /// Makes directories and files of the host appear in a running container.
    Publish {
        /// Where.
        place: Place,
        /// What.
        publication: Publication,
    },
}

/// What the helper answers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done; the exit status of the command, 0 when there was none.
    Done(i32),
    /// It could not be done.
    Failed {
        /// Whether the reason is that the container is not there or does not run.
        not_found: bool,
        /// What was being done.
        message: String,
        /// Why, outermost first.
        causes: Vec<String>,
        /// What to try next.
        hints: Vec<String>,
    },
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        let not_found = error.kind == ErrorKind::NotFound;
        let Error { message, causes, hints, .. } = error;
        Self::Failed { not_found, message, causes, hints }
    }
}

/// A value as it goes over the socket.
pub fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(value)?;
    let mut frame = format!("{}\n", text.len()).into_bytes();
    frame.extend(text);
    Ok(frame)
}

/// Writes a value.
pub fn send(mut writer: impl Write, value: &impl Serialize) -> io::Result<()> {
    writer.write_all(&encode(value)?)
}

/// The longest value: a dump that is written into a container as a file, in JSON.
const LARGEST_FRAME_BYTES: usize = 1 << 30;

/// Reads a value and not one byte more.
pub fn receive<T: DeserializeOwned>(mut reader: impl Read) -> io::Result<T> {
    let mut length: usize = 0;
    loop {
        let mut byte = [0_u8];
        reader.read_exact(&mut byte)?;
        match byte[0] {
            digit @ b'0'..=b'9' if length < LARGEST_FRAME_BYTES => {
                length = length * 10 + usize::from(digit - b'0');
            }
            b'\n' => break,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    if length > LARGEST_FRAME_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // Only as much memory as there is text, whatever length was said.
    let mut text = Vec::new();
    reader.by_ref().take(length as u64).read_to_end(&mut text)?;
    if text.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_whole_and_what_follows_is_left() {
        let request = Request::Start { name: "x".into(), log: "/l".into() };
        let mut bytes = encode(&request).unwrap();
        bytes.extend(b"rest");
        let mut reader = bytes.as_slice();
        let read: Request = receive(&mut reader).unwrap();
        assert!(matches!(read, Request::Start { name, .. } if name == "x"));
        assert_eq!(reader, b"rest");
    }

    #[test]
    fn a_torn_or_strange_frame_is_an_error() {
        assert!(receive::<Reply>(&b"12\n{"[..]).is_err());
        assert!(receive::<Reply>(&b"1073741823\n{"[..]).is_err());
        assert!(receive::<Reply>(&b"9999999999\n{"[..]).is_err());
        assert!(receive::<Reply>(&b"GET / HTTP"[..]).is_err());
        assert!(receive::<Reply>(&b""[..]).is_err());
    }
}
