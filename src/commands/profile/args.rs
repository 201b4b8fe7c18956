//! `aio profile`: what authors of profiles need.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use console::style;

use super::check::{self, Finding};
use super::measure::{self, Measured};
use crate::commands::global::Global;
use crate::commands::runtime::block_on;
use crate::error::{Error, ErrorKind, Result};
use crate::model::paths::Paths;
use crate::ui;

/// Arguments of `aio profile`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio profile new greeter          begin a service, in the configuration directory
  aio profile check                what is wrong with the profiles there
  aio profile check .              with those of this checkout
  aio profile measure greeter      its memory, when it has rested for some minutes")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with profiles.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Say everything that `bootstrap` would find wrong with profiles; exit with 3 if there is anything.
    ///
    /// Needs no root and no cloud. Every scenario, and a cloud with all kinds, is built on paper.
    Check {
        /// Where `profiles/` and `secrets/` stand; the configuration directory without one
        #[arg(value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
        path: Option<PathBuf>,
    },
    /// Write the files of a new service, with the keys that most services need.
    ///
    /// No file is replaced. `aio profile check` finds nothing wrong with them.
    New {
        /// The service's name
        #[arg(value_name = "NAME")]
        service: String,
        /// Where `profiles/` and `secrets/` stand; the configuration directory without one
        #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
        into: Option<PathBuf>,
    },
    /// Print what a profile says as `idle_mib` and `per_worker_mib`, as a running container has it.
    ///
    /// Of what its processes share, each has its part (PSS). Measure when it has rested for some minutes.
    Measure {
        /// Which container; the first of a kind
        #[arg(value_name = "KIND")]
        kind: String,
    },
}

pub fn run(global: &Global, args: &Args) -> Result<ExitCode> {
    let paths = global.paths();
    match &args.command {
        Command::Check { path } => check(global, path.clone(), paths),
        Command::New { service, into } => {
            let written = check::new(into.as_ref().unwrap_or(&paths.config_dir), service)?;
            global.print(&written, |written| {
                written.iter().map(|path| format!("{}\n", path.display())).collect()
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Measure { kind } => {
            let measured = block_on(measure::measure(&paths, kind))?;
            global.print(&measured, |Measured { idle_mib, per_worker_mib }| {
                format!("idle_mib: {idle_mib}, per_worker_mib: {per_worker_mib}\n")
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(global: &Global, path: Option<PathBuf>, mut paths: Paths) -> Result<ExitCode> {
    if let Some(path) = path {
        if !path.is_dir() {
            let message = format!("check the profiles in {}", path.display());
            return Err(
                Error::new(ErrorKind::NotFound, message).because("there is no such directory")
            );
        }
        paths.config_dir = path;
    }
    let findings = block_on(check::check(&paths))?;
    global.print(findings.as_slice(), report)?;
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(ErrorKind::Config.exit_code()))
}

fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        let place = finding.file.as_ref().map(|file| format!("{file}{line}: ")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}{}",
            style(place).bold(),
            ui::harmless::below_first(&finding.message)
        );
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "  {hint}");
        }
    }
    let _ = match findings.len() {
        0 => writeln!(text, "nothing is wrong with the profiles"),
        1 => writeln!(text, "\n1 thing is wrong"),
        many => writeln!(text, "\n{many} things are wrong"),
    };
    text
}
