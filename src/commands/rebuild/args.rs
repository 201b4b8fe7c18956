//! `aio rebuild`: throw containers away and make them anew.

use std::process::ExitCode;

use super::run::{Wanted, rebuild};
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;

/// Arguments of `aio rebuild`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio rebuild heat_engine          same name, address and data; the others are not touched
  aio rebuild galera/3 --data      its data too: it gets them back from the other members

A name is a container's full name, its kind (heat_engine), kind and member (galera/2) or the
suffix of its name.")]
pub struct Args {
    /// Which containers
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Drop its data as well
    #[arg(long)]
    pub data: bool,
    /// Drop data even if they are the last copy
    #[arg(long, requires = "data")]
    pub force: bool,
    /// Do not ask when a unit in it runs from a checkout
    #[arg(short, long)]
    pub yes: bool,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let Args { names, data, force, yes } = args;
    let wanted = Wanted { data, force, yes };
    block_on(rebuild(&options(global), &names, wanted)).map(|()| ExitCode::SUCCESS)
}
