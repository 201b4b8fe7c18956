//! Trees that strangers fill, walked and removed however deep they are: one descriptor at a time, no
//! recursion, no path that grows. A hundred thousand directories one in the other, which take a few
//! seconds to make, would else take all of a stack or all descriptors.
//!
//! The way back up is `..`, and where that leads elsewhere (somebody moves directories meanwhile) the
//! walk ends.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat2};
use rustix::io::Errno;

/// What stands in a directory.
pub struct Entry<'a> {
    /// The directory.
    pub directory: BorrowedFd<'a>,
    /// Its name there.
    pub name: &'a CStr,
    /// What it is; links are not followed.
    pub kind: FileType,
}

impl Entry<'_> {
    /// What is known of it; of a link itself.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::statat(self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn remove(&self) -> io::Result<()> {
        let flags = if self.kind.is_dir() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(self.directory, self.name, flags) {
            // Somebody else removes the same.
            Err(Errno::NOENT) => Ok(()),
            other => other.map_err(|error| about(self.name, error)),
        }
    }
}

/// Visits whatever `top` is and all below it, directories before what is in them.
///
/// # Errors
/// When something cannot be read, and the visitor's own.
pub fn walk(top: &Path, mut visit: impl FnMut(&Entry<'_>) -> io::Result<()>) -> io::Result<()> {
    descend(top, ResolveFlags::empty(), &mut visit, &mut |_| Ok(()))
}

/// Removes whatever `top` is, with all below it; no error when there is nothing. What is mounted
/// somewhere below is not removed.
///
/// # Errors
/// When something cannot be removed.
pub fn remove(top: &Path) -> io::Result<()> {
    let mut visit = |entry: &Entry<'_>| if entry.kind.is_dir() { Ok(()) } else { entry.remove() };
    match descend(top, ResolveFlags::NO_XDEV, &mut visit, &mut |entry| entry.remove()) {
        Err(error) if super::rooted::is_missing(&error) => Ok(()),
        other => other,
    }
}

type Visit<'a> = &'a mut dyn FnMut(&Entry<'_>) -> io::Result<()>;

/// A directory above the one that is open.
struct Above {
    device_and_number: (u64, u64),
    /// Where it was left.
    name: CString,
    /// Directories in it that are still to be entered.
    left: Vec<CString>,
}

fn descend(top: &Path, how: ResolveFlags, visit: Visit<'_>, leave: Visit<'_>) -> io::Result<()> {
    let (Some(parent), Some(name)) = (top.parent(), top.file_name()) else {
        return Err(Errno::INVAL.into());
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let parent = rustix::fs::open(parent, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let name = CString::new(name.as_bytes())?;
    let found = rustix::fs::statat(&parent, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(found.st_mode);
    let top = Entry { directory: parent.as_fd(), name: &name, kind };
    visit(&top)?;
    if !kind.is_dir() {
        return Ok(());
    }
    let mut here = enter(&parent, &name, how).map_err(|error| about(&name, error))?;
    let mut left = look(&here, visit)?;
    let mut above: Vec<Above> = Vec::new();
    loop {
        if let Some(name) = left.pop() {
            let below = match enter(&here, &name, how) {
                Err(Errno::NOENT) => continue,
                other => other.map_err(|error| about(&name, error))?,
            };
            above.push(Above { device_and_number: device_and_number(&here)?, name, left });
            here = below;
            left = look(&here, visit)?;
        } else if let Some(level) = above.pop() {
            here = rustix::fs::openat(&here, c"..", OPEN, Mode::empty())?;
            if device_and_number(&here)? != level.device_and_number {
                let reason = "its directories are moved meanwhile";
                return Err(io::Error::other(reason));
            }
            leave(&Entry {
                directory: here.as_fd(),
                name: &level.name,
                kind: FileType::Directory,
            })?;
            left = level.left;
        } else {
            return leave(&top);
        }
    }
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn enter(directory: &OwnedFd, name: &CStr, how: ResolveFlags) -> Result<OwnedFd, Errno> {
    let resolve = how | ResolveFlags::NO_SYMLINKS;
    openat2(directory, name, OPEN | OFlags::NOFOLLOW, Mode::empty(), resolve)
}

/// Visits all that is in a directory; the directories among it.
fn look(directory: &OwnedFd, visit: Visit<'_>) -> io::Result<Vec<CString>> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let mut entry = Entry { directory: directory.as_fd(), name, kind: entry.file_type() };
        // Some file systems do not say.
        if entry.kind == FileType::Unknown {
            entry.kind = FileType::from_raw_mode(entry.stat()?.st_mode);
        }
        visit(&entry)?;
        if entry.kind.is_dir() {
            directories.push(name.to_owned());
        }
    }
    Ok(directories)
}

fn device_and_number(directory: &OwnedFd) -> io::Result<(u64, u64)> {
    let found = rustix::fs::fstat(directory)?;
    Ok((found.st_dev, found.st_ino))
}

fn about(name: &CStr, error: Errno) -> io::Error {
    let name = name.to_string_lossy();
    if error == Errno::XDEV {
        return io::Error::other(format!("something is mounted at `{name}`"));
    }
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("`{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// More than a stack or a process's descriptors suffice for, and made in a few seconds.
    const DEEP: usize = 25_000;

    /// Directories one in the other, with a file in the last.
    fn deep(top: &Path) {
        std::fs::create_dir(top).unwrap();
        let mut here = rustix::fs::open(top, OPEN, Mode::empty()).unwrap();
        for _ in 0..DEEP {
            rustix::fs::mkdirat(&here, c"d", Mode::RWXU).unwrap();
            here = rustix::fs::openat(&here, c"d", OPEN, Mode::empty()).unwrap();
        }
        let flags = OFlags::CREATE | OFlags::WRONLY;
        drop(rustix::fs::openat(&here, c"file", flags, Mode::RUSR).unwrap());
    }

    #[test]
    fn the_deepest_tree_is_counted_and_removed() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        deep(&top);
        let mut count = 0;
        walk(&top, |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, DEEP + 2);
        remove(&top).unwrap();
        assert!(!top.exists());
        remove(&top).unwrap();
    }

    #[test]
    fn links_are_removed_and_what_they_lead_to_is_not() {
        let place = tempfile::tempdir().unwrap();
        let (top, other) = (place.path().join("top"), place.path().join("other"));
        for path in ["top/a/b", "top/c", "other"] {
            std::fs::create_dir_all(place.path().join(path)).unwrap();
        }
        std::fs::write(other.join("kept"), "").unwrap();
        symlink(&other, top.join("a/link")).unwrap();
        symlink("kept", other.join("link")).unwrap();
        let mut names = Vec::new();
        walk(&top, |entry| {
            names.push(entry.name.to_str().unwrap().to_owned());
            Ok(())
        })
        .unwrap();
        names.sort();
        assert_eq!(names, ["a", "b", "c", "link", "top"]);
        remove(&top).unwrap();
        remove(&other.join("link")).unwrap();
        assert!(!top.exists() && other.join("kept").exists());
    }
}
