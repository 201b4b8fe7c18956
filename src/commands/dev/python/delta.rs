//! The delta: wheels of what a checkout needs and the packages do not meet, in a directory that goes
//! in front of the packaged ones.
//!
//! Packaged versions are preferred by construction: only what is missing is fetched, without what it
//! needs in turn; then the container is asked again with the fetched metadata, until nothing is
//! missing. A delta is kept, named by what made it necessary, so a second swap needs no network. What
//! is in it was asked for by one container, and no other is given it.
//!
//! ```text
//! CACHE/ID/site/          the directory for PYTHONPATH
//! CACHE/ID/manifest.json  what is in it, and why
//! CACHE/wheels/           pip's cache
//! WHEELS/                 every wheel that was fetched
//! CACHE/.making-PID-*     one that is being made, or was when its maker died
//! ```

mod site_packages;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

pub use self::site_packages::Distribution;
use super::inspect::{Inspect, Inspection, Migrations, Request, Unmet};
use crate::error::{Error, Result, ResultExt};
use crate::host::python::{Pip, Places, listed};
use crate::lxc::descent;
use crate::model::hash::sha256_hex;
use crate::model::requirement::Requirement;
use crate::state::files::{self, private_directory};

/// Each round finds what the last one's wheels need. OpenStack's chains are two or three long.
const MOST_ROUNDS: usize = 12;

/// Changes when the same needs lead to another directory than before.
const FORMAT: u32 = 1;

const MAKING: &str = ".making-";

/// Where deltas are kept.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
    wheels: PathBuf,
    whose: Whose,
}

/// The container that deltas are made for.
#[derive(Clone, Debug, Serialize)]
pub struct Whose {
    pub cloud: String,
    pub container: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// Named by what made it necessary.
    pub id: String,
    /// The directory for PYTHONPATH, readable by everybody who can reach it.
    pub site: PathBuf,
    pub cached: bool,
    pub manifest: Manifest,
}

/// What a delta holds, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The Python it is for.
    pub python: String,
    /// The requirements that it meets, and what was there instead.
    pub requirements: Vec<Unmet>,
    pub distributions: Vec<Distribution>,
    pub files: u64,
    pub bytes: u64,
}

impl Cache {
    /// A container's deltas below a directory, and a directory of all wheels that were ever fetched
    /// for anybody's. Both are made when they are needed.
    pub fn new(directory: PathBuf, wheels: PathBuf, whose: Whose) -> Self {
        Self { directory, wheels, whose }
    }

    /// The delta for what `found` says is missing for `request`: `None` when nothing is, the kept one
    /// when there is one, else a new one.
    pub async fn provide(
        &self,
        request: &Request,
        found: &Inspection,
        pip: &Pip,
        container: &dyn Inspect,
    ) -> Result<Option<Delta>> {
        if found.missing.is_empty() {
            return Ok(None);
        }
        let id = id(&self.whose, request, found)?;
        if let Some(delta) = self.kept(&id)? {
            return Ok(Some(delta));
        }
        private_directory(&self.directory)?;
        self.remove_abandoned()?;
        let (staging, manifest) = self.make(request, found, pip, container).await?;
        self.publish(&id, staging, &manifest)?;
        let site = self.directory.join(&id).join("site");
        Ok(Some(Delta { id, site, cached: false, manifest }))
    }

    /// A delta that was made before and is whole. One that a power cut has damaged is removed.
    fn kept(&self, id: &str) -> Result<Option<Delta>> {
        let directory = self.directory.join(id);
        let site = directory.join("site");
        let text = match fs::read_to_string(directory.join("manifest.json")) {
            Err(error) if error.kind() == Io::NotFound && !directory.exists() => return Ok(None),
            text => text.unwrap_or_default(),
        };
        if let Ok(manifest) = serde_json::from_str::<Manifest>(&text)
            && site_packages::measure(&site).ok() == Some((manifest.files, manifest.bytes))
        {
            return Ok(Some(Delta { id: id.to_owned(), site, cached: true, manifest }));
        }
        descent::remove(&directory).doing(|| format!("remove {}", directory.display()))?;
        Ok(None)
    }

