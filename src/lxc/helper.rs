//! `aio __helper`: one request, one reply, one thread. See [`super::protocol`].
//!
//! It leads a session of its own, and so does the command in the container: neither has the terminal
//! of whoever called `aio`, and the command's process group is one that exists in the container too.
//! When `aio` goes away or closes the socket, both groups get SIGTERM and, by default two seconds
//! later, SIGKILL: no command outlives the run that wanted it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::container::{Handle, State, log_to};
use super::protocol::{Reply, Request, receive, send};
use super::{attach, log, prepare, syscall};
use crate::error::{Error, Result, ResultExt};

/// How long a cancelled command may take to clean up, unless its request says so.
pub const GRACE_SECS: u32 = 2;

/// Serves one request.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "aio: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<()> {
    let doing = || "set the helper up".to_owned();
    syscall::default_broken_pipe();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let control = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).doing(doing)?;
    syscall::close_descriptors_on_exec().doing(doing)?;
    let mut control = File::from(control);
    let request: Request = receive(&control).doing(|| "read the request".to_owned())?;
    syscall::replace_stdin(stdin_of(&request, &mut control)?).doing(doing)?;
    let reply = match execute(&request, &control) {
        Ok(status) => Reply::Done(status),
        Err(error) => Reply::from(error),
    };
    send(&control, &reply).doing(|| "send the reply".to_owned())
}

/// The command's standard input as a file in memory: it can be opened again by name, it never
/// blocks, and it is on no disk.
fn stdin_of(request: &Request, control: &mut File) -> Result<File> {
    let doing = || "read the command's standard input".to_owned();
    let length = match request {
        Request::Run { stdin_length, .. } => *stdin_length,
        _ => 0,
    };
    if length == 0 {
        return File::open("/dev/null").doing(doing);
    }
    let memory =
        rustix::fs::memfd_create(c"stdin", rustix::fs::MemfdFlags::CLOEXEC).doing(doing)?;
    let mut memory = File::from(memory);
    std::io::copy(&mut control.take(length), &mut memory).doing(doing)?;
    memory.seek(SeekFrom::Start(0)).doing(doing)?;
    Ok(memory)
}

fn execute(request: &Request, control: &File) -> Result<i32> {
    match request {
        Request::Start { name, log } => start(name, log).map(|()| 0),
        Request::Stop { name, log, orderly_secs } => stop(name, log, *orderly_secs).map(|()| 0),
        Request::Run { name, log, argv, environment, grace_secs, .. } => {
            log_to(name, log)?;
            let handle = Handle::open(name)?;
            let program = argv.first().ok_or_else(|| Error::failed("run an empty command"))?;
            let pid = attach::command(&handle, program, argv, environment, false)?;
            supervise(pid, control, *grace_secs)
        }
        Request::WriteFiles { name, log, files } => {
            log_to(name, log)?;
            let pid = attach::write_files(&Handle::open(name)?, files)?;
            supervise(pid, control, GRACE_SECS)
        }
        Request::Prepare(preparation) => prepare::prepare(preparation).map(|()| 0),
        Request::Publish { place, publication } => place.publish(publication).map(|()| 0),
    }
}

fn start(name: &str, file: &Path) -> Result<()> {
    log_to(name, file)?;
    let before = log::length(file);
    Handle::open(name)?.start().map_err(|mut error| {
        // The innermost cause is logged first, errors are told from the outside in.
        error.causes.extend(log::errors_since(file, before).into_iter().rev());
        error.hint(format!("liblxc's log is `{}`.", file.display()))
    })
}

fn stop(name: &str, file: &Path, orderly_secs: u32) -> Result<()> {
    log_to(name, file)?;
    let handle = Handle::open(name)?;
    let stopped = |handle: &Handle| matches!(handle.state(), State::Absent | State::Stopped);
    if stopped(&handle) || (orderly_secs > 0 && handle.shutdown(orderly_secs)) {
        return Ok(());
    }
    handle.stop().or_else(|error| if stopped(&handle) { Ok(()) } else { Err(error) })
}

/// Waits for the command, or kills it when nobody waits for the reply any more.
fn supervise(pid: Pid, control: &File, grace_secs: u32) -> Result<i32> {
    let doing = || "watch a command".to_owned();
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).doing(doing)?;
    let gone = rustix::io::retry_on_intr(|| {
        // The other side says nothing more after the request: readable means closed.
        let mut watched = [
            PollFd::new(&process, PollFlags::IN),
            PollFd::new(control, PollFlags::IN | PollFlags::RDHUP),
        ];
        poll(&mut watched, None)?;
        Ok(watched[0].revents().is_empty())
    })
    .doing(doing)?;
    if gone {
        cancel(pid, &process, grace_secs)?;
    }
    attach::wait(pid)
}

fn cancel(pid: Pid, process: &OwnedFd, grace_secs: u32) -> Result<()> {
    let doing = || "end a cancelled command".to_owned();
    // Nobody has waited for the command, so the group's number is still its own. One that has not
    // begun its session yet is of this process's group.
    let signal_command = |signal| rustix::process::kill_process_group(pid, signal);
    // This process is of its group too, and must live to send the second signal.
    syscall::ignore_termination();
    let _ = signal_command(Signal::TERM);
    rustix::process::kill_current_process_group(Signal::TERM).doing(doing)?;
    let timeout = Timespec { tv_sec: i64::from(grace_secs), tv_nsec: 0 };
    let mut watched = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    let _ = poll(&mut watched, Some(&timeout));
    // Also for what the command left in the background; the last ends this process as well.
    let _ = signal_command(Signal::KILL);
    rustix::process::kill_current_process_group(Signal::KILL).doing(doing)
}
