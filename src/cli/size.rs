//! `aio size`: what this host has, what would be built on it and what that takes.

use std::process::ExitCode;

use serde_json::json;

use super::global::{Choices, Global};
use crate::cli::start::block_on;
use crate::config::cloud::CloudFile;
use crate::config::load::Profiles;
use crate::error::{ErrorKind, Result};
use crate::host::facts::{self, Depth};
use crate::host::network::obstacles;
use crate::model::survey::survey;
use crate::ui;

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

/// Runs `aio size`.
///
/// # Errors
/// When the files are wrong, or a range that they name is taken.
pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let paths = global.paths();
    let profiles = Profiles::load(&paths.config_dir)?;
    let mut cloud = CloudFile::load(&paths.cloud_file())?;
    let options = args.choices.options(&global.name);
    cloud.apply(&options, &profiles)?;
    let facts = block_on(async { Ok(facts::read(&paths.state_dir, Depth::Thorough).await) })?;
    let survey = survey(&paths.cloud, &facts, &profiles, &cloud, &options)?;
    let obstacles = obstacles::sentences(
        &paths.cloud,
        &survey.networks.networks,
        options.expose.is_some(),
        &facts.network.forward_chains,
    );
    if global.json() {
        ui::out::json(&json!({ "facts": facts, "cloud": survey, "obstacles": obstacles }))?;
    } else {
        ui::out::text(&ui::size::report(&facts, &survey, &obstacles))?;
    }
    let refused = !survey.refusals.is_empty();
    Ok(if refused { ExitCode::from(ErrorKind::Host.exit_code()) } else { ExitCode::SUCCESS })
}
