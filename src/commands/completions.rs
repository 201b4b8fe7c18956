//! `aio completions`: completion scripts.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::error::Result;
use crate::ui;

/// Arguments of `aio completions`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio completions bash > /etc/bash_completion.d/aio
  aio completions zsh > /usr/local/share/zsh/site-functions/_aio
  aio completions fish > ~/.config/fish/completions/aio.fish")]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

pub fn run(mut command: clap::Command, args: Args) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "aio", &mut script);
    ui::out::data(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
