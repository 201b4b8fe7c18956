//! `aio verify`: use every service as its users do.

use std::process::ExitCode;

use super::run::verify;
use super::words;
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;

/// Arguments of `aio verify`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio verify                       every service of the cloud
  aio verify keystone heat         two of them
  aio verify --output json         the same for programs

Each check does what a user would do (asks for a token, makes a stack) and takes it away again. They
run side by side; one that fails stops no other. Exits with 1 if any fails.")]
pub struct Args {
    /// Which services; all without one
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

pub fn run(global: &Global, args: &Args) -> Result<ExitCode> {
    let verified = block_on(verify(&options(global), &args.services))?;
    global.print(&verified, words::render)?;
    verified.error().map_or(Ok(ExitCode::SUCCESS), Err)
}
