//! Processes inside a running container. Everything here forks inside liblxc: it belongs into a
//! process with a single thread (the helper, or `aio attach` before any runtime exists).
#![allow(unsafe_code)] // liblxc calls back and takes pointers.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Component, Path};

use rustix::process::{Pid, WaitOptions, WaitStatus};

use super::accounts::Login;
use super::container::{CStrings, Handle, State, c_string};
use super::relay::Relay;
use super::{files, rooted, syscall};
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// The search path of commands in a container.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A terminal that every container knows.
const USUAL_TERMINAL: &str = "xterm-256color";

/// The environment of a command: `PATH` and `HOME`, then what is given.
pub fn environment(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), SEARCH_PATH.to_owned()),
        ("HOME".to_owned(), "/root".to_owned()),
    ]);
    all.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// Starts a command on the standard streams of this process; it is a child of this process.
pub fn command(
    handle: &Handle,
    program: &str,
    argv: &[String],
    environment: &BTreeMap<String, String>,
    terminal: bool,
) -> Result<Pid> {
    let program = c_string(program)?;
    let mut arguments = CStrings::new(argv.iter().map(String::as_str))?;
    let variables: Vec<String> =
        environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut variables = CStrings::new(variables.iter().map(String::as_str))?;
    let mut command = lxc_sys::lxc_attach_command_t {
        program: program.as_ptr().cast_mut(),
        argv: arguments.as_mut_ptr(),
    };
    let mut options = options();
    options.initial_cwd = c"/".as_ptr().cast_mut();
    options.env_policy = lxc_sys::lxc_attach_env_policy_t_LXC_ATTACH_CLEAR_ENV;
    options.extra_env_vars = variables.as_mut_ptr();
    if terminal {
        options.attach_flags |= flags(lxc_sys::LXC_ATTACH_TERMINAL);
    }
    let payload = (&raw mut command).cast::<c_void>();
    // SAFETY: `run_inside` expects this structure; all strings live until the end of this function,
    // and the child has its own copy.
    unsafe { handle.attach(run_inside, payload, &mut options) }
}

unsafe extern "C" fn run_inside(payload: *mut c_void) -> c_int {
    begin();
    // SAFETY: `command` passes what this function expects.
    unsafe { lxc_sys::lxc_attach_run_command(payload) }
}

/// What a process does first in a container: it leads a session of its own there, whose terminal is
/// at most one that was made for it.
fn begin() {
    // With a terminal liblxc has done it already.
    let _ = rustix::process::setsid();
    syscall::hold_ending_signals(false);
}

/// Starts a process that writes files; a message of what went wrong goes to its standard error.
pub fn write_files(handle: &Handle, files: &[files::FileRequest]) -> Result<Pid> {
    let mut payload = files;
    let payload = (&raw mut payload).cast::<c_void>();
    // SAFETY: `write_files_inside` expects a pointer to this slice, which outlives the call.
    unsafe { handle.attach(write_files_inside, payload, &mut options()) }
}

unsafe extern "C" fn write_files_inside(payload: *mut c_void) -> c_int {
    // SAFETY: `write_files` passes a pointer to a slice of its caller, of which this forked child
    // has a copy.
    let files = unsafe { *payload.cast::<&[files::FileRequest]>() };
    begin();
    // No panic may unwind into C; the profile has no other way to stop one.
    let result = std::panic::catch_unwind(|| files::write_all(files));
    match result {
        Ok(Ok(())) => 0,
        Ok(Err(message)) => {
            let _ = write!(std::io::stderr(), "{message}");
            1
        }
        Err(_) => 1,
    }
}

fn flags(flags: u32) -> c_int {
    // Bits, not a number.
    flags.cast_signed()
}

/// `LXC_ATTACH_OPTIONS_DEFAULT`, which is a macro in C.
pub(super) fn options() -> lxc_sys::lxc_attach_options_t {
    lxc_sys::lxc_attach_options_t {
        attach_flags: flags(lxc_sys::LXC_ATTACH_DEFAULT),
        namespaces: -1,
        personality: i64::from(lxc_sys::LXC_ATTACH_DETECT_PERSONALITY),
        initial_cwd: std::ptr::null_mut(),
        uid: u32::MAX,
        gid: u32::MAX,
        env_policy: lxc_sys::lxc_attach_env_policy_t_LXC_ATTACH_KEEP_ENV,
        extra_env_vars: std::ptr::null_mut(),
        extra_keep_env: std::ptr::null_mut(),
        stdin_fd: 0,
        stdout_fd: 1,
        stderr_fd: 2,
        log_fd: -libc::EBADF,
        lsm_label: std::ptr::null_mut(),
        groups: lxc_sys::lxc_groups_t { size: 0, list: std::ptr::null_mut() },
    }
}

/// Waits for a child; its exit status, or 128 + n when signal n killed it.
pub fn wait(pid: Pid) -> Result<i32> {
    let wait = || rustix::process::waitpid(Some(pid), WaitOptions::empty());
    let status = rustix::io::retry_on_intr(wait).doing(|| "wait for a command".to_owned())?;
    Ok(status.map_or(0, |(_, status)| exit_code(status)))
}

