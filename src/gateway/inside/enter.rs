//! Entering: the process becomes what one channel needs, and waits for its end.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::fs::{Mode, OFlags, Uid};
use rustix::process::Resource;

use super::wire::{Job, Reply, Request};
use crate::error::{Error, Result, ResultExt};
use crate::lxc::accounts::Login;
use crate::lxc::container::{Handle, log_to};
use crate::lxc::process::inheriting;
use crate::lxc::{attach, inside, rooted, syscall};

/// The word on the command line.
pub const COMMAND: &str = "__inside";
/// The status of what could not be started.
pub const NOT_STARTED: u8 = 255;
/// Where Debian's package `openssh-sftp-server` has it.
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

/// Serves one request.
pub fn main() -> ExitCode {
    // Whoever asked was told; there is nobody else to tell.
    serve().map_or(ExitCode::from(NOT_STARTED), |status| {
        u8::try_from(status & 0xff).map_or(ExitCode::FAILURE, ExitCode::from)
    })
}

fn serve() -> Result<i32> {
    let doing = || "set up the way into a container".to_owned();
    let control = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).doing(doing)?;
    syscall::close_descriptors_on_exec().doing(doing)?;
    let (request, streams) = super::wire::receive_request(&control).doing(doing)?;
    let mut control = Some(control);
    run(&request, streams, &mut control).inspect_err(|error| {
        if let Some(control) = &control {
            let _ = super::wire::send_reply(control, &Reply::from(error), None);
        }
    })
}

fn run(request: &Request, streams: Vec<OwnedFd>, control: &mut Option<OwnedFd>) -> Result<i32> {
    let doing = || format!("enter container `{}`", request.container);
    syscall::default_signals();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    lower_limit(request.open_files).doing(doing)?;
    let handle = Handle::open(&request.container)?;
    let init_pid = attach::init_pid(&handle, &request.container)?;
    if request.job == Job::Files {
        require_sftp_server(&request.container, init_pid)?;
    }
    // Not before: liblxc makes the log's directory, even for a container that is not there.
    log_to(&request.container, &request.log)?;
    let master = take_streams(request, streams, init_pid)?;
    let login = Login::of_root(init_pid);
    let terminal_name = master
        .as_ref()
        .and_then(|master| rustix::pty::ptsname(master, Vec::new()).ok()?.into_string().ok());
    let mut environment = environment(request, &login, terminal_name);
    if let Some(terminal) = environment.get_mut("TERM") {
        *terminal = attach::known_terminal(init_pid, terminal);
    }
    // The child takes its copy of the socket; the one of this process stays.
    let mut body = || in_container(request, &login, &environment, control.take());
    let pid = inside::spawn(&handle, &mut body)?;
    let control = control.as_ref().ok_or_else(|| Error::failed(doing()))?;
    // The end of a stream is seen only when nobody else holds it open.
    leave_streams().doing(doing)?;
    if !matches!(request.job, Job::Connect(_)) {
        let master = master.as_ref().map(AsFd::as_fd);
        super::wire::send_reply(control, &Reply::Started, master).doing(doing)?;
    }
    drop(master);
    super::supervise::supervise(pid, control, request.terminal.is_some())
}

/// Commands shall have the limit that the gateway was started with.
fn lower_limit(open_files: Option<u64>) -> std::io::Result<()> {
    let Some(current) = open_files else { return Ok(()) };
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = Some(current);
    Ok(rustix::process::setrlimit(Resource::Nofile, limit)?)
}

/// Makes the request's streams, or a new terminal, the standard streams of this process. Returns the
/// terminal's master.
fn take_streams(
    request: &Request,
    streams: Vec<OwnedFd>,
    init_pid: u32,
) -> Result<Option<OwnedFd>> {
    let doing = || "take over the standard streams".to_owned();
    let root = root_of(init_pid).doing(doing)?;
    if let Some(terminal) = &request.terminal {
        let (master, slave) = crate::gateway::terminal::open(init_pid, root, terminal)
            .doing(|| format!("make a terminal in container `{}`", request.container))?;
        replace_streams([slave.as_fd(); 3]).doing(doing)?;
        return Ok(Some(master));
    }
    if let [input, output, error] = streams.as_slice() {
        for stream in [input, output, error] {
            // They can be opened again by name (`> /dev/stderr`).
            rustix::fs::fchown(stream, Some(Uid::from_raw(root)), None).doing(doing)?;
        }
        replace_streams([input.as_fd(), output.as_fd(), error.as_fd()]).doing(doing)?;
    } else {
        leave_streams().doing(doing)?;
    }
    Ok(None)
}

/// The user of the host that is root in the container.
fn root_of(init_pid: u32) -> std::io::Result<u32> {
    let map = std::fs::read_to_string(format!("/proc/{init_pid}/uid_map"))?;
    outside_id(&map, 0).ok_or_else(|| std::io::Error::other("the container has no root user"))
}

