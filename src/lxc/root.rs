//! A container's root: layers and one writable directory, merged by overlayfs, with directories of
//! the host on top.
//!
//! Ids on disk are those of the container. For an unprivileged container every part is mounted
//! through a clone whose ids are shifted into the container's range, so one layer serves all and
//! nothing is ever chowned. The clones are attached in a throw-away mount namespace only: overlayfs
//! keeps its own references, so the host sees the merged root and nothing else, and a single
//! unmount takes all of it away. Bind sources cannot be left to LXC: they stand under a directory
//! of mode 0700, which the mapped root cannot look into.
//!
//! Set-user-ID programs in a container are for its own users: outside they would give whoever starts
//! them the container's root. So the merged root stands in a directory that nobody else may enter.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::mount::{MountFlags, UnmountFlags};
use serde::{Deserialize, Serialize};

use super::{rooted, syscall};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::paths::ROOT_NAME;

/// What a root is mounted from. Recorded with the container's definition; hooks read it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Root {
    /// The layers' directories, topmost first.
    pub layers: Vec<PathBuf>,
    /// The directory that holds `upper` and `work`.
    pub writable: PathBuf,
    /// Where the merged root appears.
    pub merged: PathBuf,
    /// First id and count of the container's range; none for a privileged container.
    pub id_range: Option<(u32, u32)>,
    /// Directories of the host that appear inside, a directory before those below it.
    pub binds: Vec<Bind>,
}

/// A directory of the host in a container.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
    /// Whether nothing is written to it there.
    #[serde(default)]
    pub read_only: bool,
}

impl Root {
    /// The writable directory's part that shows.
    pub fn upper(&self) -> PathBuf {
        self.writable.join("upper")
    }

    /// Mounts everything at [`Root::merged`], ids mapped. Only for a process with a single thread.
    /// What an earlier mount left is unmounted first; a failure leaves nothing mounted.
    pub fn mount(&self) -> Result<()> {
        self.unmount()?;
        self.make_place()?;
        let namespace = self.user_namespace()?;
        let namespace = namespace.as_ref().map(AsFd::as_fd);
        let binds = self.binds.iter().map(|bind| clone_bind(bind, namespace));
        let binds = binds.collect::<Result<Vec<_>>>()?;
        let merged = self.merge(namespace)?;
        let attached = self.attach(&merged, &binds);
        if attached.is_err() {
            // The cause is what matters; the next mount clears what this one could not.
            let _ = self.unmount();
        }
        attached
    }

    /// See [`unmount`].
    pub fn unmount(&self) -> Result<()> {
        unmount(&self.merged)
    }

    /// Mounts the root of a stopped container for this process alone, ids as on disk and without
    /// the binds, and returns the directory it is attached to. Nothing is flushed to disk when the
    /// process ends: what is written is small and compared again by later runs.
    pub fn mount_privately(&self) -> Result<OwnedFd> {
        self.make_place()?;
        syscall::leave_mount_namespace().doing(|| "leave the host's mount namespace".to_owned())?;
        let parts = self.parts(None)?;
        mount_overlay(&self.merged, &parts, "volatile,")?;
        rooted::open_root(&self.merged).doing(|| format!("open `{}`", self.merged.display()))
    }

