//! One build: from packages to a published layer, and whether there is room for it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::index::Archive;
use super::install::Installation;
use super::packages::wanted_packages;
use super::pool::Pool;
use super::python::{Distributions, NEEDED_MIB};
use super::store::Store;
use super::workspace::Workspace;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::BuildProgress;
use crate::model::layer::{LayerInfo, LayerSpec};

/// Unpacked and compiled, packages take about so many times the size of their archives.
const UNPACKED_FACTOR: u64 = 5;

/// Where a build failed and less is left, it failed for that.
const NEARLY_FULL_MIB: u64 = 16;

const MIB: u64 = 1 << 20;

fn needed_mib(archives: &[Archive]) -> u64 {
    let archives: u64 = archives.iter().map(|archive| archive.size).sum();
    archives * UNPACKED_FACTOR / MIB + 32
}

/// Free MiB and inodes where `path` lives.
fn free_space(path: &Path) -> Result<(u64, u64)> {
    let space = rustix::fs::statvfs(path).doing(|| format!("look at {}", path.display()))?;
    Ok((space.f_bavail * space.f_frsize / MIB, space.f_favail))
}

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

impl Store {
    pub(super) fn build(
        &self,
        spec: &LayerSpec,
        id: &str,
        progress: &dyn BuildProgress,
    ) -> Result<()> {
        let what = || format!("build layer {id}");
        let cancelled = || progress.cancelled();
        let layers = self.paths.layers_dir();
        self.make_directories()?;
        super::workspace::sweep(&layers);
        let workspace = Workspace::claim(&layers, id, &cancelled)?;
        if self.is_published(id) {
            return Ok(());
        }
        let chain = spec.parent.as_deref().map_or(Ok(Vec::new()), |parent| self.chain(parent))?;
        self.prepare(&[(id.to_owned(), spec.clone())], progress)
            .map_err(|error| error.context(what()))?;
        let prepared = self.preparations.of(id)?;
        let index = &prepared.index;
        let pool = Pool::open(&self.paths.packages_dir())?;

        let status = chain.first().map(|top| self.status_file(top));
        let archives = index
            .resolve(&wanted_packages(spec), status.as_deref(), &cancelled)
            .map_err(|error| error.context(what()))?;
        let needed = needed_mib(&archives) + spec.python.as_ref().map_or(0, |_| NEEDED_MIB);
        self.check_space(id, needed + pool.missing_bytes(&archives) / MIB)?;
        pool.fetch(&archives, index, progress).map_err(|error| error.context(what()))?;

        let installation = Installation { spec, chain: &chain, index, workspace: &workspace };
        let installed = installation.run(&layers, &pool, archives.len() as u64, progress);
        let _ = pool.take_back(&workspace.dir.join("archives"));
        let installed = installed.and_then(|()| {
            let Some(python) = &spec.python else { return Ok(()) };
            let distributions = Distributions {
                spec: python,
                layers: &layers,
                chain: &chain,
                workspace: &workspace,
                directory: &self.paths.python_dir(),
                wheels: &self.paths.built_wheels_dir(),
            };
            distributions.install(progress)
        });
        let upper = workspace.upper();
        let finished = installed
            .and_then(|()| super::finish::finish(&upper, spec, index))
            // Last of all: it may write down when directories changed.
            .and_then(|()| installation.run_script(&layers, progress));
        finished.map_err(|error| self.add_space(error.context(what()), needed))?;

        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let before = status.as_deref().map(read).unwrap_or_default();
        let now = read(&upper.join("var/lib/dpkg/status"));
        let info = LayerInfo {
            id: id.to_owned(),
            name: spec.name.clone(),
            parent: spec.parent.clone(),
            created: seconds_since_epoch(),
            size_bytes: super::finish::disk_usage(&upper),
            packages: super::finish::added_packages(&before, &now),
        };
        workspace.publish(&layers, &info)
    }

    /// Refuses to begin what the disk cannot hold.
    fn check_space(&self, id: &str, needed: u64) -> Result<()> {
        let (free, _) = free_space(&self.paths.layers_dir())?;
        if free >= needed {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Host, format!("build layer {id}"))
            .because(self.disk_sentence(needed)?)
            .hint(
                "Free some space there (`aio image prune` removes unused layers), or choose \
                   another place with --state-dir.",
            ))
    }

    fn disk_sentence(&self, needed_mib: u64) -> Result<String> {
        let (free, inodes) = free_space(&self.paths.layers_dir())?;
        let state = self.paths.state_dir.display();
        Ok(format!(
            "disk full: {free} MiB and {inodes} inodes free under {state}, the layer needs about \
             {needed_mib} MiB"
        ))
    }

    /// Says how much room there was and is needed, if that is what failed. Not every program says so, or
    /// says it last: what is left is looked at too.
    fn add_space(&self, mut error: Error, needed_mib: u64) -> Error {
        let said = error.causes.iter().any(|cause| cause.contains("disk is full"));
        let left = free_space(&self.paths.layers_dir());
        if !said && !left.is_ok_and(|(free, _)| free < NEARLY_FULL_MIB) {
            return error;
        }
        error.kind = ErrorKind::Host;
        match self.disk_sentence(needed_mib) {
            Ok(sentence) => error.because(sentence).hint(
                "Free some space there and run the same command again: what was downloaded \
                       is kept.",
            ),
            Err(_) => error,
        }
    }
}
