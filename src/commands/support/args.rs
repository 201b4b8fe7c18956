//! `aio support-bundle`: what a maintainer would ask for, as one file without a secret.

use std::path::PathBuf;
use std::process::ExitCode;

use super::bundle::bundle;
use super::ground::Asked;
use super::words::{notes, sentence};
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;
use crate::ui;

/// What the name of an archive ends with.
const ENDING: &str = ".tar.gz";

/// Arguments of `aio support-bundle`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  sudo aio support-bundle /tmp/aio.tar.gz              everything
  sudo aio support-bundle aio.tar.gz --lines 20000     with longer journals
  aio support-bundle aio.tar.gz                        what can be seen without root

It only looks, also while another aio runs, and works without a cloud. What cannot be collected is
named and stops nothing. Values of user_secrets.yml are masked in every spelling, and so is what
looks like a token, a private key or a password; of a value of fewer than 8 characters only whole
words are. Host names, addresses and what programs log are not masked: look through it before you
give it to others.")]
pub struct Args {
    /// The archive to write; its name ends with `.tar.gz`
    #[arg(value_name = "FILE", value_parser = archive)]
    pub file: PathBuf,
    /// Replace FILE if it exists
    #[arg(long)]
    pub force: bool,
    /// How many entries of each container's journal
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 2000)]
    pub lines: u32,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let Args { file, force, lines } = args;
    let file = std::path::absolute(&file).unwrap_or(file);
    let arguments = std::env::args_os().map(|it| it.to_string_lossy().into_owned()).collect();
    let asked = Asked { file, force, lines, arguments };
    let bundle = block_on(bundle(&options(global), &asked))?;
    if !global.quiet {
        for line in notes(&bundle) {
            ui::out::note(&line);
        }
    }
    global.print(&bundle, |bundle| sentence(bundle) + "\n")?;
    Ok(ExitCode::SUCCESS)
}

fn archive(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = name.as_deref().and_then(|name| name.strip_suffix(ENDING));
    match stem {
        Some(stem) if !stem.is_empty() && !text.ends_with('/') => Ok(path),
        _ => Err(format!("it is written as {ENDING}: name it so, for example aio{ENDING}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_as_what_it_is() {
        for name in ["a.tar.gz", "/tmp/x/a.b.tar.gz", "./a.tar.gz"] {
            assert_eq!(archive(name), Ok(PathBuf::from(name)));
        }
        for name in ["", ".tar.gz", "a.tgz", "a.zip", "a", "/tmp/", "a.tar.gz/", "a.TAR.GZ"] {
            assert!(archive(name).unwrap_err().contains(".tar.gz"), "{name}");
        }
    }
}
