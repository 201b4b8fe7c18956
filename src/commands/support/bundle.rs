//! The archive: collected in parts, masked, written.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use tokio::sync::OnceCell;

use super::archive::Archive;
use super::findings::{Findings, Missing};
use super::ground::{Asked, Ground};
use crate::cloud::run::Options;
use crate::cloud::{open, recorded};
use crate::commands::dev::source::user::User;
use crate::engine::graph::Graph;
use crate::engine::interrupt::Interrupt;
use crate::engine::options::{RunOptions, Slots};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Host, blocking};
use crate::state::topology::Topology;
use crate::ui;

const COMMAND: &str = "support-bundle";

#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// Its name below the archive's one directory.
    pub name: String,
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Bundle {
    pub file: PathBuf,
    pub bytes: u64,
    /// The directory in it, below which everything stands.
    pub directory: String,
    pub members: Vec<Member>,
    /// What could not be collected.
    pub missing: Vec<Missing>,
    /// Whether root collected it: others cannot see most of a cloud.
    pub read_as_root: bool,
    /// Names of secrets so short that who reads the archive may guess them.
    pub short_secrets: Vec<String>,
}

/// # Errors
/// When it cannot be written, or the user interrupts: then nothing is left of it.
pub async fn bundle(options: &Options, asked: &Asked) -> Result<Bundle> {
    let interrupt = Interrupt::on_signals()?;
    let archive = Archive::begin(&asked.file, asked.force)?;
    let cloud = recorded::find(&options.paths).ok().flatten();
    let host = Arc::new(open::broken_host(&options.paths, cloud.as_ref()).await?);
    write(options, asked, archive, host, interrupt).await
}

/// Collects over a host, and writes.
async fn write(
    options: &Options,
    asked: &Asked,
    archive: Archive,
    host: Arc<Host>,
    interrupt: Interrupt,
) -> Result<Bundle> {
    let cancel = interrupt.cancel.clone();
    let ground = Arc::new(ground(options, asked)?);
    let run_options = RunOptions {
        command: COMMAND.to_owned(),
        told_by_command: true,
        slots: slots(),
        interrupt,
        ..RunOptions::default()
    };
    let graph = Graph::new(super::parts::steps(&ground))?;
    let listeners = ui::listeners(options.wish, None);
    let report = crate::engine::run::run(&graph, host, run_options, listeners).await;
    if report.summary.interrupted {
        return Err(Error::new(ErrorKind::Interrupted, doing(asked)).because("interrupted"));
    }
    // A part that panicked, say: the rest is there.
    for failure in report.failures() {
        let why = failure.error.as_ref().map(ToString::to_string).unwrap_or_default();
        ground.findings.missing(&failure.title, why);
    }
    let directory = format!("{}-{}", options.paths.cloud, ui::format::timestamp(SystemTime::now()));
    let (mut files, missing) = ground.findings.take();
    let short_secrets = ground.findings.short_secrets();
    super::layout::add(&mut files, &missing, &short_secrets, &directory);
    let members = files
        .iter()
        .map(|(name, content)| Member { name: name.clone(), bytes: content.len() as u64 })
        .collect();
    let owner = owner()?;
    let top = directory.clone();
    let finish = move || archive.finish(&top, &files, owner, &cancel);
    let bytes = blocking(&doing(asked), finish).await?;
    Ok(Bundle {
        file: asked.file.clone(),
        bytes,
        directory,
        members,
        missing,
        read_as_root: rustix::process::geteuid().is_root(),
        short_secrets,
    })
}

fn doing(asked: &Asked) -> String {
    format!("write {}", asked.file.display())
}

/// Reads what is recorded and what must be masked.
fn ground(options: &Options, asked: &Asked) -> Result<Ground> {
    let paths = &options.paths;
    let found = recorded::find(paths);
    let none = matches!(found, Ok(None));
    let findings = Findings::new(super::known::known(paths, !none))?;
    let cloud = found.unwrap_or_else(|error| {
        findings.missing("state/cloud.json", error);
        None
    });
    let containers = match &cloud {
        Some(cloud) => cloud.containers.clone(),
        None => Topology::load(paths).map(|known| known.containers().to_vec()).unwrap_or_default(),
    };
    if none {
        findings.missing("containers", format!("there is no cloud `{}`", paths.cloud));
    }
    Ok(Ground {
        options: options.clone(),
        asked: asked.clone(),
        cloud,
        containers,
        findings,
        facts: OnceCell::new(),
        files: OnceCell::new(),
    })
}

/// Most of it waits for files and tools.
fn slots() -> Slots {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = cores.clamp(2, 8);
    Slots { package: 1, download: 1, start: 1, load }
}

/// Returns the user who gets the archive: the one behind `sudo`.
fn owner() -> Result<Option<(u32, u32)>> {
    let user = User::invoking()?;
    let is_another = rustix::process::geteuid().as_raw() != user.uid;
    Ok(is_another.then_some((user.uid, user.gid)))
}

#[cfg(test)]
mod tests;
