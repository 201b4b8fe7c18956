//! Waiting for the child in the container, passing signals on, and ending it when the client is
//! gone.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::wire;
use crate::error::{Result, ResultExt};
use crate::lxc::attach;
use crate::lxc::process::Stat;

/// How long a command may take to clean up after its client has gone.
const GRACE_SECS: i64 = 2;

/// Waits for the child; its exit status, or 128 + n when signal n killed it.
pub fn supervise(child: Pid, control: &OwnedFd, terminal: bool) -> Result<i32> {
    let doing = || "watch a command".to_owned();
    let process = rustix::process::pidfd_open(child, PidfdFlags::empty()).doing(doing)?;
    while !ended(&process, Some(control), None).doing(doing)? {
        // A socket that fails is as good as closed.
        match wire::receive_signal(control).ok().flatten() {
            Some(number) => pass_on(child, number),
            None => {
                end(child, &process, terminal);
                break;
            }
        }
    }
    attach::wait(child)
}

/// Waits until the process has ended (then true), the control socket has something to say, or time
/// is up.
fn ended(
    process: &OwnedFd,
    control: Option<&OwnedFd>,
    timeout: Option<&Timespec>,
) -> std::io::Result<bool> {
    let mut watched = vec![PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    watched.extend(control.map(|control| PollFd::new(control, PollFlags::IN | PollFlags::RDHUP)));
    rustix::io::retry_on_intr(|| poll(&mut watched, timeout))?;
    Ok(!watched[0].revents().is_empty())
}

fn pass_on(child: Pid, number: u8) {
    let signal = Signal::from_named_raw(i32::from(number));
    if let Some(signal) = signal {
        signal_all(&[child], signal);
    }
}

/// Ends the child's process group and, on a terminal, the one in its foreground: politely, then for
/// certain. Jobs that a user put into the background of a shell with `nohup` live on, as anywhere.
fn end(child: Pid, process: &OwnedFd, terminal: bool) {
    let mut groups = vec![child];
    if terminal {
        groups.extend(foreground_group(child).filter(|group| *group != child));
    }
    // Programs on a terminal expect to lose it, others know only that they shall end.
    signal_all(&groups, if terminal { Signal::HUP } else { Signal::TERM });
    signal_all(&groups, Signal::CONT);
    let patience = Timespec { tv_sec: GRACE_SECS, tv_nsec: 0 };
    let _ = ended(process, None, Some(&patience));
    // Not waited for yet, so the numbers are nobody else's. Also for what it left behind.
    signal_all(&groups, Signal::KILL);
}

/// A group that is gone needs no signal. A child that has not made its group yet is met itself.
fn signal_all(groups: &[Pid], signal: Signal) {
    for group in groups {
        if rustix::process::kill_process_group(*group, signal).is_err() {
            let _ = rustix::process::kill_process(*group, signal);
        }
    }
}

/// The process group in the foreground of the terminal that controls a process.
fn foreground_group(process: Pid) -> Option<Pid> {
    let stat = Stat::of(process.as_raw_nonzero().get().try_into().ok()?)?;
    Some(stat.foreground_group).filter(|group| *group > 0).and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn what_ignores_the_first_signal_is_killed_with_its_group() {
        use std::os::unix::process::CommandExt;
        let script = "trap '' TERM; sleep 60 & echo; wait; sleep 60";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .process_group(0)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(shell.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut String::new()).unwrap();
        let child = Pid::from_child(&shell);
        let process = rustix::process::pidfd_open(child, PidfdFlags::empty()).unwrap();
        end(child, &process, false);
        assert_eq!(shell.wait().unwrap().signal(), Some(9));
        // The pipe ends only when the background process, which shares it, has ended too.
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
        assert_eq!(rest, "");
    }
}