    /// The mount point, in a directory that only root and the container's root may enter, whatever it
    /// was before.
    fn make_place(&self) -> Result<()> {
        let doing = || format!("make `{}`", self.merged.display());
        std::fs::create_dir_all(&self.merged).doing(doing)?;
        let Some(directory) = own_directory(&self.merged) else { return Ok(()) };
        let group = self.id_range.map_or(0, |(first, _)| first);
        std::os::unix::fs::chown(directory, Some(0), Some(group)).doing(doing)?;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o710)).doing(doing)
    }

    fn user_namespace(&self) -> Result<Option<OwnedFd>> {
        self.id_range
            .map(|(first, count)| {
                syscall::user_namespace(0, first, count).map_err(|error| {
                    Error::failed("make a user namespace to map ids with")
                        .because(error)
                        .hint("`sysctl user.max_user_namespaces` must not be 0.")
                })
            })
            .transpose()
    }

    /// The merged root as a detached mount.
    fn merge(&self, namespace: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
        let parts = self.parts(namespace)?;
        let doing = || "change the mount namespace".to_owned();
        let host = syscall::leave_mount_namespace().doing(doing)?;
        let mounted = match self.id_range {
            // Without the mapped root's own ids overlayfs finds its work directory not mapped and
            // mounts read-only, without an error.
            Some((first, _)) => {
                syscall::with_filesystem_id(first, || mount_overlay(&self.merged, &parts, ""))
                    .doing(|| "act as the container's root".to_owned())
                    .and_then(|mounted| mounted)
            }
            None => mount_overlay(&self.merged, &parts, ""),
        };
        let merged = mounted.and_then(|()| {
            syscall::clone_mount(Path::new("."))
                .doing(|| format!("clone the mount on `{}`", self.merged.display()))
        });
        syscall::enter_mount_namespace(host.as_fd()).doing(doing)?;
        merged
    }

    /// Clones of the layers, topmost first, and last of the writable directory, each with the name
    /// under which it is staged (which `mount` shows to users).
    fn parts(&self, namespace: Option<BorrowedFd<'_>>) -> Result<Vec<(String, OwnedFd)>> {
        self.clear_volatile()?;
        let layers = self.layers.iter().enumerate();
        let mut parts = layers
            .map(|(index, layer)| Ok((layer_label(index, layer), clone(layer, 0, namespace)?)))
            .collect::<Result<Vec<_>>>()?;
        parts.push(("writable".to_owned(), clone(&self.writable, 0, namespace)?));
        Ok(parts)
    }

    /// Removes the mark that overlayfs leaves to refuse a directory once mounted `volatile`.
    fn clear_volatile(&self) -> Result<()> {
        let mark = self.writable.join("work/work/incompat");
        match std::fs::remove_dir_all(&mark) {
            Err(error) if !rooted::is_missing(&error) => {
                Err(error).doing(|| format!("remove `{}`", mark.display()))
            }
            _ => Ok(()),
        }
    }

    fn attach(&self, merged: &OwnedFd, binds: &[OwnedFd]) -> Result<()> {
        let doing = || format!("attach the root at `{}`", self.merged.display());
        let place = rooted::open_root(&self.merged).doing(doing)?;
        syscall::attach_mount(merged.as_fd(), place.as_fd()).doing(doing)?;
        let root = rooted::open_root(&self.merged).doing(doing)?;
        for (bind, mount) in self.binds.iter().zip(binds) {
            self.attach_bind(&root, bind, mount).doing(|| {
                let (source, target) = (bind.source.display(), bind.target.display());
                format!("attach `{source}` at `{target}` of the container")
            })?;
        }
        Ok(())
    }

    /// The target is looked up inside the root, where the container's own root may have put
    /// symbolic links, and made as that root if it is missing.
    fn attach_bind(&self, root: &OwnedFd, bind: &Bind, mount: &OwnedFd) -> io::Result<()> {
        let make = || rooted::open_or_make_directory(root.as_fd(), &bind.target);
        let target = match self.id_range {
            Some((first, _)) => syscall::with_filesystem_id(first, make)??,
            None => make()?,
        };
        syscall::attach_mount(mount.as_fd(), target.as_fd())
    }
}

fn clone(path: &Path, attributes: u64, namespace: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let doing = || format!("clone the mount of `{}`", path.display());
    let mount = match syscall::clone_mount(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // A hook's error is shown to the user without its hints.
            return Err(
                Error::failed(doing()).because("it is gone; `aio bootstrap` makes it again")
            );
        }
        mount => mount.doing(doing)?,
    };
    if attributes != 0 || namespace.is_some() {
        syscall::set_mount_attributes(mount.as_fd(), attributes, namespace).map_err(|error| {
            Error::failed(format!("map the ids of `{}`", path.display()))
                .because(error)
                .hint("The file system and the kernel (5.19 or later) must allow ID-mapped mounts.")
        })?;
    }
    Ok(mount)
}

