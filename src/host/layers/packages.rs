//! Which packages the layers need, found for all of them at once, and their download ahead of the
//! builds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Duration;

use super::index::{Archive, Index};
use super::pool::Pool;
use super::preparations::Prepared;
use super::store::Store;
use crate::error::{Error, ErrorKind, Result};
use crate::host::BuildProgress;
use crate::model::layer::LayerSpec;

/// What APT is told to install.
pub(super) fn wanted_packages(spec: &LayerSpec) -> Vec<String> {
    let mut packages = spec.packages.clone();
    if spec.parent.is_none() {
        // With the essential packages this is what `mmdebstrap --variant=minbase` has.
        packages.extend(["?essential", "?priority(required)", "apt"].map(str::to_owned));
    }
    packages
}

/// What has to be installed for a layer beyond what is published already.
struct Need {
    packages: BTreeSet<String>,
    /// dpkg's record of the published layer on which they go; none below a base.
    status: Option<PathBuf>,
}

impl Store {
    /// Fetches the index and finds the packages of those `layers` that are not published.
    pub(super) fn prepare(
        &self,
        layers: &[(String, LayerSpec)],
        progress: &dyn BuildProgress,
    ) -> Result<()> {
        self.make_directories()?;
        let _one_at_a_time = self.wait_while_busy(progress)?;
        let mut suites: BTreeMap<&str, Vec<&(String, LayerSpec)>> = BTreeMap::new();
        for layer in self.missing(layers).into_iter().filter(|(id, _)| !self.preparations.has(id)) {
            suites.entry(&layer.1.suite).or_default().push(layer);
        }
        for (suite, missing) in suites {
            let needs = missing
                .iter()
                .map(|(id, spec)| Ok((spec.name.as_str(), self.need(id, spec, layers)?)))
                .collect::<Result<Vec<_>>>()?;
            let prepared = Arc::new(self.prepare_suite(suite, &needs, progress)?);
            let mut by_layer =
                self.preparations.by_layer.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, _) in missing {
                by_layer.insert(id.clone(), Arc::clone(&prepared));
            }
        }
        Ok(())
    }

    fn wait_while_busy(
        &self,
        progress: &dyn BuildProgress,
    ) -> Result<std::sync::MutexGuard<'_, ()>> {
        loop {
            match self.preparations.busy.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if progress.cancelled() => {
                    return Err(Error::new(ErrorKind::Interrupted, "wait for the package index"));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn missing<'a>(&self, layers: &'a [(String, LayerSpec)]) -> Vec<&'a (String, LayerSpec)> {
        layers.iter().filter(|(id, _)| !self.is_published(id)).collect()
    }

    /// The packages of a layer and of those below it that are not published either.
    fn need(&self, id: &str, spec: &LayerSpec, layers: &[(String, LayerSpec)]) -> Result<Need> {
        let mut packages: BTreeSet<String> = wanted_packages(spec).into_iter().collect();
        let mut below = spec.parent.as_deref();
        while let Some(parent) = below {
            if self.is_published(parent) {
                return Ok(Need { packages, status: Some(self.status_file(parent)) });
            }
            let Some((_, spec)) = layers.iter().find(|(there, _)| there == parent) else {
                return Err(Error::failed(format!("find what layer {id} stands on"))
                    .because(format!("layer {parent} is not built")));
            };
            packages.extend(wanted_packages(spec));
            below = spec.parent.as_deref();
        }
        Ok(Need { packages, status: None })
    }

    fn prepare_suite(
        &self,
        suite: &str,
        needs: &[(&str, Need)],
        progress: &dyn BuildProgress,
    ) -> Result<Prepared> {
        let cancelled = || progress.cancelled();
        let downloads = self.paths.downloads_dir();
        progress.line("fetching the package index");
        let whole = Index::fetch(&downloads, suite, &cancelled, &mut |line| progress.line(line))?;
        progress.line("finding the packages");
        let archives = find_all(&whole, needs, &cancelled)?;
        let names = archives.iter().map(|archive| archive.package().to_owned()).collect();
        Ok(Prepared { index: whole.narrow(&downloads, &names)?, archives })
    }

    /// Downloads the packages of those `layers` that are not published.
    pub(super) fn download(
        &self,
        layers: &[(String, LayerSpec)],
        progress: &Arc<dyn BuildProgress>,
    ) -> Result<()> {
        self.prepare(layers, progress.as_ref())?;
        let pool = Pool::open(&self.paths.packages_dir())?;
        let missing = self.missing(layers);
        let Some((first, _)) = missing.first() else { return Ok(()) };
        let total = pool.missing_bytes(&self.preparations.of(first)?.archives);
        let progress = Overall { inner: Arc::clone(progress), total, before: AtomicU64::new(0) };
        for (id, spec) in missing {
            let index = &self.preparations.of(id)?.index;
            // A parent may have been published since; what it has then counts as installed.
            let need = self.need(id, spec, layers)?;
            let packages: Vec<String> = need.packages.into_iter().collect();
            let archives =
                index.resolve(&packages, need.status.as_deref(), &|| progress.cancelled())?;
            let bytes = pool.missing_bytes(&archives);
            pool.fetch(&archives, index, &progress)?;
            progress.before.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The archives of all layers: together if they go together, else one by one.
fn find_all(
    whole: &Index,
    needs: &[(&str, Need)],
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<Archive>> {
    let mut by_status: BTreeMap<Option<&PathBuf>, BTreeSet<&String>> = BTreeMap::new();
    for (_, need) in needs {
        by_status.entry(need.status.as_ref()).or_default().extend(&need.packages);
    }
    let find = |packages: &BTreeSet<&String>, status: Option<&PathBuf>| {
        let packages: Vec<String> = packages.iter().map(|&name| name.clone()).collect();
        whole.resolve(&packages, status.map(PathBuf::as_path), cancelled)
    };
    let mut archives = Vec::new();
    for (status, packages) in by_status {
        match find(&packages, status) {
            Ok(found) => archives.extend(found),
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            // Packages of different layers may exclude each other, and an unknown one is better
            // told with the layer that wants it.
            Err(_) => {
                for (name, need) in needs.iter().filter(|(_, need)| need.status.as_ref() == status)
                {
                    let found = find(&need.packages.iter().collect(), status)
                        .map_err(|error| error.context(format!("build layer {name}")))?;
                    archives.extend(found);
                }
            }
        }
    }
    archives.sort_by(|one, other| one.file.cmp(&other.file));
    archives.dedup();
    Ok(archives)
}

/// Shows the bytes of one of several downloads as a part of all.
struct Overall {
    inner: Arc<dyn BuildProgress>,
    total: u64,
    before: AtomicU64,
}

impl BuildProgress for Overall {
    fn progress(&self, current: u64, _: u64, unit: &'static str) {
        let current = self.before.load(Ordering::Relaxed) + current;
        self.inner.progress(current.min(self.total), self.total, unit);
    }

    fn line(&self, line: &str) {
        self.inner.line(line);
    }

    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }
}