    async fn make(
        &self,
        request: &Request,
        found: &Inspection,
        pip: &Pip,
        container: &dyn Inspect,
    ) -> Result<(TempDir, Manifest)> {
        let mut requirements = found.missing.clone();
        for _ in 0..MOST_ROUNDS {
            // Always from nothing: pip does not replace what an earlier round put there.
            let staging = self.staging()?;
            let needed = needed(&requirements);
            let cache = self.directory.join("wheels");
            let places = Places { cache, wheels: self.wheels.clone() };
            let site = pip.install(&needed, staging.path(), &places, &found.platform()).await?;
            site_packages::tidy(&site)?;
            let (distributions, delta) = site_packages::read(&site)?;
            let missing = container.inspect(&again(request, delta)).await?.missing;
            if missing.is_empty() {
                let (files, bytes) = site_packages::measure(&site)?;
                let python = found.python.clone();
                let manifest = Manifest { python, requirements, distributions, files, bytes };
                return Ok((staging, manifest));
            }
            let before = requirements.len();
            let new = missing.iter().filter(|unmet| !needed.contains(&unmet.requirement));
            requirements.extend(new.cloned());
            if requirements.len() == before {
                return Err(stuck(&missing));
            }
        }
        Err(Error::failed("find what the checkout needs")
            .because(format!("after {MOST_ROUNDS} rounds there was still something missing"))
            .because(listed(&needed(&requirements))))
    }

    fn staging(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix(&format!("{MAKING}{}-", std::process::id()))
            .tempdir_in(&self.directory)
            .doing(|| format!("make a directory in {}", self.directory.display()))
    }

    fn publish(&self, id: &str, staging: TempDir, manifest: &Manifest) -> Result<()> {
        let target = self.directory.join(id);
        let doing = || format!("publish {}", target.display());
        let text = serde_json::to_vec_pretty(manifest).doing(doing)?;
        files::write(&staging.path().join("manifest.json"), text)?;
        #[allow(clippy::disallowed_methods, reason = "one error of it is none")]
        match fs::rename(staging.path(), &target) {
            // Another `aio` was faster; what it made is the same.
            Err(error) if matches!(error.kind(), Io::DirectoryNotEmpty | Io::AlreadyExists) => {
                Ok(())
            }
            renamed => {
                renamed.doing(doing)?;
                // Its name has gone: nothing is left to remove.
                let _ = staging.keep();
                Ok(())
            }
        }
    }

    /// Removes what a killed `aio` left half made.
    fn remove_abandoned(&self) -> Result<()> {
        let doing = || format!("look into {}", self.directory.display());
        for entry in fs::read_dir(&self.directory).doing(doing)? {
            let entry = entry.doing(doing)?;
            let name = entry.file_name();
            let maker = name.to_str().and_then(|name| name.strip_prefix(MAKING));
            let process = maker.and_then(|rest| rest.split('-').next());
            if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
                let path = entry.path();
                descent::remove(&path).doing(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// The same request, for the needs of the wheels alone.
fn again(request: &Request, delta: Vec<String>) -> Request {
    Request {
        delta,
        sources: BTreeMap::new(),
        migrations: Migrations::default(),
        ..request.clone()
    }
}

fn needed(requirements: &[Unmet]) -> Vec<Requirement> {
    let mut needed: Vec<Requirement> =
        requirements.iter().map(|it| it.requirement.clone()).collect();
    needed.sort();
    needed.dedup();
    needed
}

fn stuck(missing: &[Unmet]) -> Error {
    let mut error = Error::failed("find what the checkout needs");
    for unmet in missing {
        let found = unmet.found.as_deref().unwrap_or("nothing");
        error = error.because(format!(
            "{} needs {}, and {found} was found",
            unmet.required_by, unmet.requirement
        ));
    }
    error.hint("Requirements that exclude one another cannot run together.")
}

/// Everything on which the outcome depends, apart from what the index offers that day.
#[derive(Serialize)]
struct Key<'a> {
    format: u32,
    // Later rounds ask the container, which may say what it likes, and the key has the first answer.
    whose: &'a Whose,
    python: &'a str,
    platforms: &'a [String],
    missing: Vec<Requirement>,
    installed: &'a BTreeMap<String, String>,
    // They meet requirements of wheels, too. Not their versions, which change with each commit.
    checkouts: Vec<&'a str>,
    met_by_packages: &'a [String],
}

fn id(whose: &Whose, request: &Request, found: &Inspection) -> Result<String> {
    let mut checkouts: Vec<&str> = request.projects.iter().map(|it| it.name.as_str()).collect();
    checkouts.sort_unstable();
    let key = Key {
        format: FORMAT,
        whose,
        python: &found.python,
        platforms: &found.platforms,
        missing: needed(&found.missing),
        installed: &found.installed,
        checkouts,
        met_by_packages: &request.met_by_packages,
    };
    let text = serde_json::to_string(&key).doing(|| "name the delta".to_owned())?;
    Ok(sha256_hex(&text).chars().take(16).collect())
}

#[cfg(test)]
mod tests;