fn exit_code(status: WaitStatus) -> i32 {
    let by_signal = || status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or_else(by_signal).unwrap_or(0)
}

/// Runs a command, or a login shell when `argv` is empty, on this process's own streams and returns
/// its exit code. Only before any thread exists.
///
/// Nothing in the container gets a terminal of the host. Where standard output is one, all streams
/// that are terminals become a new one of the container's, to which this one, in raw mode, leads.
/// With `> file` or a pipe it keeps its modes, which the pipe's other end may rely on (`| less`): a
/// stream that is a terminal is then carried by a [`Relay`]. All others the command has as they are.
pub fn interactive(
    name: &str,
    argv: &[String],
    environment: &BTreeMap<String, String>,
) -> Result<i32> {
    let doing = || "set up the command's streams".to_owned();
    let handle = Handle::open(name)?;
    let init_pid = init_pid(&handle, name)?;
    syscall::default_broken_pipe();
    let mut all = self::environment(environment);
    let pass_on = |variable: &str| Some((variable.to_owned(), std::env::var(variable).ok()?));
    all.extend(["TERM", "COLORTERM"].into_iter().filter_map(pass_on));
    if let Some(terminal) = all.get_mut("TERM") {
        *terminal = known_terminal(init_pid, terminal);
    }
    // liblxc leads a new terminal to the one that controls this process.
    let terminal = std::io::stdout().is_terminal() && File::open("/dev/tty").is_ok();
    let relay = if terminal {
        None
    } else {
        // Not lost, not even one that comes before the command is there.
        syscall::hold_ending_signals(true);
        Some(Relay::new().doing(doing)?)
    };
    let pid = match argv.first() {
        Some(program) => command(&handle, program, argv, &all, terminal)?,
        None => {
            let login = Login::of_root(init_pid);
            all.extend(login.variables());
            let name = format!("-{}", login.shell_name());
            command(&handle, &login.shell, &[name], &all, terminal)?
        }
    };
    let Some(relay) = relay else { return wait(pid) };
    // In a session of its own it hears nothing of this one's terminal.
    syscall::forward_ending_signals(pid);
    syscall::hold_ending_signals(false);
    let carried = relay.start().doing(doing)?;
    let status = wait(pid);
    carried.finish();
    status
}

/// The kind of a terminal as the container knows it: one that it has never heard of is taken for the
/// usual one, which nearly all imitate.
pub fn known_terminal(init_pid: u32, kind: &str) -> String {
    let root = rooted::open_root(Path::new(&format!("/proc/{init_pid}/root")));
    let known = root.is_ok_and(|root| is_known_terminal(root.as_fd(), kind));
    if known { kind.to_owned() } else { USUAL_TERMINAL.to_owned() }
}

fn is_known_terminal(root: std::os::fd::BorrowedFd<'_>, kind: &str) -> bool {
    let one_name =
        matches!(Path::new(kind).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
    let Some(first) = kind.chars().next().filter(|_| one_name) else { return false };
    ["etc", "lib", "usr/share", "usr/lib"].iter().any(|place| {
        let file = format!("{place}/terminfo/{first}/{kind}");
        rooted::open(root, Path::new(&file), rustix::fs::OFlags::PATH).is_ok()
    })
}

/// The init process of a running container.
///
/// # Errors
/// [`ErrorKind::NotFound`] when it does not run.
pub fn init_pid(handle: &Handle, name: &str) -> Result<u32> {
    match handle.state() {
        State::Running(init_pid) => Ok(init_pid),
        state => Err(cannot_attach(name, state)),
    }
}

fn cannot_attach(name: &str, state: State) -> Error {
    let (cause, hint) = match state {
        State::Absent => ("there is no such container", "`aio ls` shows all.".to_owned()),
        _ => ("it is not running", format!("`aio start {name}` starts it.")),
    };
    Error::new(ErrorKind::NotFound, format!("attach to container `{name}`"))
        .because(cause)
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_wins_over_the_defaults() {
        let given = BTreeMap::from([("HOME".to_owned(), "/srv".to_owned())]);
        let all = environment(&given);
        assert_eq!(all["HOME"], "/srv");
        assert_eq!(all["PATH"], SEARCH_PATH);
    }

    #[test]
    fn a_terminal_that_the_container_does_not_know_is_taken_for_the_usual_one() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("lib/terminfo/x")).unwrap();
        std::fs::write(directory.path().join("lib/terminfo/x/xterm-256color"), "").unwrap();
        let root = rooted::open_root(directory.path()).unwrap();
        let known = |kind| is_known_terminal(root.as_fd(), kind);
        assert!(known("xterm-256color"));
        for strange in ["xterm-ghostty", "", ".", "..", "x/../x/xterm-256color", "/lib"] {
            assert!(!known(strange), "{strange}");
        }
    }
}
