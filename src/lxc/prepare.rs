//! Changing the root of a stopped container: in the helper, which mounts it for itself alone, ids as
//! on disk, and makes that its own root before it writes. So overlayfs itself makes the copies and
//! whiteouts, and a symbolic link that the container's root has left leads nowhere else.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, XattrFlags};
use rustix::process::{Gid, Uid};
use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::files::{FileRequest, write_all};
use super::process::tool;
use super::root::{Bind, Root};
use super::{descent, rooted, syscall};
use crate::error::{Error, Result, ResultExt};

const UNITS: &str = "/etc/systemd/system";
/// Remembers on a data directory which ids its owner had, as `uid:gid`.
const OWNER_ATTRIBUTE: &str = "trusted.aio.owner";

/// What is to be changed.
#[derive(Debug, Deserialize, Serialize)]
pub struct Preparation {
    /// The container's root.
    pub root: Root,
    /// Files to write.
    pub files: Vec<FileRequest>,
    /// Units that the layers mask and this container runs.
    pub unmask: Vec<String>,
    /// Units that it ran and runs no more.
    pub mask: Vec<String>,
    /// Data directories to make where they are missing.
    pub data: Vec<DataDirectory>,
}

/// A directory that outlives the root.
#[derive(Debug, Deserialize, Serialize)]
pub struct DataDirectory {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
    /// `user:group` in the container.
    pub owner: String,
    /// Permission bits.
    pub mode: u32,
    /// Starts as a copy of what the layers have there.
    pub from_image: bool,
}

/// Does all of it. Ends with the container's root as this process's own: the process must end too.
pub fn prepare(preparation: &Preparation) -> Result<()> {
    let root = &preparation.root;
    root.unmount()?;
    let merged = root.mount_privately()?;
    if !preparation.data.is_empty() {
        let accounts = accounts(&merged)?;
        for data in &preparation.data {
            make_data(&merged, data, &accounts)
                .doing(|| format!("make the data directory `{}`", data.source.display()))?;
        }
    }
    for bind in &root.binds {
        attach(&merged, bind).doing(|| {
            format!("attach `{}` at `{}`", bind.source.display(), bind.target.display())
        })?;
    }
    rustix::process::fchdir(&merged)
        .and_then(|()| rustix::process::chroot("."))
        .doing(|| format!("enter `{}`", root.merged.display()))?;
    for unit in &preparation.unmask {
        unmask(unit).doing(|| format!("unmask `{unit}`"))?;
    }
    for unit in &preparation.mask {
        mask(unit).doing(|| format!("mask `{unit}`"))?;
    }
    write_all(&preparation.files).doing(|| "write a file".to_owned())
}

fn accounts(merged: &OwnedFd) -> Result<Accounts> {
    let read = |path: &str| {
        rooted::read(merged.as_fd(), Path::new(path))
            .doing(|| format!("read `{path}` of the container"))
            .map(|content| String::from_utf8_lossy(&content.unwrap_or_default()).into_owned())
    };
    Ok(Accounts::new(read("/etc/passwd")?, read("/etc/group")?))
}

fn attach(merged: &OwnedFd, bind: &Bind) -> io::Result<()> {
    let mount = syscall::clone_mount(&bind.source)?;
    let target = rooted::open_or_make_directory(merged.as_fd(), &bind.target)?;
    syscall::attach_mount(mount.as_fd(), target.as_fd())
}

fn unmask(unit: &str) -> io::Result<()> {
    let path = Path::new(UNITS).join(unit);
    match std::fs::read_link(&path) {
        Ok(target) if target == Path::new("/dev/null") => std::fs::remove_file(path),
        // Not masked, or a unit file of the container's own.
        _ => Ok(()),
    }
}

