//! Runs the stock tools that build a layer, so that nothing of them outlives their builder.
//!
//! Every tool runs in a process group of its own (a terminal's Ctrl-C reaches `aio` alone, which
//! decides) and in a mount and a process namespace of its own: when the first process in there
//! dies, the kernel ends all others and their mounts are gone with them. That first process is told
//! by the kernel when its builder dies, so that even `kill -9` of `aio` leaves no process and no
//! mount behind.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::syscall::in_own_session;

/// How often a running tool is looked at for cancellation.
const POLL: Duration = Duration::from_millis(100);

/// How many lines of a tool's output an error shows.
const TAIL_LINES: usize = 40;

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a tool left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its whole standard output.
    pub stdout: String,
    /// The last lines of standard error.
    pub tail: String,
}

/// A command with a clean environment: nothing of the user's shell reaches package scripts, except
/// the proxies that APT itself takes from there.
pub fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBCONF_NONINTERACTIVE_SEEN", "true");
    for name in ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// `sh -euc SCRIPT` in a mount and a process namespace of its own, under a name of its own, and without
/// a network: all that a layer is made of is there before, and no script of a package reaches what
/// listens on the host.
///
/// `setpriv` and `unshare` (both of util-linux) set the parent-death signal: the standard library
/// offers no safe way to do so.
pub fn isolated(script: &str) -> Command {
    let mut command = tool("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "private"]);
    command.args(["--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child=KILL"]);
    command.args(["--mount-proc", "--"]);
    command.args(["sh", "-euc", script, "aio-layer"]);
    command
}

/// Runs `command` to its end. `on_line` sees every line; when `cancelled` says so the whole process
/// group is killed.
///
/// # Errors
/// When it cannot be started or was cancelled; a failing exit status is the caller's to judge.
pub fn run(
    mut command: Command,
    cancelled: &dyn Fn() -> bool,
    on_line: &mut dyn FnMut(Stream, &str),
) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    // What packages bring runs here: it gets no terminal, and a process group of its own.
    in_own_session(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| {
        Error::new(ErrorKind::Host, format!("run {program}"))
            .because(error)
            .hint(format!("Install the package that has `{program}` and run again."))
    })?;
    // Whatever goes wrong from here, no child is left behind.
    let mut child = KillOnDrop(child);
    let (sender, receiver) = mpsc::channel();
    let mut readers = Vec::new();
    if let Some(stdout) = child.0.stdout.take() {
        readers.push(read_lines(stdout, Stream::Out, sender.clone()));
    }
    if let Some(stderr) = child.0.stderr.take() {
        readers.push(read_lines(stderr, Stream::Err, sender.clone()));
    }
    drop(sender);

    let mut stdout = String::new();
    let mut tail = VecDeque::new();
    loop {
        match receiver.recv_timeout(POLL) {
            Ok((stream, line)) => {
                if stream == Stream::Out {
                    stdout.push_str(&line);
                    stdout.push('\n');
                } else {
                    tail.push_back(line.clone());
                    if tail.len() > TAIL_LINES {
                        tail.pop_front();
                    }
                }
                on_line(stream, &line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if cancelled() {
            drop(child);
            return Err(Error::new(ErrorKind::Interrupted, format!("{program} was cancelled")));
        }
    }
    let status = child.0.wait().doing(|| format!("wait for {program}"))?;
    for reader in readers {
        let _ = reader.join();
    }
    let tail = tail.into_iter().collect::<Vec<_>>().join("\n");
    Ok(Finished { status, stdout, tail })
}

/// Sends every line of `source`; bytes that are not UTF-8 are replaced.
fn read_lines(
    source: impl Read + Send + 'static,
    stream: Stream,
    sender: Sender<(Stream, String)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(source);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
            let line = String::from_utf8_lossy(&bytes);
            if sender.send((stream, line.trim_end_matches(['\n', '\r']).to_owned())).is_err() {
                return;
            }
            bytes.clear();
        }
    })
}

/// A child whose process group is killed when this goes out of scope before it ended.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn both_streams_and_the_status_come_back() {
        let mut command = tool("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let mut lines = Vec::new();
        let finished = run(command, &|| false, &mut |stream, line| {
            lines.push((stream, line.to_owned()));
        })
        .unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(finished.stdout, "one\n");
        assert_eq!(finished.tail, "two");
        lines.sort_by_key(|(_, line)| line.clone());
        assert_eq!(lines, [(Stream::Out, "one".to_owned()), (Stream::Err, "two".to_owned())]);
    }

    #[test]
    fn cancelling_kills_grandchildren_too() {
        let mut command = tool("sh");
        command.args(["-c", "sleep 60 & echo $!; wait"]);
        let pid = std::cell::RefCell::new(String::new());
        let started = Instant::now();
        let error = run(command, &|| !pid.borrow().is_empty(), &mut |_, line| {
            *pid.borrow_mut() = line.to_owned();
        })
        .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted);
        assert!(started.elapsed() < Duration::from_secs(10));
        // The killed grandchild may be on its way out or a zombie, but it must not sleep on.
        let alive = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.borrow()));
            state.is_ok_and(|state| !state.contains(") Z"))
        };
        while alive() {
            assert!(started.elapsed() < Duration::from_secs(10), "sleep survived");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_users_environment_does_not_reach_tools() {
        let finished = run(tool("env"), &|| false, &mut |_, _| {}).unwrap();
        assert!(finished.stdout.contains("DEBIAN_FRONTEND=noninteractive"));
        assert!(!finished.stdout.contains("CARGO"), "{}", finished.stdout);
    }
}
