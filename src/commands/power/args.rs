//! `aio start`, `aio stop`.

use std::process::ExitCode;

use super::run as work;
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;

/// Arguments of `aio start`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio start                        the whole cloud, after a reboot too
  aio start galera/2               one container

A name is a container's full name, its kind (heat_engine), kind and member (galera/2) or the
suffix of its name.")]
pub struct StartArgs {
    /// Which containers; all without one
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// Arguments of `aio stop`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio stop                         the whole cloud, in order
  aio stop keystone/2              one container, drained in HAProxy first")]
pub struct StopArgs {
    /// Which containers; all without one
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Do not ask when a unit in them runs from a checkout
    #[arg(short, long)]
    pub yes: bool,
}

pub fn start(global: &Global, args: StartArgs) -> Result<ExitCode> {
    block_on(work::start(&options(global), &args.names)).map(|()| ExitCode::SUCCESS)
}

pub fn stop(global: &Global, args: StopArgs) -> Result<ExitCode> {
    block_on(work::stop(&options(global), &args.names, args.yes)).map(|()| ExitCode::SUCCESS)
}
