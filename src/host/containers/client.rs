//! Calls to the helper process ([`crate::lxc::helper`]).

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::Output;
use crate::lxc::protocol::{Reply, Request, encode};

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
) -> Result<Output> {
    let (mut helper, control) = Helper::spawn(binary)?;
    let (stdout, stderr) = helper.pipes();
    let (stdout, stderr) = (Drain::start(stdout), Drain::start(stderr));
    let reply = match timeout {
        None => talk(control, request, stdin).await,
        Some(limit) => tokio::time::timeout(limit, talk(control, request, stdin))
            .await
            .unwrap_or_else(|_| Err(timed_out(limit))),
    };
    let (stdout, stderr) = tokio::join!(stdout.finish(), stderr.finish());
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

fn text_of(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    (!text.trim().is_empty()).then(|| text.trim_end().to_owned())
}

/// Sends the request, returns the reply. Closing the socket (by dropping it) cancels.
async fn talk(mut control: UnixStream, request: &Request, stdin: &[u8]) -> Result<Reply> {
    let doing = || "talk to the helper process".to_owned();
    let frame = encode(request).doing(doing)?;
    control.write_all(&frame).await.doing(doing)?;
    control.write_all(stdin).await.doing(doing)?;
    let mut answer = Vec::new();
    control.read_to_end(&mut answer).await.doing(doing)?;
    crate::lxc::protocol::receive(answer.as_slice()).map_err(|_| {
        Error::failed("talk to the helper process").because("it ended without an answer")
    })
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
        let child = Command::new(binary)
            .arg("__helper")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Of its own, so that Ctrl-C reaches `aio` alone, which decides.
            .process_group(0)
            .spawn()
            .doing(doing)?;
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

/// Collects what comes out of a pipe, even when it is never closed.
struct Drain {
    collected: Arc<Mutex<Vec<u8>>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Drain {
    fn start(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let collected = Arc::new(Mutex::new(Vec::new()));
        let task = pipe.map(|mut pipe| {
            let collected = Arc::clone(&collected);
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 << 10];
                while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
                    let mut all = collected.lock().unwrap_or_else(PoisonError::into_inner);
                    all.extend_from_slice(&buffer[..length]);
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
