//! `aio tempest`: the release's Tempest, as a profile has it in its `suites`.

use std::process::ExitCode;

use super::run::{Asked, run as run_suite};
use super::words;
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;

const SUITE: &str = "tempest";

/// Arguments of `aio tempest`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio tempest --smoke                       the basic tests of every service
  aio tempest tempest.api.identity          all tests of keystone
  aio tempest --smoke 'identity|volume'     basic ones of two services
  aio tempest --smoke --output json         the results for programs

It runs in the utility container, configured for the services of this cloud, as many tests at a time
as the host has cores. Exits with 1 if any test fails.")]
pub struct Args {
    /// Only the basic tests
    #[arg(long)]
    pub smoke: bool,
    /// Only tests whose name this regular expression fits
    #[arg(value_name = "REGEX")]
    pub regex: Option<String>,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let mut options = options(global);
    options.wish.lines = true;
    let asked = Asked { smoke: args.smoke, regex: args.regex };
    let results = block_on(run_suite(&options, SUITE, &asked))?;
    global.print(&results, words::render)?;
    results.error.map_or(Ok(ExitCode::SUCCESS), Err)
}
