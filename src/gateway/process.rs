//! The gateway's side of a process in a container ([`super::inside`]).

use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};

use super::inside::wire::{self, Reply, Request};
use super::inside::{COMMAND, NOT_STARTED};
use crate::error::{Error, Result, ResultExt};
use crate::lxc::process::own;

/// A connection to an address that does not answer takes ten seconds; the rest takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(45);

/// A process in a container. Dropping it hangs up: what runs there is ended.
pub struct Process {
    /// The library knows no sockets that keep the borders of messages and have an end; only that it
    /// can be waited for is used of this type.
    control: UnixDatagram,
    child: Child,
}

impl Process {
    /// Starts it; the streams are the command's own, none or three.
    ///
    /// # Errors
    /// When this host gives no process.
    pub fn spawn(request: &Request, streams: &[BorrowedFd<'_>]) -> Result<Self> {
        let doing = || format!("start a process for container `{}`", request.container);
        let (ours, theirs) = wire::pair().doing(doing)?;
        wire::send_request(&ours, request, streams).doing(doing)?;
        // The container's root can read the memory of what runs there: nothing of the host's.
        let child = Command::from(own(COMMAND))
            .arg(&request.container)
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // Of its own, so that Ctrl-C reaches the gateway alone, which decides.
            .process_group(0)
            .spawn()
            .doing(doing)?;
        let control = UnixDatagram::from_std(StdUnixDatagram::from(ours)).doing(doing)?;
        Ok(Self { control, child })
    }

    /// Waits until it runs, or the connection stands. The descriptor that came along.
    ///
    /// # Errors
    /// When it cannot be done; the text is for the user.
    pub async fn started(&self) -> Result<Option<OwnedFd>> {
        let doing = || "enter the container".to_owned();
        let reply =
            self.control.async_io(Interest::READABLE, || wire::receive_reply(&self.control));
        match tokio::time::timeout(PATIENCE, reply).await {
            Ok(Ok(Some((Reply::Started | Reply::Connected, descriptor)))) => Ok(descriptor),
            Ok(Ok(Some((Reply::Failed(message), _)))) => Err(Error::failed(message)),
            Ok(Ok(None)) => {
                Err(Error::failed(doing()).because("the process ended without an answer"))
            }
            Ok(Err(error)) => Err(error).doing(doing),
            Err(_) => Err(Error::failed(doing())
                .because(format!("nothing happened for {} s", PATIENCE.as_secs()))),
        }
    }

    /// Passes a signal on to the command's process group.
    pub fn signal(&self, number: u8) {
        // When it has ended there is nobody to tell.
        let _ = wire::send_signal(&self.control, number);
    }

    /// Waits for its end: the command's exit status, or 128 + n when signal n killed it. May be
    /// cancelled.
    pub async fn ended(&mut self) -> u32 {
        self.child.wait().await.map_or(u32::from(NOT_STARTED), status_of)
    }

    /// The client is gone: ends what runs, and waits for that.
    pub async fn hang_up(self) -> u32 {
        let Self { control, mut child } = self;
        drop(control);
        child.wait().await.map_or(u32::from(NOT_STARTED), status_of)
    }
}

fn status_of(status: ExitStatus) -> u32 {
    // Killed by a signal itself: what became of the command is not known.
    status.code().and_then(|code| u32::try_from(code).ok()).unwrap_or(u32::from(NOT_STARTED))
}
