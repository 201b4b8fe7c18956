//! The directory in which one layer is built, and how it becomes the published one.
//!
//! `layers/.build-ID/` is locked by its builder; the kernel gives the lock back when the builder
//! dies, so a directory whose lock is free is a leftover. Publishing is one `syncfs` and one
//! `rename`: a layer that is there under its name is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::descent;
use crate::model::layer::LayerInfo;
use crate::state::files;

/// Directories of work begin so; their makers hold a lock on them.
pub const BUILD: &str = ".build-";

/// A removed layer on its way out.
const TRASH: &str = ".trash-";

/// A build's own directory, removed when this is dropped.
pub struct Workspace {
    /// `layers/.build-ID`.
    pub dir: PathBuf,
    _lock: File,
}

impl Workspace {
    /// Makes the directory for `id`, waiting while another `aio` builds the same layer.
    ///
    /// # Errors
    /// When it cannot be made, or on cancellation.
    pub fn claim(layers: &Path, id: &str, cancelled: &dyn Fn() -> bool) -> Result<Self> {
        let dir = layers.join(format!("{BUILD}{id}"));
        loop {
            if let Some(lock) = try_claim(&dir)? {
                let workspace = Self { dir, _lock: lock };
                workspace.empty()?;
                return Ok(workspace);
            }
            if cancelled() {
                return Err(Error::new(ErrorKind::Interrupted, format!("wait for layer {id}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Removes what a killed build left, and makes the directories that every build needs.
    fn empty(&self) -> Result<()> {
        for entry in fs::read_dir(&self.dir).doing(|| format!("read {}", self.dir.display()))? {
            remove_tree(&entry.doing(|| format!("read {}", self.dir.display()))?.path())?;
        }
        for name in ["new/root", "work", "empty", "merged", "archives/partial", "cache", "log"] {
            let path = self.dir.join(name);
            fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
        }
        Ok(())
    }

    /// The upper directory, which becomes the layer's root.
    pub fn upper(&self) -> PathBuf {
        self.dir.join("new/root")
    }

    /// The mount point of the merged root, in the build's own mount namespace.
    pub fn merged(&self) -> PathBuf {
        self.dir.join("merged")
    }

    /// Writes a file of the build.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        files::write(&path, text)
    }

    /// Publishes the layer.
    ///
    /// # Errors
    /// When it cannot be written to the disk.
    pub fn publish(self, layers: &Path, info: &LayerInfo) -> Result<()> {
        let new = self.dir.join("new");
        let manifest = serde_json::to_string_pretty(info).doing(|| "write manifest".to_owned())?;
        files::write(&new.join("manifest.json"), manifest + "\n")?;
        let directory = File::open(&new).doing(|| format!("open {}", new.display()))?;
        rustix::fs::syncfs(&directory).doing(|| format!("write {} to disk", info.id))?;
        files::rename(&new, &layers.join(&info.id))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = remove_tree(&self.dir);
    }
}

/// Locks `dir`, made if missing; `None` when another holds it or has just removed it.
fn try_claim(dir: &Path) -> Result<Option<File>> {
    fs::create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
    let Ok(lock) = File::open(dir) else { return Ok(None) };
    if lock.try_lock().is_err() {
        return Ok(None);
    }
    // The one who had it may have removed the directory since it was opened here.
    Ok(Some(lock).filter(|lock| files::is_at(lock, dir)))
}

/// Locks a file, made if missing, waiting for whoever has it. The kernel unlocks it when the result
/// is dropped or the process dies.
///
/// # Errors
/// When it cannot be opened, or on cancellation.
pub fn lock(path: &Path, what: &str, cancelled: &dyn Fn() -> bool) -> Result<File> {
    let lock = File::create(path).doing(|| format!("open {}", path.display()))?;
    while lock.try_lock().is_err() {
        if cancelled() {
            return Err(Error::new(ErrorKind::Interrupted, what));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(lock)
}

/// Removes what killed builds and removals left in `directory`.
pub fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(TRASH) {
            let _ = remove_tree(&entry.path());
        } else if name.starts_with(BUILD)
            && let Ok(Some(_lock)) = try_claim(&entry.path())
        {
            let _ = remove_tree(&entry.path());
        }
    }
}

/// Takes a published layer away at once, then removes it.
///
/// # Errors
/// When it cannot be renamed or removed.
pub fn unpublish(layers: &Path, id: &str) -> Result<()> {
    let trash = layers.join(format!("{TRASH}{id}"));
    remove_tree(&trash)?;
    files::rename(&layers.join(id), &trash)?;
    remove_tree(&trash)
}

/// Removes a file or a whole directory; no error when it is missing.
fn remove_tree(path: &Path) -> Result<()> {
    descent::remove(path).doing(|| format!("remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn info(id: &str) -> LayerInfo {
        LayerInfo {
            id: id.to_owned(),
            name: "x".to_owned(),
            parent: None,
            created: 1,
            size_bytes: 2,
            packages: BTreeMap::new(),
        }
    }

    #[test]
    fn a_published_layer_is_whole_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::claim(dir.path(), "x-1", &|| false).unwrap();
        fs::write(workspace.upper().join("file"), "text").unwrap();
        workspace.publish(dir.path(), &info("x-1")).unwrap();
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["x-1"]);
        assert_eq!(fs::read_to_string(dir.path().join("x-1/root/file")).unwrap(), "text");
        assert!(dir.path().join("x-1/manifest.json").is_file());
    }

    #[test]
    fn one_builder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Workspace::claim(dir.path(), "x-1", &|| false).unwrap();
        let error = Workspace::claim(dir.path(), "x-1", &|| true).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Interrupted);
        drop(first);
        Workspace::claim(dir.path(), "x-1", &|| true).unwrap();
    }

    #[test]
    fn sweeping_spares_what_is_being_built() {
        let dir = tempfile::tempdir().unwrap();
        let live = Workspace::claim(dir.path(), "live-1", &|| false).unwrap();
        fs::create_dir_all(dir.path().join(".build-dead-1/new/root/etc")).unwrap();
        fs::create_dir_all(dir.path().join(".trash-old-1/root")).unwrap();
        fs::create_dir_all(dir.path().join("good-1/root")).unwrap();
        sweep(dir.path());
        assert!(live.upper().is_dir());
        assert!(!dir.path().join(".build-dead-1").exists());
        assert!(!dir.path().join(".trash-old-1").exists());
        assert!(dir.path().join("good-1/root").is_dir());
    }

    #[test]
    fn a_new_claim_starts_empty() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".build-x-1/new/root/stale")).unwrap();
        let workspace = Workspace::claim(dir.path(), "x-1", &|| false).unwrap();
        assert!(!workspace.upper().join("stale").exists());
    }
}
