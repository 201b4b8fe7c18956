//! Runs the host's `git` as the user who called.
//!
//! Only git has what a user set up for it: credential helpers, the ssh agent and its keys, proxies,
//! `insteadOf`. So it runs with that user's ids and home, never as root on a user's behalf, and
//! what it makes belongs to that user.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::user::User;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::process::{self, Finished, Running, Stream};

/// How long a git that was told to end may remove its unfinished files.
const PATIENCE: Duration = Duration::from_secs(3);

/// What git needs of the environment: how a server is reached and who asks. Nothing else of root's:
/// there may be tokens, and what points git at another repository.
const VARIABLES: [&str; 27] = [
    "PATH",
    "TERM",
    "LANG",
    "TZ",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
];

/// Those that are the user's own only while nobody else runs git for that user.
const OWN_VARIABLES: [&str; 6] =
    ["HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "DBUS_SESSION_BUS_ADDRESS"];

/// The commands that talk to a server, which may want a password.
const MAY_ASK: [&str; 3] = ["clone", "fetch", "ls-remote"];

/// What the settings of a repository must not have git run.
const SAFE: [&str; 4] = ["-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never"];

/// Who watches what takes long.
pub struct Watch<'a> {
    /// Gets every line of progress; a line may replace the one before.
    pub progress: &'a mut dyn FnMut(&str),
    /// Asked often; `true` ends git and fails with [`ErrorKind::Interrupted`].
    pub cancelled: &'a dyn Fn() -> bool,
}

/// `git` in one directory, as one user.
pub(super) struct Git<'a> {
    pub user: &'a User,
    pub directory: &'a Path,
}

