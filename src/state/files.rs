//! Files and directories of `aio`'s own and of its users on the host: those with secrets are private
//! from their first moment, and whoever reads one sees the old content or the new.
//!
//! What is being written has one name, made from that of the file ([`unfinished`]), and is locked by
//! who writes. So what a killed process left is known for what it is: the next write begins without
//! it, and it goes with its file ([`remove`]).
//!
//! Who writes otherwise says why. A container's root is written from inside, where others than root
//! have files ([`crate::lxc::files`]).

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind as Io, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::paths::Paths;

/// A link or a pipe that stands in the way is neither followed nor waited for.
const FLAGS: i32 = (OFlags::NOFOLLOW.union(OFlags::NONBLOCK)).bits().cast_signed();

/// Makes the state directory (others may pass through it to the merged roots) and the private one
/// below it, which nobody but root may enter.
///
/// # Errors
/// When one cannot be made.
pub fn prepare(paths: &Paths) -> Result<()> {
    let doing = || format!("make the directory {}", paths.state_dir.display());
    if !paths.state_dir.is_dir() {
        DirBuilder::new().recursive(true).mode(0o755).create(&paths.state_dir).doing(doing)?;
        let passable = Permissions::from_mode(0o711);
        fs::set_permissions(&paths.state_dir, passable).doing(doing)?;
    }
    private_directory(&paths.cloud_dir())
}

/// Makes a directory that only root can enter, and its missing parents likewise. Directories that
/// are there keep their mode.
///
/// # Errors
/// When one cannot be made.
pub fn private_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .doing(|| format!("make the directory {}", path.display()))
}

/// Makes a directory that everybody can enter, and its missing parents likewise, whatever the mask of
/// whoever called. Directories that are there keep their mode.
///
/// # Errors
/// When one cannot be made.
pub fn open_directory(path: &Path) -> Result<()> {
    let is_missing = |it: &&Path| !it.as_os_str().is_empty() && !it.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    for directory in missing.into_iter().rev() {
        let doing = || format!("make the directory {}", directory.display());
        fs::create_dir(directory).doing(doing)?;
        fs::set_permissions(directory, Permissions::from_mode(0o755)).doing(doing)?;
    }
    Ok(())
}

/// Replaces a file of `aio`'s own: a reader sees the old content or the new, and nobody sees the new
/// one before it has its mode. Its directory is made when it is missing, for root alone.
///
/// # Errors
/// When it cannot be written.
pub fn write_atomic(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    private_directory(directory_of(path))?;
    write_whole(path, mode, None, content)
}

/// Replaces a file of the user's in the same way: its owner stays, and a symbolic link stays one. Its
/// directory is made when it is missing.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = directory_of(&target);
    fs::create_dir_all(directory)
        .doing(|| format!("make the directory {}", directory.display()))?;
    let owner = fs::metadata(&target).ok().map(|present| (present.uid(), present.gid()));
    write_whole(&target, mode, owner, content)
}

/// The permission bits of a file that is there.
pub fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|present| present.mode() & 0o777)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a file is written before it takes its name.
pub fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".aio-unfinished");
    path.with_file_name(name)
}

/// On the disk before it takes its name, so that a power cut leaves the old file or the new.
fn write_whole(path: &Path, mode: u32, owner: Option<(u32, u32)>, content: &[u8]) -> Result<()> {
    let doing = || format!("write {}", path.display());
    let new = unfinished(path);
    let mut file = begin(&new).doing(|| format!("make {}", new.display()))?;
    let written = (|| {
        // The mask of the caller may have taken bits away.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid))?;
        }
        file.sync_all()?;
        #[allow(clippy::disallowed_methods, reason = "this is the one place")]
        fs::rename(&new, path)
    })();
    if written.is_err() {
        // The write is what has failed: whoever asked hears of that.
        let _ = fs::remove_file(&new);
    }
    written.and_then(|()| File::open(directory_of(path))?.sync_all()).doing(doing)
}

/// A new and empty file that only its owner can open, locked. Another writer of it is waited for, and
/// what one left that was killed is removed.
fn begin(new: &Path) -> std::io::Result<File> {
    let options = |how: &mut OpenOptions| how.custom_flags(FLAGS).mode(0o600).open(new);
    loop {
        let (file, ours) = match options(OpenOptions::new().write(true).create_new(true)) {
            Err(error) if error.kind() == Io::AlreadyExists => {
                match options(OpenOptions::new().read(true)) {
                    Err(error) if error.kind() == Io::NotFound => continue,
                    opened => (opened?, false),
                }
            }
            made => (made?, true),
        };
        file.lock()?;
        if !is_at(&file, new) {
            continue;
        }
        if ours {
            return Ok(file);
        }
        fs::remove_file(new)?;
    }
}

/// Writes a file of the kernel's, or one that nobody looks for yet: in a directory that is being made,
/// or that a user asked to be filled. What is read meanwhile is replaced ([`write_atomic`]).
///
/// # Errors
/// When it cannot be written.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).doing(|| format!("write {}", path.display()))
}

/// Gives a directory that is whole its name, or a file that another program made.
///
/// # Errors
/// When there is a directory of that name that is not empty, or another file system.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).doing(|| format!("rename {} to {}", from.display(), to.display()))
}

