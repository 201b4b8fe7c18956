//! Other programs and other processes: how one is started, watched, ended, and known again.
//!
//! A program gets no more of this process's environment than whoever starts it says: there may be
//! tokens of root's in it. What a watched one prints is read as it comes and kept up to a limit.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::bounded;
use super::syscall::in_own_session;

/// A user's PATH may lack the directories of administrative tools.
pub const TOOL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where liblxc is, on a host that has it in an odd place.
const LIBRARIES: &str = "LD_LIBRARY_PATH";
/// How often a running program is looked at for cancellation.
const POLL: Duration = Duration::from_millis(100);
/// How many lines of standard error are kept.
const TAIL_LINES: usize = 40;
/// A longer line comes in parts.
const LONGEST_PART_BYTES: usize = 1 << 20;
/// How many parts may wait for whoever watches.
const WAITING_PARTS: usize = 64;

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A tool of the host, in English, with nothing of this process's environment.
pub fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = inheriting(program);
    command.env_clear().env("PATH", TOOL_PATH).env("LC_ALL", "C");
    command
}

/// The running binary, even when it has been replaced since, as one of its hidden commands. Of this
/// process's environment it gets what it needs to be loaded.
pub fn own(hidden: &str) -> Command {
    let mut command = inheriting("/proc/self/exe");
    command.arg0("aio").arg(hidden).env_clear();
    command.envs(std::env::var_os(LIBRARIES).map(|path| (LIBRARIES, path)));
    command
}

/// A program with this process's whole environment: for `aio` itself, and for who clears or has
/// chosen that environment.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn inheriting(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// What a program left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its whole standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// The last lines of standard error, without those that were overwritten.
    pub tail: String,
}

/// A program that is ended when this goes out of scope before it ended by itself.
pub struct Running {
    child: Child,
    own_session: bool,
    patience: Duration,
}

impl Running {
    /// Starts it, with nothing to read. One that is told to end may tidy up for so long.
    ///
    /// In a session of its own it gets no terminal, Ctrl-C does not reach it, and all that it starts
    /// is ended with it; otherwise it alone is.
    pub fn start(mut command: Command, own_session: bool, patience: Duration) -> io::Result<Self> {
        if own_session {
            in_own_session(&mut command);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self { child: command.spawn()?, own_session, patience })
    }

