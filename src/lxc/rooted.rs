//! Paths inside a foreign root: resolved so that no symbolic link leads out of it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::bounded;

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Opens a directory of the host as a root.
pub fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens a directory of the host that is where its path says: no part of the path is a symbolic link,
/// so that whoever owns a part of it cannot lead elsewhere.
pub fn open_without_links(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve)?)
}

/// Opens `path` (absolute or relative to the root, symbolic links followed inside the root).
pub fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    // A terminal put there does not become this process's own.
    let terminal = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NOCTTY };
    Ok(openat2(root, path, flags | terminal | OFlags::CLOEXEC, Mode::empty(), IN_ROOT)?)
}

/// Opens a directory, made with its missing parents (0755) when it is not there.
pub fn open_or_make_directory(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match open(root, path, flags) {
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {}
        other => return other,
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::NOENT.into());
    };
    let here = parent.as_os_str().is_empty();
    let parent = open_or_make_directory(root, if here { Path::new(".") } else { parent })?;
    rustix::fs::mkdirat(parent.as_fd(), name, Mode::from_raw_mode(0o755))?;
    open(root, path, flags)
}

/// A path of the host under which an open descriptor is reached, as long as this process lives.
pub fn host_path(descriptor: BorrowedFd<'_>) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), descriptor.as_raw_fd()))
}

/// Reads a file whole; `None` when there is none.
///
/// # Errors
/// When it cannot be read, is something else than a file, or is too long.
pub fn read(root: BorrowedFd<'_>, path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Not blocking, so that a pipe put there cannot hang the reader.
    let descriptor = match open(root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Err(error) if is_missing(&error) => return Ok(None),
        other => other?,
    };
    let file = std::fs::File::from(descriptor);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    bounded::read(file, bounded::LARGEST_BYTES).map(Some)
}

/// Whether an error says that nothing stands at a path.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
