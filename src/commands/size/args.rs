//! `aio size`: what this host has, what would be built on it and what that takes.

use std::process::ExitCode;

use super::words;
use crate::cloud::opened::Opened;
use crate::commands::global::{Choices, Global};
use crate::commands::runtime::block_on;
use crate::error::{ErrorKind, Result};
use crate::host::facts::{self, Depth};

/// Arguments of `aio size`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio size                         what would be built here
  aio size --scenario minimal      what the smallest cloud would take
  aio size --output json           every host fact that was read, for a bug report

Needs no root and changes nothing. Exits with 4 when the host cannot carry the cloud.")]
pub struct Args {
    /// Which cloud.
    #[command(flatten)]
    pub choices: Choices,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let paths = global.paths();
    let choices = args.choices.options(&global.name);
    let opened = Opened::read(&paths, &choices)?;
    let facts = block_on(async { Ok(facts::read(&paths.state_dir, Depth::Thorough).await) })?;
    let decision = opened.decide(&facts, &choices)?;
    global.print(&decision.report(&facts), |_| words::report(&facts, &decision))?;
    let refused = !decision.refusals.is_empty();
    Ok(if refused { ExitCode::from(ErrorKind::Host.exit_code()) } else { ExitCode::SUCCESS })
}
