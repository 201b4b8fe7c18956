//! Real image layers: directories built by mmdebstrap, APT and dpkg, published by a rename.
//!
//! The base is unpacked by mmdebstrap; the packages of every layer, the base's own included, are
//! installed by the host's APT into an overlay of the parents and one upper directory, which then
//! is the layer. See `build.sh` for what happens in there, and why it is fast.

mod acquire;
mod failure;
mod finish;
mod index;
mod install;
mod packages;
mod pool;
mod process;
pub mod sources;
mod status;
mod units;
mod users;
mod workspace;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::layer::{LayerInfo, LayerSpec};
use crate::model::paths::Paths;
use crate::state::files;

use super::{BuildProgress, Layers};
use index::Archive;
use install::Installation;
use packages::Preparations;
use pool::Pool;
pub use users::users;
use workspace::Workspace;

/// Unpacked and compiled, packages take about so many times the size of their archives.
const UNPACKED_FACTOR: u64 = 5;

/// Where a build failed and less is left, it failed for that.
const NEARLY_FULL_MIB: u64 = 16;

/// Layers below the state directory.
#[derive(Clone)]
pub struct RealLayers {
    shared: Arc<Shared>,
}

/// What all builds of this process share.
struct Shared {
    paths: Paths,
    preparations: Preparations,
}

impl RealLayers {
    /// Layers in the state directory of `paths`.
    pub fn new(paths: Paths) -> Self {
        Self { shared: Arc::new(Shared { paths, preparations: Preparations::default() }) }
    }

    /// Runs `work` on a thread of its own: the kernel ends a tool together with the thread that
    /// started it, so that thread must live as long as the tool.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .doing(|| "work on image layers".to_owned())?
    }
}

#[async_trait]
impl Layers for RealLayers {
    async fn exists(&self, id: &str) -> Result<bool> {
        Ok(self.shared.is_published(id))
    }

    async fn prepare(
        &self,
        layers: &[(String, LayerSpec)],
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        let layers = layers.to_vec();
        self.blocking(move |shared| shared.prepare(&layers, progress.as_ref())).await
    }

    async fn download(
        &self,
        layers: &[(String, LayerSpec)],
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        let layers = layers.to_vec();
        self.blocking(move |shared| shared.download(&layers, &progress)).await
    }

    async fn build(
        &self,
        spec: &LayerSpec,
        id: &str,
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        let (spec, id) = (spec.clone(), id.to_owned());
        self.blocking(move |shared| shared.build(&spec, &id, progress.as_ref())).await
    }

    async fn list(&self) -> Result<Vec<LayerInfo>> {
        self.shared.list()
    }

    async fn remove(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.blocking(move |shared| shared.remove(&id)).await
    }
}

impl Shared {
    fn layer_dir(&self, id: &str) -> PathBuf {
        self.paths.layers_dir().join(id)
    }

    fn is_published(&self, id: &str) -> bool {
        self.layer_dir(id).join("manifest.json").is_file()
    }

    /// dpkg's record of what is installed in a published layer and below it.
    fn status_file(&self, id: &str) -> PathBuf {
        self.layer_dir(id).join("root/var/lib/dpkg/status")
    }

    fn make_directories(&self) -> Result<()> {
        files::prepare(&self.paths)?;
        files::private_directory(&self.paths.layers_dir())?;
        files::private_directory(&self.paths.downloads_dir())
    }

    fn manifest(&self, id: &str) -> Result<LayerInfo> {
        let path = self.layer_dir(id).join("manifest.json");
        let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).doing(|| format!("read {}", path.display()))
    }

    /// Ids of `id` and all below it, topmost first.
    fn chain(&self, id: &str) -> Result<Vec<String>> {
        let mut chain = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next {
            next = self.manifest(&id)?.parent;
            chain.push(id);
        }
        Ok(chain)
    }

    fn build(&self, spec: &LayerSpec, id: &str, progress: &dyn BuildProgress) -> Result<()> {
        let what = || format!("build layer {id}");
        let cancelled = || progress.cancelled();
        let layers = self.paths.layers_dir();
        self.make_directories()?;
        workspace::sweep(&layers);
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
        self.check_space(id, &archives, &pool)?;
        pool.fetch(&archives, index, progress).map_err(|error| error.context(what()))?;

        let installation = Installation { spec, chain: &chain, index, workspace: &workspace };
        let installed = installation.run(&layers, &pool, archives.len() as u64, progress);
        let _ = pool.take_back(&workspace.dir.join("archives"));
        installed.map_err(|error| self.add_space(error.context(what()), &archives))?;
        let upper = workspace.upper();
        finish::finish(&upper, spec, index).map_err(|error| error.context(what()))?;

        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let before = status.as_deref().map(read).unwrap_or_default();
        let now = read(&upper.join("var/lib/dpkg/status"));
        let info = LayerInfo {
            id: id.to_owned(),
            name: spec.name.clone(),
            parent: spec.parent.clone(),
            created: seconds_since_epoch(),
            size_bytes: finish::disk_usage(&upper),
            packages: finish::added_packages(&before, &now),
        };
        workspace.publish(&layers, &info)
    }

    /// Refuses to begin what the disk cannot hold.
    fn check_space(&self, id: &str, archives: &[Archive], pool: &Pool) -> Result<()> {
        let needed = needed_mib(archives) + pool.missing_bytes(archives) / MIB;
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
    fn add_space(&self, mut error: Error, archives: &[Archive]) -> Error {
        let said = error.causes.iter().any(|cause| cause.contains("disk is full"));
        let left = free_space(&self.paths.layers_dir());
        if !said && !left.is_ok_and(|(free, _)| free < NEARLY_FULL_MIB) {
            return error;
        }
        error.kind = ErrorKind::Host;
        match self.disk_sentence(needed_mib(archives)) {
            Ok(sentence) => error.because(sentence).hint(
                "Free some space there and run the same command again: what was downloaded \
                       is kept.",
            ),
            Err(_) => error,
        }
    }

    fn list(&self) -> Result<Vec<LayerInfo>> {
        let layers = self.paths.layers_dir();
        let entries = match fs::read_dir(&layers) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).doing(|| format!("read {}", layers.display())),
        };
        let mut infos = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && entry.path().is_dir() {
                infos.push(self.manifest(&name)?);
            }
        }
        infos.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(infos)
    }

    fn remove(&self, id: &str) -> Result<()> {
        let layers = self.paths.layers_dir();
        workspace::sweep(&layers);
        if let Some(child) = self.list()?.iter().find(|info| info.parent.as_deref() == Some(id)) {
            return Err(Error::new(ErrorKind::Refused, format!("remove layer {id}"))
                .because(format!("layer {} stands on it", child.id)));
        }
        workspace::unpublish(&layers, id)
    }
}

/// What APT is told to install.
fn wanted_packages(spec: &LayerSpec) -> Vec<String> {
    let mut packages = spec.packages.clone();
    if spec.parent.is_none() {
        // With the essential packages this is what `mmdebstrap --variant=minbase` has.
        packages.extend(["?essential", "?priority(required)", "apt"].map(str::to_owned));
    }
    packages
}

/// Bytes of downloaded packages.
pub fn downloads_size(paths: &Paths) -> u64 {
    Pool::open(&paths.packages_dir()).map_or(0, |pool| pool.size())
}

/// Removes all downloaded packages.
///
/// # Errors
/// When one cannot be removed.
pub fn remove_downloads(paths: &Paths) -> Result<()> {
    Pool::open(&paths.packages_dir())?.clear()
}

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
