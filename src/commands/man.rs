//! `aio man`: manual pages, for packagers and the install script.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::{Result, ResultExt};

/// Arguments of `aio man`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Where to write them, for example /usr/local/share/man/man1
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Writes one page for `aio` and one for each command.
pub fn run(command: clap::Command, args: Args) -> Result<ExitCode> {
    let doing = || format!("write manual pages into {}", args.directory.display());
    std::fs::create_dir_all(&args.directory).doing(doing)?;
    clap_mangen::generate_to(command, &args.directory).doing(doing)?;
    Ok(ExitCode::SUCCESS)
}
