//! The unit's process in this terminal, standard input and all: for `breakpoint()`.

use std::process::Stdio;

use tokio::signal::unix::{SignalKind, signal};

use super::target::Target;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::swap::Swap;
use crate::session::run::Options;
use crate::ui;

/// Runs it until it ends.
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

/// Attached by another `aio`: a fork belongs into a process with one thread. It puts the terminal
/// into raw mode, so that Ctrl-C is the service's.
fn process(options: &Options, target: &Target, swap: &Swap) -> Result<tokio::process::Child> {
    let doing = || format!("run {} in this terminal", swap.label());
    let paths = &options.paths;
    let binary = std::env::current_exe().doing(doing)?;
    // It does not outlive this command, however that ends. What it runs may: undoing ends that.
    let mut command = tokio::process::Command::new("setpriv");
    command.args(["--pdeathsig", "HUP"]).arg(binary).args(["--name", &paths.cloud]);
    command.arg("--config-dir").arg(&paths.config_dir).arg("--state-dir").arg(&paths.state_dir);
    command.args(["attach", &swap.container, "--", "runuser", "-u", &target.dev.user, "--", "env"]);
    for (name, value) in swap.process_environment() {
        command.arg(format!("{name}={value}"));
    }
    command.args(["sh", "-c", &format!("cd ~ && {}", target.unit_dev.foreground)]);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    command.spawn().doing(doing)
}
