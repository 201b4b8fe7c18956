//! Runs the stock tools that build a layer, so that nothing of them outlives their builder.
//!
//! Every tool runs in a process group of its own (a terminal's Ctrl-C reaches `aio` alone, which
//! decides) and in a mount and a process namespace of its own: when the first process in there
//! dies, the kernel ends all others and their mounts are gone with them. That first process is told
//! by the kernel when its builder dies, so that even `kill -9` of `aio` leaves no process and no
//! mount behind.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::process::{self, Finished, Running, Stream};

/// A command with a clean environment: nothing of the user's shell reaches package scripts, except
/// the proxies that APT itself takes from there.
pub fn tool(program: impl AsRef<OsStr>) -> Command {
    let mut command = process::tool(program);
    command
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
    command: Command,
    cancelled: &dyn Fn() -> bool,
    on_line: &mut dyn FnMut(Stream, &str),
) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    // What packages bring runs here: it gets no terminal, and a process group of its own.
    let running = Running::start(command, true, Duration::ZERO).map_err(|error| {
        Error::new(ErrorKind::Host, format!("run {program}"))
            .because(error)
            .hint(format!("Install the package that has `{program}` and run again."))
    })?;
    let finished = running.finish(cancelled, on_line).doing(|| format!("wait for {program}"))?;
    finished.ok_or_else(|| Error::new(ErrorKind::Interrupted, format!("{program} was cancelled")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_environment_does_not_reach_tools() {
        let finished = run(tool("env"), &|| false, &mut |_, _| {}).unwrap();
        assert!(finished.stdout.contains("DEBIAN_FRONTEND=noninteractive"));
        assert!(!finished.stdout.contains("CARGO"), "{}", finished.stdout);
    }

    #[test]
    fn a_cancelled_one_is_an_interruption() {
        let mut command = tool("sleep");
        command.arg("60");
        let error = run(command, &|| true, &mut |_, _| {}).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted);
    }
}
