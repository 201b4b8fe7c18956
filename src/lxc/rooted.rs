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

/// File systems whose files say what the kernel does (proc(5), sysfs(5), …), or what a process
/// answers.
const UNSTORED: [i64; 14] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x6265_6570, // configfs
    0x6165_676c, // pstore
    0xf97c_ff8c, // selinux
    0xde5e_81e4, // efivars
    0xcafe_4a11, // bpf
    0x6e73_6673, // namespaces
    0x6573_5546, // fuse
];

/// Refuses what is opened as a container's file and is none that somebody stored: there a link or a
/// mount to `/proc` or `/sys` would have root of the host read what its own processes may.
pub fn require_stored(file: BorrowedFd<'_>) -> io::Result<()> {
    // The type is a number of 32 bits that some architectures sign.
    let kind = rustix::fs::fstatfs(file)?.f_type & 0xffff_ffff;
    if UNSTORED.contains(&kind) {
        return Err(io::Error::other("it is the kernel's, and no stored file"));
    }
    Ok(())
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
    require_stored(descriptor.as_fd())?;
    let file = std::fs::File::from(descriptor);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    bounded::read_file(&file, bounded::LARGEST_BYTES).map(Some)
}

/// Whether an error says that nothing stands at a path.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_the_kernel_says_is_no_file_of_a_container() {
        let place = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::write(place.path().join("stored"), "a").unwrap();
        for (name, target) in
            [("version", "/proc/version"), ("uevent", "/sys/kernel/uevent_seqnum")]
        {
            symlink(target, place.path().join(name)).unwrap();
        }
        let root = open_root(Path::new("/")).unwrap();
        let read = |name: &str| read(root.as_fd(), &place.path().join(name));
        assert_eq!(read("stored").unwrap().unwrap(), b"a");
        for name in ["version", "uevent"] {
            let error = read(name).unwrap_err();
            assert!(error.to_string().contains("the kernel's"), "{name}: {error}");
        }
        assert_eq!(read("missing").unwrap(), None);
    }
}