impl Git<'_> {
    /// Runs git to its end and returns what it printed. `doing` says what for.
    pub fn run(&self, doing: &str, args: &[&str], watch: &mut Watch) -> Result<String> {
        let may_ask = args.first().is_some_and(|command| MAY_ASK.contains(command));
        let terminal = may_ask && std::io::stdin().is_terminal();
        // Without a terminal, who could answer? A session of its own: all of it can be ended, and it
        // cannot reach the caller's terminal otherwise. With one it must stay in the foreground
        // group: it may ask for a password there.
        let running = Running::start(self.command(args, terminal), !terminal, PATIENCE)
            .map_err(|error| self.not_started(doing, &error))?;
        let finished = running.finish(watch.cancelled, &mut |stream, line| {
            if stream == Stream::Err {
                (watch.progress)(line);
            }
        });
        match finished.doing(|| format!("{doing}: wait for git"))? {
            Some(finished) if finished.status.success() => Ok(finished.stdout),
            Some(finished) if !(watch.cancelled)() => Err(self.failed(doing, &finished)),
            _ => Err(Error::new(ErrorKind::Interrupted, doing).because("cancelled")),
        }
    }

    fn command(&self, args: &[&str], terminal: bool) -> Command {
        let mut command = process::tool("git");
        command.args(SAFE).args(args).current_dir(self.directory);
        let is_another = self.user.is_another();
        let own = OWN_VARIABLES.iter().filter(|_| !is_another);
        for name in VARIABLES.iter().chain(own) {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.env("LC_ALL", "C.UTF-8");
        if is_another {
            command.uid(self.user.uid).gid(self.user.gid);
            command.env("HOME", &self.user.home);
            command.env("USER", &self.user.name).env("LOGNAME", &self.user.name);
            // Where a credential helper finds its bus.
            let runtime = format!("/run/user/{}", self.user.uid);
            if Path::new(&runtime).is_dir() {
                command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={runtime}/bus"));
                command.env("XDG_RUNTIME_DIR", runtime);
            }
        }
        if !terminal {
            command.env("GIT_TERMINAL_PROMPT", "0");
        }
        command
    }

    fn not_started(&self, doing: &str, error: &std::io::Error) -> Error {
        let failed = Error::new(ErrorKind::Host, doing).because(format!("run `git`: {error}"));
        match error.kind() {
            // A directory that is missing gives the same error as a program that is.
            std::io::ErrorKind::NotFound if self.directory.is_dir() => {
                failed.hint("Install it: apt install git")
            }
            _ => failed.hint(format!(
                "The user `{}` must be able to enter {}.",
                self.user.name,
                self.directory.display()
            )),
        }
    }

    fn failed(&self, doing: &str, finished: &Finished) -> Error {
        let lines: Vec<&str> = finished.tail.lines().collect();
        let marked = |line: &&&str| line.starts_with("fatal: ") || line.starts_with("error: ");
        let said = lines.iter().find(marked).or(lines.last());
        let reason = match said {
            Some(line) => format!("git says: {line}"),
            None => format!("git ended with {}", finished.status),
        };
        let error = Error::failed(doing).because(reason).output(lines.join("\n"));
        let asked = lines.iter().any(|line| line.contains("Permission denied (publickey"));
        if asked && std::env::var_os("SSH_AUTH_SOCK").is_none() {
            return error.hint(format!(
                "git ran as `{}` without an ssh agent; to lend it yours: sudo \
                 --preserve-env=SSH_AUTH_SOCK aio …",
                self.user.name
            ));
        }
        if lines.iter().any(|line| line.contains("terminal prompts disabled")) {
            return error.hint(format!(
                "Set up a credential helper for `{}`, or run in a terminal.",
                self.user.name
            ));
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_cancelled_git_is_ended_with_its_children() {
        let user = User::invoking().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let git = Git { user: &user, directory: directory.path() };
        let (started, child) = (Instant::now(), std::cell::Cell::new(None));
        let mut watch = Watch {
            progress: &mut |line| child.set(line.parse().ok()),
            cancelled: &|| child.get().is_some(),
        };
        let args = ["-c", "alias.wait=!echo $$ >&2; exec sleep 60", "wait"];
        let error = git.run("wait for nothing", &args, &mut watch).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted);
        // It may be on its way out, or a zombie, but it must not sleep on.
        while process::started_ticks(child.get().unwrap()).is_some() {
            assert!(started.elapsed() < Duration::from_secs(10), "sleep survived");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn git_gets_a_session_of_its_own_and_nothing_of_the_environment_that_it_does_not_need() {
        let user = User::invoking().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let git = Git { user: &user, directory: directory.path() };
        let mut watch = Watch { progress: &mut |_| {}, cancelled: &|| false };
        let args =
            ["-c", "alias.look=!env; ps -o sid= -p $$ | sed 's/^ */SID=/'; echo GROUP=$$", "look"];
        let said = git.run("look around", &args, &mut watch).unwrap();
        // By number: in a container, the session may be led by a process outside, and is then 0.
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        let own = own.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap();
        assert!(said.contains("SID=") && !said.contains(&format!("SID={own}\n")), "{said}");
        // What cargo or the test script sets stands for a token of root's.
        let tokens = ["CARGO_MANIFEST_DIR", "RUST_BACKTRACE"];
        assert!(tokens.iter().any(|name| std::env::var_os(name).is_some()));
        assert!(!tokens.iter().any(|name| said.contains(name)), "{said}");
        assert!(said.contains("\nPATH=") || said.starts_with("PATH="), "{said}");
    }

    #[test]
    fn an_error_has_what_git_said() {
        let user = User::invoking().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let git = Git { user: &user, directory: directory.path() };
        let mut watch = Watch { progress: &mut |_| {}, cancelled: &|| false };
        let args = ["ls-remote", "/nowhere/at/all"];
        let error = git.run("list what is nowhere", &args, &mut watch).unwrap_err();
        assert_eq!(error.message, "list what is nowhere");
        assert!(error.causes[0].contains("/nowhere/at/all"), "{:?}", error.causes);
        assert!(error.output.unwrap().contains("fatal"));
    }
}
