//! `aio verify`: use every service as its users do.

use std::path::PathBuf;
use std::process::ExitCode;

use super::lasting;
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
  aio verify --before made.json    makes what is to outlast an upgrade, say
  aio verify --after made.json     whether all of it is there and as it was

Each check does what a user would do (asks for a token, makes a stack) and takes it away again. They
run side by side; one that fails stops no other. Exits with 1 if any fails.")]
pub struct Args {
    /// Which services; all without one
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Make what users have, and write down in FILE what it is
    ///
    /// A server with a floating IP and a volume, a stack, an object, … They stay until `--after FILE
    /// --remove`.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub before: Option<PathBuf>,
    /// Prove that all that FILE names is there and as it was: that servers ran on, say
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["before", "services"])]
    pub after: Option<PathBuf>,
    /// Remove it afterwards, proven or not, and FILE
    #[arg(long, requires = "after")]
    pub remove: bool,
}

pub fn run(global: &Global, args: &Args) -> Result<ExitCode> {
    let options = options(global);
    let verified = block_on(async {
        match (&args.before, &args.after) {
            (Some(file), _) => lasting::before(&options, file, &args.services).await,
            (None, Some(file)) => lasting::after(&options, file, args.remove).await,
            (None, None) => verify(&options, &args.services).await,
        }
    })?;
    global.print(&verified, words::render)?;
    verified.error().map_or(Ok(ExitCode::SUCCESS), Err)
}