fn mask(unit: &str) -> io::Result<()> {
    match symlink("/dev/null", Path::new(UNITS).join(unit)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Complete under another name first, and on the disk before it gets its own: neither a kill nor a
/// power cut leaves half-copied data behind.
#[allow(
    clippy::disallowed_methods,
    reason = "a directory of the container, on the disk before it gets its name"
)]
fn make_data(merged: &OwnedFd, data: &DataDirectory, accounts: &Accounts) -> Result<()> {
    let (uid, gid) = accounts.resolve(&data.owner).map_err(Error::failed)?;
    if data.source.is_dir() {
        return follow_owner(&data.source, uid, gid).doing(|| "follow changed ids".to_owned());
    }
    let fresh = data.source.with_extension("new");
    let make = || -> io::Result<()> {
        descent::remove(&fresh)?;
        std::fs::create_dir_all(&fresh)?;
        if data.from_image {
            copy_image(merged, &data.target, &fresh)?;
        }
        chown(&fresh, Some(uid), Some(gid))?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(data.mode))?;
        remember_owner(&fresh, uid, gid)?;
        if data.from_image {
            rustix::fs::syncfs(std::fs::File::open(&fresh)?)?;
        }
        std::fs::rename(&fresh, &data.source)
    };
    make().doing(|| format!("fill `{}`", fresh.display()))
}

fn copy_image(merged: &OwnedFd, target: &Path, fresh: &Path) -> io::Result<()> {
    let image = match rooted::open(merged.as_fd(), target, OFlags::PATH | OFlags::DIRECTORY) {
        Err(error) if rooted::is_missing(&error) => return Ok(()),
        other => other?,
    };
    let output = tool("cp")
        .args(["-a", "--reflink=auto", "--"])
        .arg(rooted::host_path(image.as_fd()).join("."))
        .arg(fresh)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn remember_owner(directory: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let value = format!("{uid}:{gid}");
    Ok(rustix::fs::setxattr(directory, OWNER_ATTRIBUTE, value.as_bytes(), XattrFlags::empty())?)
}

/// User ids are given when a layer is built, in the order of installation: data made with an older
/// layer may belong to an id that is another user's now.
fn follow_owner(directory: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let mut value = [0_u8; 32];
    let Ok(length) = rustix::fs::getxattr(directory, OWNER_ATTRIBUTE, &mut value) else {
        return remember_owner(directory, uid, gid);
    };
    let text = String::from_utf8_lossy(&value[..length]).into_owned();
    let old =
        text.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    let Some((old_uid, old_gid)) = old else { return remember_owner(directory, uid, gid) };
    // Root's files are everybody's: with root as the former owner nothing says which are meant.
    if (old_uid, old_gid) != (uid, gid) && old_uid != 0 {
        change_ids(directory, (old_uid, old_gid), (uid, gid))?;
    }
    remember_owner(directory, uid, gid)
}

fn change_ids(path: &Path, old: (u32, u32), new: (u32, u32)) -> io::Result<()> {
    descent::walk(path, |entry| {
        let found = entry.stat()?;
        let uid = (found.st_uid == old.0).then(|| Uid::from_raw(new.0));
        let gid = (found.st_gid == old.1).then(|| Gid::from_raw(new.1));
        if uid.is_some() || gid.is_some() {
            let (directory, name) = (entry.directory, entry.name);
            rustix::fs::chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            if entry.kind.is_file() {
                // A change of owner takes set-user-ID bits away.
                let mode = Mode::from_raw_mode(found.st_mode);
                rustix::fs::chmodat(directory, name, mode, AtFlags::empty())?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, lchown};

    #[test]
    fn ids_follow_a_changed_image_and_other_owners_stay() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        for (name, owner) in [("mine", 100), ("others", 33)] {
            std::fs::write(data.join(name), "").unwrap();
            chown(data.join(name), Some(owner), Some(owner)).unwrap();
        }
        symlink("/etc/passwd", data.join("link")).unwrap();
        lchown(data.join("link"), Some(100), Some(100)).unwrap();
        remember_owner(&data, 100, 100).unwrap();
        chown(&data, Some(100), Some(100)).unwrap();

        follow_owner(&data, 105, 106).unwrap();
        let ids = |path: &Path| {
            let metadata = path.symlink_metadata().unwrap();
            (metadata.uid(), metadata.gid())
        };
        assert_eq!(ids(&data), (105, 106));
        assert_eq!(ids(&data.join("mine")), (105, 106));
        assert_eq!(ids(&data.join("link")), (105, 106));
        assert_eq!(ids(&data.join("others")), (33, 33));
        assert_eq!(ids(Path::new("/etc/passwd")), (0, 0));

        follow_owner(&data, 105, 106).unwrap();
        assert_eq!(ids(&data), (105, 106));
    }
}