    /// Waits for its end. `on_line` sees every line; when `cancelled` says so the program is ended,
    /// and there is no result.
    pub fn finish(
        mut self,
        cancelled: &dyn Fn() -> bool,
        on_line: &mut dyn FnMut(Stream, &str),
    ) -> io::Result<Option<Finished>> {
        let (sender, receiver) = mpsc::sync_channel(WAITING_PARTS);
        let stdout = self.child.stdout.take();
        let stderr = self.child.stderr.take();
        let readers = [
            stdout.map(|pipe| read_parts(pipe, Stream::Out, sender.clone())),
            stderr.map(|pipe| read_parts(pipe, Stream::Err, sender)),
        ];
        let (mut stdout, mut tail) = (Vec::new(), VecDeque::new());
        loop {
            match receiver.recv_timeout(POLL) {
                Ok(part) => {
                    let text = String::from_utf8_lossy(&part.bytes);
                    let line = text.trim_end();
                    if part.stream == Stream::Out {
                        stdout.extend_from_slice(&part.bytes);
                    } else if !line.is_empty() && !part.overwritten() {
                        tail.push_back(line.to_owned());
                        if tail.len() > TAIL_LINES {
                            tail.pop_front();
                        }
                    }
                    if !line.is_empty() {
                        on_line(part.stream, line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if cancelled() {
                return Ok(None);
            }
            if stdout.len() as u64 > bounded::LARGEST_BYTES {
                return Err(bounded::too_much(bounded::LARGEST_BYTES));
            }
        }
        let status = self.child.wait()?;
        for reader in readers.into_iter().flatten() {
            let _ = reader.join();
        }
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        Ok(Some(Finished { status, stdout, tail: Vec::from(tail).join("\n") }))
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // It may have ended this very moment.
        let _ = if self.own_session {
            kill_process_group(pid, signal)
        } else {
            kill_process(pid, signal)
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
        if ended(&mut self.child) {
            return;
        }
        if !self.patience.is_zero() {
            self.signal(Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < self.patience {
            if ended(&mut self.child) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A line with its end, or a part of one that is very long.
struct Part {
    stream: Stream,
    bytes: Vec<u8>,
}

impl Part {
    /// Whether it is progress that the next line is written over.
    fn overwritten(&self) -> bool {
        self.bytes.ends_with(b"\r")
    }
}

fn read_parts(
    mut source: impl Read + Send + 'static,
    stream: Stream,
    sender: SyncSender<Part>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        // What was read before an error is kept; the program's status tells of the error.
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            for &byte in &buffer[..count] {
                bytes.push(byte);
                let ends = byte == b'\n' || (byte == b'\r' && stream == Stream::Err);
                if ends || bytes.len() == LONGEST_PART_BYTES {
                    let bytes = std::mem::take(&mut bytes);
                    if sender.send(Part { stream, bytes }).is_err() {
                        return;
                    }
                }
            }
        }
        if !bytes.is_empty() {
            let _ = sender.send(Part { stream, bytes });
        }
    })
}

/// What the kernel says of a process in `/proc/PID/stat`; see proc(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// `S` when it sleeps, `Z` when it has ended and nobody has waited for it yet.
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// The process group in the foreground of the terminal that controls it, -1 without one.
    pub foreground_group: i32,
    /// When it was started, in the kernel's ticks since the boot.
    pub started_ticks: u64,
}

impl Stat {
    /// Of a process, if there is one with that number.
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is a name, which may hold anything: the others begin behind the last `)`.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            foreground_group: fields.get(5)?.parse().ok()?,
            started_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it only waits to be waited for.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// When the process of that number was started, while it runs: a later one of the same number was
/// started at another time.
pub fn started_ticks(pid: u32) -> Option<u64> {
    Stat::of(pid).filter(|stat| !stat.has_ended()).map(|stat| stat.started_ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        let mut command = tool("sh");
        command.args(["-c", script]);
        Running::start(command, true, Duration::ZERO).unwrap()
    }

    #[test]
    fn both_streams_and_the_status_come_back() {
        let mut lines = Vec::new();
        let finished =
            shell("echo one; printf '\\nhalf'; printf '50%%\\r99%%\\rtwo\\n' >&2; exit 3")
                .finish(&|| false, &mut |stream, line| lines.push((stream, line.to_owned())))
                .unwrap()
                .unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(finished.stdout, "one\n\nhalf");
        // Progress is passed on, and only lines stay.
        assert_eq!(finished.tail, "two");
        lines.sort_by_key(|(stream, _)| *stream == Stream::Err);
        let (out, err) = (Stream::Out, Stream::Err);
        let expected = [(out, "one"), (out, "half"), (err, "50%"), (err, "99%"), (err, "two")];
        assert_eq!(lines, expected.map(|(stream, line)| (stream, line.to_owned())));
    }

    #[test]
    fn cancelling_ends_grandchildren_too() {
        for patience in [Duration::ZERO, Duration::from_secs(3)] {
            let mut command = tool("sh");
            command.args(["-c", "sleep 60 & echo $!; wait"]);
            let running = Running::start(command, true, patience).unwrap();
            let (started, pid) = (Instant::now(), std::cell::Cell::new(None));
            let finished = running.finish(&|| pid.get().is_some(), &mut |_, line| {
                pid.set(line.parse().ok());
            });
            assert!(finished.unwrap().is_none());
            // It may be on its way out, or a zombie, but it must not sleep on.
            while started_ticks(pid.get().unwrap()).is_some() {
                assert!(started.elapsed() < Duration::from_secs(10), "sleep survived");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn endless_output_is_an_error() {
        let error = shell("yes").finish(&|| false, &mut |_, _| {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn fields_are_found_behind_an_odd_name() {
        let text = "12 (a) S 1 (b) R 34 71 71 34816 99 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let expected = Stat { state: 'R', parent: 34, foreground_group: 99, started_ticks: 4711 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("12 (a) S 1"), None);
    }

    #[test]
    fn a_process_is_known_by_its_start_until_it_has_ended() {
        let mut child = inheriting("sleep").arg("60").spawn().unwrap();
        let started = started_ticks(child.id()).unwrap();
        assert!(started >= started_ticks(std::process::id()).unwrap());
        assert_eq!(
            Stat::of(child.id()).unwrap().parent,
            i32::try_from(std::process::id()).unwrap()
        );
        child.kill().unwrap();
        while started_ticks(child.id()).is_some() {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait().unwrap();
        assert_eq!(started_ticks(u32::MAX), None);
    }
}