/// Data is never a way to a set-user-ID program or a device.
fn clone_bind(bind: &Bind, namespace: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let mut attributes = syscall::ATTRIBUTE_NO_SUID | syscall::ATTRIBUTE_NO_DEVICES;
    if bind.read_only {
        attributes |= syscall::ATTRIBUTE_READ_ONLY;
    }
    clone(&bind.source, attributes, namespace)
}

/// `STATE/layers/ID/root` is staged as `INDEX-ID`.
fn layer_label(index: usize, layer: &Path) -> String {
    let id = layer.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if id.chars().all(plain) { format!("{index}-{id}") } else { index.to_string() }
}

/// Stages the parts on a tmpfs over `place` and mounts the overlay there, on top of them; ends with
/// the merged root as the working directory. In a private mount namespace.
fn mount_overlay(place: &Path, parts: &[(String, OwnedFd)], options: &str) -> Result<()> {
    let doing = |what: &str| format!("{what} the parts of `{}`", place.display());
    rustix::mount::mount(c"aio", place, c"tmpfs", MountFlags::empty(), c"mode=0700")
        .doing(|| doing("make a place for"))?;
    let staging = rooted::open_root(place).doing(|| doing("make a place for"))?;
    for (label, mount) in parts {
        let directory = rooted::open_or_make_directory(staging.as_fd(), Path::new(label))
            .doing(|| doing("stage"))?;
        syscall::attach_mount(mount.as_fd(), directory.as_fd()).doing(|| doing("stage"))?;
    }
    rustix::process::fchdir(&staging).doing(|| doing("stage"))?;
    let lower: Vec<&str> =
        parts.iter().rev().skip(1).rev().map(|(label, _)| label.as_str()).collect();
    let text = format!(
        "{options}redirect_dir=off,lowerdir={},upperdir=writable/upper,workdir=writable/work",
        lower.join(":")
    );
    let data = CString::new(text).doing(|| doing("name"))?;
    rustix::mount::mount(c"aio", place, c"overlay", MountFlags::NODEV, data.as_c_str())
        .doing(|| doing("merge"))?;
    rustix::process::chdir(place).doing(|| doing("merge"))?;
    let merged = rustix::fs::statvfs(".").doing(|| doing("look at"))?;
    if !merged.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    // Overlayfs says so nowhere but in the kernel's log. What starts in such a root fails, one thing after
    // another, long after there is room again.
    let free_mib = merged.f_bavail * merged.f_frsize / (1 << 20);
    Err(Error::new(ErrorKind::Host, doing("merge")).because(format!(
        "nothing can be written to them: is the disk full? {free_mib} MiB and {} inodes are free",
        merged.f_favail
    )))
}

/// The directory that is there for this merged root alone; roots that an earlier `aio` made have none.
pub fn own_directory(merged: &Path) -> Option<&Path> {
    merged.parent().filter(|_| merged.file_name().is_some_and(|name| name == ROOT_NAME))
}

/// Unmounts a merged root with everything below it. No error when nothing is mounted.
pub fn unmount(merged: &Path) -> Result<()> {
    // An earlier `aio` mounted it a level higher, where its own `root` would be found instead.
    for place in std::iter::once(merged).chain(own_directory(merged)) {
        while is_mount_point(place) {
            rustix::mount::unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
                .doing(|| format!("unmount `{}`", place.display()))?;
        }
    }
    Ok(())
}

/// Whether a mount is attached at `path`. Starts no process and needs no permission on the mount.
pub fn is_mount_point(path: &Path) -> bool {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    // The root of a mount says so itself (Linux 5.8).
    statx(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
        .is_ok_and(|status| status.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_show_the_layer_and_never_upset_the_mount_options() {
        assert_eq!(layer_label(0, Path::new("/s/layers/heat-1f2e/root")), "0-heat-1f2e");
        assert_eq!(layer_label(2, Path::new("/s/layers/a:b/root")), "2");
        assert_eq!(layer_label(1, Path::new("/")), "1-");
    }

    #[test]
    fn mount_points_are_told_from_directories() {
        assert!(is_mount_point(Path::new("/proc")));
        assert!(!is_mount_point(Path::new("/proc/sys/kernel")));
        assert!(!is_mount_point(Path::new("/no/such/place")));
    }
}