/// What a file says; `None` when it is not there.
///
/// # Errors
/// When it is there and cannot be read: [`ErrorKind::Refused`] to who is not root.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let doing = || format!("read {}", path.display());
    match fs::read(path) {
        Err(error) if error.kind() == Io::NotFound => Ok(None),
        Err(error) if error.kind() == Io::PermissionDenied => {
            let refused = Error::new(ErrorKind::Refused, doing()).because(error);
            Err(refused.hint("Run it as root: `sudo aio …`."))
        }
        read => read.map(Some).doing(doing),
    }
}

/// What stands in a directory, sorted; nothing when it is not there.
///
/// # Errors
/// When it is there and cannot be read.
pub fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("read {}", directory.display());
    let listing = match fs::read_dir(directory) {
        Err(error) if error.kind() == Io::NotFound => return Ok(Vec::new()),
        listing => listing.doing(doing)?,
    };
    let paths = listing.map(|entry| Ok(entry.doing(doing)?.path()));
    let mut paths = paths.collect::<Result<Vec<PathBuf>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// Removes a file, and what a killed write of it left; no error when it is not there. Whether it was.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<bool> {
    remove_unfinished(path)?;
    remove_name(path)
}

/// Removes what a killed write of a file left beside it.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_unfinished(path: &Path) -> Result<()> {
    remove_name(&unfinished(path)).map(drop)
}

fn remove_name(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == Io::NotFound => Ok(false),
        removed => removed.map(|()| true).doing(|| format!("remove {}", path.display())),
    }
}

/// Whether an open file or directory is the one that has that name now. Who locks one asks this after
/// having the lock: whoever had it before may have removed the file.
pub fn is_at(file: &File, path: &Path) -> bool {
    let id = |found: fs::Metadata| (found.dev(), found.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => id(held) == id(there),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_can_be_passed_and_the_private_one_not() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        prepare(&paths).unwrap();
        prepare(&paths).unwrap();
        assert_eq!(mode(&paths.state_dir), Some(0o711));
        assert_eq!(mode(&paths.private_dir()), Some(0o700));
        assert_eq!(mode(&paths.cloud_dir()), Some(0o700));
    }

    #[test]
    fn writes_with_the_mode_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/secret");
        write_atomic(&path, 0o600, b"old").unwrap();
        write_atomic(&path, 0o644, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), Some(0o644));
        assert_eq!(mode(&directory.path().join("a")), Some(0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_write_left_goes_with_the_next_one_or_with_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.json");
        let left = || fs::hard_link(&path, unfinished(&path)).unwrap();
        write_atomic(&path, 0o644, b"first").unwrap();
        left();
        let first = File::open(&path).unwrap();
        write_atomic(&path, 0o600, b"second").unwrap();
        assert_eq!(std::io::read_to_string(first).unwrap(), "first", "nobody wrote over it");
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"second".to_vec(), Some(0o600)));
        assert_eq!(entries(directory.path()).unwrap().len(), 1);
        left();
        remove(&path).unwrap();
        assert!(entries(directory.path()).unwrap().is_empty());
    }

    #[test]
    fn what_others_put_in_the_way_of_a_write_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let [path, other] = ["mine.yml", "other"].map(|it| directory.path().join(it));
        write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, unfinished(&path)).unwrap();
        assert!(write_atomic(&path, 0o600, b"new").is_err());
        assert_eq!(fs::read(&other).unwrap(), b"theirs");
        assert!(!path.exists());
    }

    #[test]
    fn writers_of_one_file_wait_for_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one");
        let text = |letter: u8| vec![letter; 1 << 16];
        std::thread::scope(|scope| {
            for letter in b'a'..b'i' {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        write_atomic(path, 0o600, &text(letter)).unwrap();
                    }
                });
            }
        });
        let found = fs::read(&path).unwrap();
        assert!((b'a'..b'i').any(|letter| found == text(letter)), "one writer's, whole");
        assert_eq!(entries(directory.path()).unwrap(), [path]);
    }

    #[test]
    fn a_users_link_and_owner_stay() {
        let directory = tempfile::tempdir().unwrap();
        let [target, link] = ["mine.yml", "etc/cloud.yml"].map(|it| directory.path().join(it));
        write(&target, "old").unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("../mine.yml", &link).unwrap();
        let root = rustix::process::geteuid().is_root();
        if root {
            std::os::unix::fs::chown(&target, Some(1234), Some(1235)).unwrap();
        }
        replace(&link, 0o600, b"new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        let found = target.metadata().unwrap();
        assert_eq!((fs::read(&target).unwrap(), mode(&target)), (b"new".to_vec(), Some(0o600)));
        assert!(!root || (found.uid(), found.gid()) == (1234, 1235));
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two, none] = ["one", "two", "none"].map(|name| directory.path().join(name));
        write(&two, "2").unwrap();
        write(&one, "1").unwrap();
        assert_eq!((read(&one).unwrap(), read(&none).unwrap()), (Some(b"1".to_vec()), None));
        assert_eq!(entries(directory.path()).unwrap(), [one.clone(), two]);
        assert_eq!(entries(&none).unwrap(), Vec::<PathBuf>::new());
        assert!(read(directory.path()).is_err() && entries(&one).is_err());
    }

    #[test]
    fn a_file_that_was_replaced_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        write(&path, "").unwrap();
        let file = File::open(&path).unwrap();
        assert!(is_at(&file, &path));
        write_atomic(&path, 0o600, b"").unwrap();
        assert!(!is_at(&file, &path));
        remove(&path).unwrap();
        assert!(!is_at(&file, &path));
    }
}
