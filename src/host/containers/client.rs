//! Calls to the helper process ([`crate::lxc::helper`]).

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{Heard, Listen, Stream};
use crate::lxc::process;
use crate::lxc::protocol::{Reply, Request, encode};
use crate::lxc::syscall::in_own_session;
use crate::model::command::Output;

/// After the command has ended, a daemon that it left may hold the pipes open for ever.
const DRAIN: Duration = Duration::from_millis(300);
/// The helper ends a cancelled command within two seconds; later it is stuck itself.
const PATIENCE: Duration = Duration::from_secs(4);

/// Runs one request to its end. When the future is dropped or `timeout` passes, whatever the helper
/// started is killed.
pub(super) async fn call(
    binary: &Path,
    request: &Request,
    stdin: &[u8],
    timeout: Option<Duration>,
    largest_output_bytes: u64,
) -> Result<Output> {
    let (helper, control) = Helper::spawn(binary)?;
    let talked = async {
        match timeout {
            None => talk(control, request, stdin, std::future::pending()).await,
            Some(limit) => {
                let talk = talk(control, request, stdin, std::future::pending());
                let talked = tokio::time::timeout(limit, talk).await;
                talked.unwrap_or_else(|_| Err(timed_out(limit)))
            }
        }
    };
    exchange(helper, talked, None, largest_output_bytes).await
}

/// As [`call`], with each line told as it comes. A command that is told to end is waited for.
pub(super) async fn follow(
    binary: &Path,
    request: &Request,
    stdin: &[u8],
    timeout: Option<Duration>,
    listen: &Listen,
    largest_output_bytes: u64,
) -> Result<Output> {
    let (helper, control) = Helper::spawn(binary)?;
    let talked = talk(control, request, stdin, told_to_end(listen, timeout));
    exchange(helper, talked, Some(&listen.heard), largest_output_bytes).await
}

/// Why a command has to end now.
async fn told_to_end(listen: &Listen, timeout: Option<Duration>) -> Error {
    let limit = async {
        match timeout {
            Some(limit) => {
                tokio::time::sleep(limit).await;
                timed_out(limit)
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = listen.cancel.cancelled() => {
            Error::new(ErrorKind::Interrupted, "wait for a command").because("interrupted")
        }
        error = limit => error,
    }
}

/// Collects what the helper's command prints while `talked` runs.
async fn exchange(
    mut helper: Helper,
    talked: impl Future<Output = Result<Reply>>,
    heard: Option<&Heard>,
    largest_output_bytes: u64,
) -> Result<Output> {
    let (stdout, stderr) = helper.pipes();
    let lines = |stream| heard.map(|heard| Lines::new(stream, Arc::clone(heard)));
    let room = Room::new(largest_output_bytes);
    let stdout = Drain::start(stdout, lines(Stream::Out), &room);
    let stderr = Drain::start(stderr, lines(Stream::Err), &room);
    let replied = tokio::select! {
        reply = talked => Some(reply),
        // The connection is closed with this: the helper ends the command.
        () = room.exhausted.cancelled() => None,
    };
    let (stdout, stderr) = tokio::join!(stdout.finish(), stderr.finish());
    // It may have ended by itself, because nobody read on: what is there is not what it printed.
    let reply = replied.filter(|_| !room.exhausted.is_cancelled()).unwrap_or_else(|| {
        Err(Error::failed("wait for a command").because(format!(
            "it printed more than {} MiB, and was ended",
            largest_output_bytes >> 20
        )))
    });
    if reply.is_ok() {
        helper.ended().await;
    }
    match reply {
        Ok(Reply::Done(status)) => Ok(Output { status, stdout, stderr }),
        Ok(Reply::Failed { not_found, message, causes, hints }) => {
            let kind = if not_found { ErrorKind::NotFound } else { ErrorKind::Failed };
            Err(Error { kind, message, causes, hints, output: text_of(&stderr) })
        }
        Err(mut error) => {
            error.output = text_of(&[stdout, stderr].concat());
            Err(error)
        }
    }
}

fn timed_out(limit: Duration) -> Error {
    Error::failed("wait for a command").because(format!("it took more than {} s", limit.as_secs()))
}

/// How much of the end of an output an error keeps.
const ERROR_OUTPUT_BYTES: usize = 64 << 10;

fn text_of(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(ERROR_OUTPUT_BYTES)..]);
    (!text.trim().is_empty()).then(|| text.trim_end().to_owned())
}

/// Sends the request, returns the reply. Closing the socket (by dropping it) cancels. When `end` says
/// why, the command is asked to end and waited for.
async fn talk(
    mut control: UnixStream,
    request: &Request,
    stdin: &[u8],
    end: impl Future<Output = Error>,
) -> Result<Reply> {
    let doing = || "talk to the helper process".to_owned();
    let frame = encode(request).doing(doing)?;
    control.write_all(&frame).await.doing(doing)?;
    control.write_all(stdin).await.doing(doing)?;
    let mut answer = Vec::new();
    let why = tokio::select! {
        biased;
        read = control.read_to_end(&mut answer) => {
            read.doing(doing)?;
            return crate::lxc::protocol::receive(answer.as_slice()).map_err(|_| {
                Error::failed("talk to the helper process").because("it ended without an answer")
            });
        }
        why = end => why,
    };
    // One half closed tells the helper; the other is closed when it ends, after the command.
    let _ = control.shutdown().await;
    let _ = control.read_to_end(&mut answer).await;
    Err(why)
}

