//! `aio examples`: what may be written into the configuration directory, explained.

use std::path::PathBuf;
use std::process::ExitCode;

use super::global::Global;
use crate::cloud::opened::checked;
use crate::config::examples;
use crate::config::load::Profiles;
use crate::error::{Result, ResultExt};
use crate::state::files;

/// Arguments of `aio examples`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio examples ~/examples                    write them there
  less ~/examples/user_variables.yml         see what may be set, then write it to /etc/aio")]
pub struct Args {
    /// Where to write them; files of the same names there are replaced
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let directory = global.paths().config_dir;
    let (profiles, _) = checked(Profiles::load(&directory)?, None, &directory)?;
    let doing = || format!("write examples into {}", args.directory.display());
    std::fs::create_dir_all(args.directory.join("schema")).doing(doing)?;
    for (name, text) in examples::all(&profiles)? {
        files::write(&args.directory.join(name), text)?;
    }
    Ok(ExitCode::SUCCESS)
}
