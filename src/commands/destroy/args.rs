//! `aio destroy`: remove everything that aio made.

use std::process::ExitCode;

use super::run::{Keep, destroy};
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;

/// Arguments of `aio destroy`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio destroy                      asks first
  aio destroy --yes --keep-images  the next bootstrap is quick

What you wrote yourself (user_variables.yml, overrides/, profiles/) is kept.")]
pub struct Args {
    /// Keep the image layers, so that the next cloud is built quickly
    #[arg(long)]
    pub keep_images: bool,
    /// Keep cloud.yml and user_secrets.yml, so that the next cloud is the same
    #[arg(long)]
    pub keep_config: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let keep = Keep { images: args.keep_images, config: args.keep_config };
    block_on(destroy(&options(global), keep, args.yes)).map(|()| ExitCode::SUCCESS)
}
