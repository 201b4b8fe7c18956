//! The files of a checkout, read within it.
//!
//! What a checkout says leads to files: includes, links, directories to be walked. All are opened
//! beneath its root, where links may lead as long as they stay inside, as those of real projects do.
//! Only regular files are read, and none that is longer than any of a project's.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};
use crate::lxc::rooted::is_missing;

/// The longest file that is read. The largest Python file of OpenStack has 0.6 MB.
pub const LONGEST_FILE: u64 = 4 << 20;

/// A directory as a root that nothing leads out of.
pub struct Tree {
    root: PathBuf,
    directory: OwnedFd,
}

/// What stands in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    /// A regular file, or a link to whatever.
    File,
    Other,
}

impl Tree {
    pub fn open(root: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|error| wrong(root, &error.into()))?;
        Ok(Self { root: root.to_owned(), directory })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file; none when there is none.
    ///
    /// # Errors
    /// When it leads out of the tree, is no regular file, is too long or cannot be read.
    pub fn read(&self, file: &Path) -> Result<Option<String>> {
        let refused = |reason: String| {
            let doing = format!("read {}", self.root.join(file).display());
            Error::new(ErrorKind::Usage, doing).because(reason)
        };
        // Not blocking, so that a pipe put there cannot hang the reader.
        let opened = match self.beneath(file, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Err(error) if is_missing(&error) => return Ok(None),
            // A device, on a mount without any.
            Err(_) if self.is(file, |kind| !kind.is_file() && !kind.is_symlink()) => {
                return Err(refused("it is not a regular file".to_owned()));
            }
            opened => opened.map_err(|error| wrong(&self.root.join(file), &error))?,
        };
        if !FileType::from_raw_mode(mode_of(&opened)).is_file() {
            return Err(refused("it is not a regular file".to_owned()));
        }
        let mut content = Vec::new();
        File::from(opened)
            .take(LONGEST_FILE + 1)
            .read_to_end(&mut content)
            .map_err(|error| wrong(&self.root.join(file), &error))?;
        if content.len() as u64 > LONGEST_FILE {
            return Err(refused(format!("it has more than {} MiB", LONGEST_FILE >> 20)));
        }
        Ok(Some(String::from_utf8_lossy(&content).into_owned()))
    }

    /// Whether a path leads to a directory of the tree.
    pub fn is_directory(&self, path: &Path) -> bool {
        self.is(path, FileType::is_dir)
    }

    /// Whether a path leads to a regular file of the tree.
    pub fn is_file(&self, path: &Path) -> bool {
        self.is(path, FileType::is_file)
    }

    fn is(&self, path: &Path, wanted: impl Fn(FileType) -> bool) -> bool {
        let opened = self.beneath(path, OFlags::PATH);
        opened.is_ok_and(|it| wanted(FileType::from_raw_mode(mode_of(&it))))
    }

    /// What stands in a directory, sorted by name; nothing when it cannot be read.
    pub fn entries(&self, directory: &Path) -> Vec<(OsString, Kind)> {
        let opened = self.beneath(directory, OFlags::RDONLY | OFlags::DIRECTORY);
        let entries = opened.and_then(|it| Ok(rustix::fs::Dir::read_from(it.as_fd())?));
        let mut found: Vec<(OsString, Kind)> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| ![c".", c".."].contains(&entry.file_name()))
            .map(|entry| {
                use std::os::unix::ffi::OsStringExt;
                let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
                let kind = match entry.file_type() {
                    FileType::Directory => Kind::Directory,
                    FileType::RegularFile | FileType::Symlink => Kind::File,
                    // Some file systems do not say.
                    FileType::Unknown if self.is_directory(&directory.join(&name)) => {
                        Kind::Directory
                    }
                    FileType::Unknown => Kind::File,
                    _ => Kind::Other,
                };
                (name, kind)
            })
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    fn beneath(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }
}

fn mode_of(opened: &OwnedFd) -> u32 {
    rustix::fs::fstat(opened).map_or(0, |found| found.st_mode)
}

fn wrong(path: &Path, error: &io::Error) -> Error {
    let doing = format!("read {}", path.display());
    let raw = error.raw_os_error();
    let is = |errno: Errno| raw == Some(errno.raw_os_error());
    if is(Errno::XDEV) {
        let reason = "it leads out of the checkout, which is read within itself";
        return Error::new(ErrorKind::Usage, doing).because(reason);
    }
    if is(Errno::LOOP) {
        return Error::new(ErrorKind::Usage, doing).because("its links lead nowhere");
    }
    if is(Errno::NXIO) {
        return Error::new(ErrorKind::Usage, doing).because("it is not a regular file");
    }
    Error::failed(doing).because(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn refusal(tree: &Tree, file: &str) -> String {
        let error = tree.read(Path::new(file)).unwrap_err();
        assert!(error.message.ends_with(file), "{error}");
        error.causes.join(" ")
    }

    #[test]
    fn links_are_followed_as_long_as_they_stay_inside() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("tree");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/one"), "one").unwrap();
        std::fs::write(place.path().join("secret"), "secret").unwrap();
        for (target, link) in [
            ("../one", "a/b/inside"),
            ("../../../secret", "a/b/outside"),
            ("/etc/passwd", "absolute"),
            ("/proc/self/environ", "magic"),
            ("..", "above"),
            ("circle", "circle"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let tree = Tree::open(&root).unwrap();
        assert_eq!(tree.read(Path::new("a/b/inside")).unwrap().unwrap(), "one");
        assert_eq!(tree.read(Path::new("a/b/../one")).unwrap().unwrap(), "one");
        assert_eq!(tree.read(Path::new("a/two")).unwrap(), None);
        for file in ["a/b/outside", "absolute", "magic", "../secret", "/etc/passwd", "above/secret"]
        {
            assert!(refusal(&tree, file).contains("leads out of the checkout"), "{file}");
        }
        assert!(refusal(&tree, "circle").contains("lead nowhere"));
        assert!(!tree.is_directory(Path::new("above")) && tree.is_directory(Path::new("")));
        assert!(!tree.is_file(Path::new("absolute")));
        assert!(tree.entries(Path::new("above")).is_empty());
        let names: Vec<_> = tree.entries(Path::new("a")).into_iter().collect();
        assert_eq!(names, [("b".into(), Kind::Directory), ("one".into(), Kind::File)]);
    }

    #[test]
    fn only_files_of_a_projects_size_are_read_and_nothing_hangs() {
        let place = tempfile::tempdir().unwrap();
        let tree = Tree::open(place.path()).unwrap();
        let at = |name: &str| place.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), Mode::from_raw_mode(0o644)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        for file in ["fifo", "socket", "directory"] {
            assert!(refusal(&tree, file).contains("not a regular file"), "{file}");
        }
        assert!(refusal(&tree, "/dev/zero").contains("leads out"));
        File::create(at("long")).unwrap().set_len(10 << 30).unwrap();
        assert!(refusal(&tree, "long").contains("more than 4 MiB"));
    }
}
