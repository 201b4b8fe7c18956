//! The unit's process in this terminal, standard input and all: for `breakpoint()`.

use std::io::IsTerminal as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{SignalKind, signal};

use super::target::Target;
use crate::cloud::run::Options;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::process::inheriting;
use crate::model::swap::Swap;
use crate::ui;

/// How often it is looked whether the terminal is still there.
const POLL: Duration = Duration::from_secs(1);

pub async fn run(options: &Options, target: &Target, swap: &Swap) -> Result<()> {
    let label = swap.label();
    ui::out::note(&format!(
        "{label} runs in this terminal; Ctrl-C ends it, or `q` at a (Pdb) prompt."
    ));
    let doing = || format!("run {label} in this terminal");
    let mut process = process(options, target, swap)?;
    let mut terminate = signal(SignalKind::terminate()).doing(doing)?;
    let mut hang_up = signal(SignalKind::hangup()).doing(doing)?;
    let ended = tokio::select! {
        ended = process.wait() => Some(ended),
        _ = terminate.recv() => None,
        _ = hang_up.recv() => None,
        () = lost() => None,
    };
    let Some(status) = ended else {
        return process.kill().await.doing(doing);
    };
    let status = status.doing(doing)?;
    if status.success() || status.code() == Some(130) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Failed, format!("run {label} in this terminal"))
        .because(format!("it ended with {status}")))
}

/// Waits until the terminal that standard input is has gone. Nobody hears SIGHUP where the shell that
/// leads the session ignores it, as below `nohup`.
pub(super) async fn lost() {
    let input = std::io::stdin();
    if !input.is_terminal() {
        std::future::pending::<()>().await;
    }
    let hung_up = || {
        let mut watched = [PollFd::new(&input, PollFlags::empty())];
        poll(&mut watched, Some(&Timespec::default())).is_ok()
            && watched[0].revents().contains(PollFlags::HUP)
    };
    while !hung_up() {
        tokio::time::sleep(POLL).await;
    }
}

/// Attached by another `aio`: a fork belongs into a process with one thread. It puts the terminal
/// into raw mode, so that Ctrl-C is the service's.
fn process(options: &Options, target: &Target, swap: &Swap) -> Result<tokio::process::Child> {
    let doing = || format!("run {} in this terminal", swap.label());
    let paths = &options.paths;
    let binary = std::env::current_exe().doing(doing)?;
    // It does not outlive this command, however that ends. What it runs may: undoing ends that.
    let mut command = tokio::process::Command::from(inheriting("setpriv"));
    command.args(["--pdeathsig", "HUP"]).arg(binary).args(["--name", &paths.cloud]);
    command.arg("--config-dir").arg(&paths.config_dir).arg("--state-dir").arg(&paths.state_dir);
    command.args(["attach", &swap.container, "--", "runuser", "-u", &target.dev.user, "--", "env"]);
    for (name, value) in swap.process_environment() {
        command.arg(format!("{name}={value}"));
    }
    // The checkout's own programs before the package's.
    let (programs, foreground) = (swap.programs_path(), &target.unit_dev.foreground);
    command.args(["sh", "-c", &format!("cd ~ && PATH={programs}:$PATH && {foreground}")]);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    command.spawn().doing(doing)
}