/// The helper process; whoever drops it before it ended has it watched to its end.
struct Helper {
    child: Option<Child>,
}

impl Helper {
    fn spawn(binary: &Path) -> Result<(Self, UnixStream)> {
        let doing = || format!("start the helper `{} __helper`", binary.display());
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().doing(doing)?;
        ours.set_nonblocking(true).doing(doing)?;
        let ours = UnixStream::from_std(ours).doing(doing)?;
        let mut command = Command::from(process::inheriting(binary));
        command.arg("__helper").stdin(OwnedFd::from(theirs));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C reaches `aio` alone, which decides; and LXC binds the host's `/dev/tty`, which must
        // be the caller's nowhere near a container.
        in_own_session(command.as_std_mut());
        let child = command.spawn().doing(doing)?;
        Ok((Self { child: Some(child) }, ours))
    }

    fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        let take = |child: &mut Child| (child.stdout.take(), child.stderr.take());
        self.child.as_mut().map(take).unwrap_or_default()
    }

    /// After its answer it has nothing left to do but end.
    async fn ended(mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait().await;
        }
    }
}

impl Drop for Helper {
    /// The socket is closed by now: the helper ends by itself, soon. Should it be stuck, its group
    /// is killed. A runtime that ends takes this watch with it, and closed the socket before.
    fn drop(&mut self) {
        let (Some(mut child), Ok(runtime)) =
            (self.child.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            let id = child.id().and_then(|id| i32::try_from(id).ok());
            let stuck = tokio::time::timeout(PATIENCE, child.wait()).await.is_err();
            if let (true, Some(group)) = (stuck, id.and_then(Pid::from_raw)) {
                // It may have ended this very moment; then there is nothing to kill.
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
        });
    }
}

/// How much a command may still print, on both streams together.
#[derive(Clone)]
struct Room {
    left: Arc<AtomicU64>,
    exhausted: CancellationToken,
}

impl Room {
    fn new(bytes: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(bytes)), exhausted: CancellationToken::new() }
    }

    /// Whether there is room for so much more.
    fn take(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let take = |left: u64| left.checked_sub(bytes);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if !taken {
            self.exhausted.cancel();
        }
        taken
    }
}

/// Collects what comes out of a pipe, even when it is never closed.
struct Drain {
    collected: Arc<Mutex<Vec<u8>>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drain {
    fn start(
        pipe: Option<impl AsyncRead + Unpin + Send + 'static>,
        mut lines: Option<Lines>,
        room: &Room,
    ) -> Self {
        let room = room.clone();
        let collected = Arc::new(Mutex::new(Vec::new()));
        let task = pipe.map(|mut pipe| {
            let collected = Arc::clone(&collected);
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 << 10];
                while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
                    let read = &buffer[..length];
                    if !room.take(length) {
                        return;
                    }
                    if let Some(lines) = &mut lines {
                        lines.add(read);
                    }
                    let mut all = collected.lock().unwrap_or_else(PoisonError::into_inner);
                    all.extend_from_slice(read);
                }
                if let Some(lines) = lines {
                    lines.end();
                }
            })
        });
        Self { collected, task }
    }

    async fn finish(mut self) -> Vec<u8> {
        if let Some(task) = &mut self.task {
            let _ = tokio::time::timeout(DRAIN, task).await;
        }
        std::mem::take(&mut *self.collected.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Cuts what comes out of a pipe into lines.
struct Lines {
    stream: Stream,
    heard: Heard,
    /// A line whose end has not come yet.
    begun: Vec<u8>,
}

impl Lines {
    fn new(stream: Stream, heard: Heard) -> Self {
        Self { stream, heard, begun: Vec::new() }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while let Some(length) = bytes.iter().position(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(&bytes[..length]);
            bytes = &bytes[length + 1..];
            self.tell();
        }
        self.begun.extend_from_slice(bytes);
    }

    fn end(mut self) {
        if !self.begun.is_empty() {
            self.tell();
        }
    }

    fn tell(&mut self) {
        (self.heard)(self.stream, &String::from_utf8_lossy(&self.begun));
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_whole_however_they_come() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let told_to = Arc::clone(&told);
        let heard: Heard =
            Arc::new(move |stream, line| told_to.lock().unwrap().push((stream, line.to_owned())));
        let mut lines = Lines::new(Stream::Out, heard);
        for bytes in [&b"on"[..], b"e\n\ntwo\nth", b"ree"] {
            lines.add(bytes);
        }
        lines.end();
        let expected = ["one", "", "two", "three"].map(|line| (Stream::Out, line.to_owned()));
        assert_eq!(*told.lock().unwrap(), expected);
    }
}