/// The host's id of an id inside, by the lines `INSIDE OUTSIDE COUNT` of a map.
fn outside_id(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().ok());
        let (inside, outside, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let distance = id.checked_sub(inside).filter(|distance| *distance < count)?;
        outside.checked_add(distance)
    })
}

fn replace_streams([input, output, error]: [BorrowedFd<'_>; 3]) -> std::io::Result<()> {
    rustix::stdio::dup2_stdin(input)?;
    rustix::stdio::dup2_stdout(output)?;
    Ok(rustix::stdio::dup2_stderr(error)?)
}

/// Nobody's terminal or pipe is held open any more.
pub fn leave_streams() -> std::io::Result<()> {
    let nothing = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    replace_streams([nothing.as_fd(); 3])
}

fn environment(
    request: &Request,
    login: &Login,
    terminal_name: Option<String>,
) -> BTreeMap<String, String> {
    let mut all = attach::environment(&request.environment);
    all.extend(login.variables());
    all.extend(request.terminal.iter().map(|it| ("TERM".to_owned(), it.kind.clone())));
    all.extend(terminal_name.map(|name| ("SSH_TTY".to_owned(), name)));
    all
}

/// A container of an older image lacks the server; then nothing is started.
fn require_sftp_server(container: &str, init_pid: u32) -> Result<()> {
    let root = rooted::open_root(Path::new(&format!("/proc/{init_pid}/root")));
    root.and_then(|root| rooted::open(root.as_fd(), Path::new(SFTP_SERVER), OFlags::PATH))
        .map(drop)
        .doing(|| format!("run {SFTP_SERVER} in container `{container}`"))
        .map_err(|error| {
            error.hint("`aio bootstrap` makes it anew with the package `openssh-sftp-server`.")
        })
}

/// What the attached child does: all that it touches is the container's own.
fn in_container(
    request: &Request,
    login: &Login,
    environment: &BTreeMap<String, String>,
    control: Option<OwnedFd>,
) -> i32 {
    // Programs of the container have nothing to do with the gateway's socket.
    let control = control.filter(|_| matches!(request.job, Job::Connect(_)));
    // A session of its own: its process group can be ended without anybody else's.
    let _ = rustix::process::setsid();
    // As every login does: a home that is missing is no reason to stay out.
    let _ = std::env::set_current_dir(&login.home);
    if let Job::Connect(destination) = &request.job {
        return control.map_or(1, |control| super::connect::connect(destination, control.as_fd()));
    }
    if request.terminal.is_some() {
        let _ = rustix::process::ioctl_tiocsctty(std::io::stdin());
    }
    let mut program = program(&request.job, login);
    let error = program.env_clear().envs(environment).exec();
    let _ = writeln!(std::io::stderr(), "{}: {error}", program.get_program().display());
    127
}

fn program(job: &Job, login: &Login) -> Command {
    let mut shell = inheriting(&login.shell);
    let name = login.shell_name();
    match job {
        // Without a shell: what its start-up files print would be taken for an answer.
        Job::Files => return inheriting(SFTP_SERVER),
        Job::Command(command) => shell.arg0(name).arg("-c").arg(OsStr::from_bytes(command)),
        // The dash makes it a login shell.
        _ => shell.arg0(format!("-{name}")),
    };
    shell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_map() {
        let map = "         0     100000      65536\n     65536          7          1\n";
        assert_eq!(outside_id(map, 0), Some(100_000));
        assert_eq!(outside_id(map, 65_535), Some(165_535));
        assert_eq!(outside_id(map, 65_536), Some(7));
        assert_eq!(outside_id(map, 65_537), None);
        assert_eq!(outside_id("0 0 4294967295\n", 0), Some(0));
    }

    #[test]
    fn a_client_sets_no_identity_and_the_terminal_has_its_kind() {
        let [user, home, shell] = ["root", "/root", "/bin/bash"].map(str::to_owned);
        let request = Request {
            container: String::new(),
            log: "/".into(),
            environment: [("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("TERM", "x")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            job: Job::Shell,
            terminal: Some(crate::gateway::terminal::Terminal {
                kind: "xterm".to_owned(),
                size: crate::gateway::terminal::Size::default(),
                modes: Vec::new(),
            }),
            open_files: None,
        };
        let login = Login { user, home, shell };
        let all = environment(&request, &login, Some("/dev/pts/3".to_owned()));
        let value = |name: &str| all[name].as_str();
        assert_eq!([value("HOME"), value("LANG"), value("TERM")], ["/root", "C.UTF-8", "xterm"]);
        assert_eq!([value("SHELL"), value("SSH_TTY")], ["/bin/bash", "/dev/pts/3"]);
        assert!(value("PATH").contains("/usr/sbin"));
    }
}
