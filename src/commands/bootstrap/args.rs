//! `aio bootstrap` and `aio plan`: build the cloud, or say what building it would do.

use std::path::PathBuf;
use std::process::ExitCode;

use super::run::{self as work, Wanted};
use super::words;
use crate::cloud::run::Options;
use crate::commands::global::{Choices, Global};
use crate::commands::runtime::{block_on, options};
use crate::error::Result;
use crate::ui;

/// Arguments of `aio bootstrap`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio bootstrap                              the largest scenario that fits this host
  aio bootstrap --scenario minimal           one member of everything, 4 GiB of memory
  aio bootstrap --set galera.members=1       as before, but one database
  aio bootstrap --without heat               the same scenario, less a service
  aio bootstrap --expose                     reached from outside too, by TLS
  aio bootstrap --prepare-only               write the files to edit, then stop

Run it again at any time: it changes only what is not as it should be.")]
pub struct Args {
    /// Which cloud.
    #[command(flatten)]
    pub choices: Choices,
    /// Stop after the files in the configuration directory are written
    ///
    /// So that you can edit them, `user_secrets.yml` say, before anything is built.
    #[arg(long)]
    pub prepare_only: bool,
    /// Write a web page that shows every step on a time line
    #[arg(long, value_name = "FILE")]
    pub timings: Option<PathBuf>,
    /// Do not ask before containers are removed
    #[arg(short, long)]
    pub yes: bool,
    /// Remove containers even if something still needs them
    ///
    /// Servers that run on a hypervisor, say: they are lost.
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `aio plan`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio plan                         what `aio bootstrap` would do now, with a reason each
  aio plan --scenario minimal      what a smaller cloud would take
  aio plan --output json           the same for programs")]
pub struct PlanArgs {
    /// Which cloud.
    #[command(flatten)]
    pub choices: Choices,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let choices = args.choices.options(&global.name);
    let Args { prepare_only, timings, yes, force, .. } = args;
    let wanted = Wanted { choices: &choices, prepare_only, yes, force };
    let options = Options { timings, ..options(global) };
    let report = block_on(work::bootstrap(&options, wanted))?;
    if let Some(report) = report.filter(|_| global.json()) {
        ui::out::json(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// When the host or a file is not fit, or a step could not be looked at: what could is printed.
pub fn plan(global: &Global, args: PlanArgs) -> Result<ExitCode> {
    let choices = args.choices.options(&global.name);
    let planned = block_on(work::plan(&options(global), &choices))?;
    global.print(&planned, words::render)?;
    planned.report.unseen().map_or(Ok(ExitCode::SUCCESS), Err)
}
