//! The record of an upgrade: from where to where, how far it came, and all that leads back but the
//! databases themselves, which stand beside it. It is there from the first change until it is accepted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::files::{read, remove, write_atomic};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::descent;
use crate::model::cloud::Cloud;
use crate::model::paths::Paths;

/// A cloud that goes from one release to another, or has.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Upgrade {
    /// The release that it had.
    pub from: String,
    /// The release that it goes to.
    pub to: String,
    pub progress: Progress,
    /// Kinds that stay of the former release.
    pub leave: BTreeSet<String>,
    /// When its databases were copied, in seconds since the epoch.
    pub began: u64,
    /// The cloud as it was.
    pub former: Cloud,
    /// What was recorded of set-up commands then.
    pub setup: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Some services are of the former release.
    Going,
    /// All that was to come along has.
    Done,
    /// It is being brought back.
    Returning,
}

/// The upgrade that is not accepted yet; `None` when there is none.
///
/// # Errors
/// When its record cannot be read.
pub fn find(paths: &Paths) -> Result<Option<Upgrade>> {
    let file = paths.upgrade_file();
    let Some(text) = read(&file)? else { return Ok(None) };
    serde_json::from_slice(&text).doing(|| format!("read {}", file.display())).map(Some)
}

/// # Errors
/// When it cannot be written.
pub fn save(paths: &Paths, upgrade: &Upgrade) -> Result<()> {
    let text = serde_json::to_vec(upgrade).doing(|| "write down the upgrade".to_owned())?;
    write_atomic(&paths.upgrade_file(), 0o600, &text)
}

/// Removes the record and what leads back.
///
/// # Errors
/// When it cannot be removed.
pub fn forget(paths: &Paths) -> Result<()> {
    // First what says that there is a way back.
    remove(&paths.upgrade_file())?;
    let directory = paths.upgrade_dir();
    descent::remove(&directory).doing(|| format!("remove {}", directory.display()))
}

/// Refuses to build a cloud that is on its way: `aio upgrade` does all that `bootstrap` does, in an order
/// that the databases need.
///
/// # Errors
/// [`ErrorKind::Busy`] then, or when the record cannot be read.
pub fn refuse_going(paths: &Paths) -> Result<()> {
    refuse_returning(paths, "build")?;
    match find(paths)? {
        Some(Upgrade { progress: Progress::Going, from, to, .. }) => {
            Err(Error::new(ErrorKind::Busy, format!("build the cloud `{}`", paths.cloud))
                .because(format!("it is on its way from {from} to {to}"))
                .hint("`aio upgrade` goes on with that, and does all that `bootstrap` does.")
                .hint(format!("`aio upgrade --back` brings it back to {from} as it was.")))
        }
        _ => Ok(()),
    }
}

/// Refuses to work on a cloud that is being brought back: its databases may be half of before.
///
/// # Errors
/// [`ErrorKind::Busy`] then, or when the record cannot be read.
pub fn refuse_returning(paths: &Paths, doing: &str) -> Result<()> {
    match find(paths)? {
        Some(Upgrade { progress: Progress::Returning, from, to, .. }) => {
            Err(Error::new(ErrorKind::Busy, format!("{doing} the cloud `{}`", paths.cloud))
                .because(format!("it is on its way back from {to} to {from}"))
                .hint("`aio upgrade --back` goes on with that."))
        }
        _ => Ok(()),
    }
}
