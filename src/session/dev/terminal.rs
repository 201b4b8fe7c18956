//! The unit's process in this terminal, standard input and all: for `breakpoint()`.

use std::process::Stdio;

use super::target::Target;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::swap::Swap;
use crate::session::run::Options;
use crate::ui;

/// Runs it until it ends.
pub async fn run(options: &Options, target: &Target, swap: &Swap) -> Result<()> {
    let label = swap.label();
    ui::out::note(&format!("{label} runs in this terminal; it ends with Ctrl-C or by itself."));
    let ended = process(options, target, swap)?.wait().await;
    let status = ended.doing(|| format!("run {label} in this terminal"))?;
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
    let mut command = tokio::process::Command::new(binary);
    command.args(["--name", &paths.cloud]);
    command.arg("--config-dir").arg(&paths.config_dir).arg("--state-dir").arg(&paths.state_dir);
    command.args(["attach", &swap.container, "--", "runuser", "-u", &target.dev.user, "--", "env"]);
    for (name, value) in swap.process_environment() {
        command.arg(format!("{name}={value}"));
    }
    command.args(["sh", "-c", &format!("cd ~ && {}", target.unit_dev.foreground)]);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    command.spawn().doing(doing)
}
