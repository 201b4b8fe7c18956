//! `aio image`: the image layers of which containers are made.

use std::process::ExitCode;

use super::run::{list, prune, sentence, table};
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;

/// Arguments of `aio image`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio image ls                     layers, their size and age, and which containers use them
  aio image prune                  remove those that nobody uses; asks first
  aio image prune --downloads      downloaded packages too")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with layers.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// List the layers.
    Ls,
    /// Remove layers that no container uses.
    Prune {
        /// Remove all downloaded packages too
        #[arg(long)]
        downloads: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

pub fn run(global: &Global, args: &Args) -> Result<ExitCode> {
    let options = options(global);
    match args.command {
        Command::Ls => {
            let images = block_on(list(&options))?;
            global.print(images.as_slice(), table)?;
        }
        Command::Prune { downloads, yes } => {
            let pruned = block_on(prune(&options, downloads, yes))?;
            global.print(&pruned, |pruned| sentence(pruned) + "\n")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
