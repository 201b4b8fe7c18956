//! Carries what `aio attach` says and hears on the administrator's terminal through pipes, when its
//! standard output is not that terminal: a process of a container that held it could type into it.
//!
//! Input is carried line by line, and only while this process is in the terminal's foreground and the
//! terminal reads lines: a pager at the other end of a pipe, which reads keys, has them for itself.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::LocalModes;

use super::syscall;

/// How often it is looked whether the terminal's input may be read.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// A daemon that the command left may hold its output open for ever.
const DRAIN: Duration = Duration::from_millis(300);

/// Pipes in the places of those standard streams that are terminals; before the command starts.
pub struct Relay {
    /// The terminal, and the pipe to the command.
    input: Option<(File, File)>,
    /// The pipe from the command, and the terminal.
    output: Option<(File, File)>,
    error: Option<(File, File)>,
}

/// Output on its way.
pub struct Carried {
    ended: Vec<Receiver<()>>,
}

impl Relay {
    /// Puts the pipes in place.
    ///
    /// # Errors
    /// When this process may have no more files.
    pub fn new() -> io::Result<Self> {
        let mut relay = Self { input: None, output: None, error: None };
        if io::stdin().is_terminal() {
            let (reader, writer) = pipe()?;
            relay.input = Some((copy_of(io::stdin())?, File::from(writer)));
            rustix::stdio::dup2_stdin(reader)?;
        }
        if io::stdout().is_terminal() {
            let (reader, writer) = pipe()?;
            relay.output = Some((File::from(reader), copy_of(io::stdout())?));
            rustix::stdio::dup2_stdout(writer)?;
        }
        if io::stderr().is_terminal() {
            let (reader, writer) = pipe()?;
            relay.error = Some((File::from(reader), copy_of(io::stderr())?));
            rustix::stdio::dup2_stderr(writer)?;
        }
        Ok(relay)
    }

    /// Begins to carry; after the command has started, since this starts threads.
    ///
    /// # Errors
    /// When this process gets no threads.
    pub fn start(self) -> io::Result<Carried> {
        // A pipe's end is seen only when nobody else holds it open.
        if self.input.is_some() {
            rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        }
        if let Some((_, terminal)) = &self.output {
            rustix::stdio::dup2_stdout(terminal)?;
        }
        if let Some((_, terminal)) = &self.error {
            rustix::stdio::dup2_stderr(terminal)?;
        }
        syscall::ignore_broken_pipe();
        if let Some((terminal, command)) = self.input {
            std::thread::Builder::new().spawn(move || carry_lines(terminal, command))?;
        }
        let mut ended = Vec::new();
        for (mut command, mut terminal) in self.output.into_iter().chain(self.error) {
            let (tell, told) = mpsc::channel();
            std::thread::Builder::new().spawn(move || {
                let _ = io::copy(&mut command, &mut terminal);
                let _ = tell.send(());
            })?;
            ended.push(told);
        }
        Ok(Carried { ended })
    }
}

impl Carried {
    /// Waits for the rest of the output of a command that has ended.
    pub fn finish(self) {
        for told in self.ended {
            let _ = told.recv_timeout(DRAIN);
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// A descriptor of its own, beyond the standard ones.
fn copy_of(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(rustix::io::fcntl_dupfd_cloexec(stream, 3)?))
}

/// Until the terminal's end (Ctrl-D) or the command's.
fn carry_lines(mut terminal: File, mut command: File) {
    let mut line = vec![0; 4096];
    loop {
        let mut watched = [PollFd::new(&terminal, PollFlags::IN)];
        let readable = poll(&mut watched, Some(&LOOK)).is_ok_and(|ready| ready > 0);
        if !readable {
            continue;
        }
        if !is_ours(terminal.as_fd()) {
            std::thread::sleep(Duration::from_millis(200));
            continue;
        }
        let read = terminal.read(&mut line);
        let Ok(length @ 1..) = read else { return };
        if command.write_all(&line[..length]).is_err() {
            return;
        }
    }
}

fn is_ours(terminal: BorrowedFd<'_>) -> bool {
    let modes = rustix::termios::tcgetattr(terminal);
    syscall::in_foreground(terminal)
        && modes.is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
}
