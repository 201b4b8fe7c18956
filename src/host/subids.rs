//! `/etc/subuid` and `/etc/subgid`: which ids they give to whom, and changing them safely.
//!
//! Changes follow the protocol of the `passwd` tools (`usermod`, `useradd`), which may run at the
//! same time: a lock file beside the file with the holder's process id, then an atomic rename.

use std::fs;
use std::io::{ErrorKind as IoErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, ResultExt};

/// How many ids a container has: 0 to `nobody`, and as many as Debian gives each user.
const COUNT: u32 = 65536;

/// Where subordinate ids begin (`SUB_UID_MIN` of Debian's and Fedora's tools; uids below belong to
/// accounts).
const FIRST: u32 = 100_000;

/// How long another tool may hold the lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ids in a row.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct IdRange {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl IdRange {
    /// Whether the two share an id.
    pub fn overlaps(self, other: Self) -> bool {
        let end = |range: Self| u64::from(range.first) + u64::from(range.count);
        u64::from(self.first) < end(other) && u64::from(other.first) < end(self)
    }
}

/// The line that gives a range to root.
pub fn line(range: IdRange) -> String {
    format!("root:{}:{}", range.first, range.count)
}

/// The range of a line; nothing for comments and what nobody can read.
pub fn parse_line(line: &str) -> Option<IdRange> {
    let mut fields = line.trim().split(':').skip(1);
    let first = fields.next()?.parse().ok()?;
    let count = fields.next()?.parse().ok()?;
    Some(IdRange { first, count })
}

/// A file's text without root's line for that range.
pub fn without(text: &str, range: IdRange) -> String {
    let own = line(range);
    text.split_inclusive('\n').filter(|line| line.trim_end() != own).collect()
}

/// Ids of accounts, each a range of one.
pub fn accounts(etc: &Path) -> Vec<IdRange> {
    let text =
        ["passwd", "group"].map(|name| fs::read_to_string(etc.join(name)).unwrap_or_default());
    let text = text.concat();
    let ids = text.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok());
    ids.map(|first| IdRange { first, count: 1 }).collect()
}

/// The first range that overlaps none of `taken`.
pub fn next_free(taken: &[IdRange]) -> Option<IdRange> {
    let mut first = FIRST;
    loop {
        let range = IdRange { first, count: COUNT };
        // The last id is no id: it means "unchanged" to chown.
        first.checked_add(COUNT)?;
        match taken.iter().find(|other| other.overlaps(range)) {
            None => return Some(range),
            Some(_) => first += COUNT,
        }
    }
}

/// Whether the file gives the range to root and no part of it to anybody else.
pub fn holds_alone(path: &Path, range: IdRange) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let own = line(range);
    let others = text.lines().filter(|line| *line != own).filter_map(parse_line);
    text.lines().any(|line| line == own) && !others.into_iter().any(|other| other.overlaps(range))
}

/// One of the two files, locked against other tools until dropped.
#[derive(Debug)]
pub struct LockedFile {
    /// Where it stands.
    pub path: PathBuf,
    /// Whether it is there.
    pub existed: bool,
    /// What it says.
    pub text: String,
    lock: PathBuf,
}

impl LockedFile {
    /// Locks and reads it.
    pub fn open(path: &Path) -> Result<Self> {
        let lock = PathBuf::from(format!("{}.lock", path.display()));
        take_lock(&lock)?;
        let mut file = Self { path: path.to_owned(), existed: true, text: String::new(), lock };
        match fs::read_to_string(path) {
            Ok(text) => file.text = text,
            Err(error) if error.kind() == IoErrorKind::NotFound => file.existed = false,
            Err(error) => return Err(error).doing(|| format!("read `{}`", path.display())),
        }
        Ok(file)
    }

    /// Writes it atomically, owner and mode kept, and unlocks it.
    pub fn replace(self, text: &str) -> Result<()> {
        let doing = || format!("write `{}`", self.path.display());
        // A link (to a file that configuration management owns) stays a link.
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let directory = target.parent().unwrap_or_else(|| Path::new("/"));
        // Always the same name, which the lock makes ours: one that a power cut left is used again.
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let new = directory.join(format!(".aio-{name}"));
        let mut file = fs::File::create(&new).doing(doing)?;
        file.write_all(text.as_bytes()).doing(doing)?;
        let mode = match fs::metadata(&target) {
            Ok(old) => {
                std::os::unix::fs::chown(&new, Some(old.uid()), Some(old.gid())).doing(doing)?;
                old.permissions()
            }
            Err(_) => fs::Permissions::from_mode(0o644),
        };
        fs::set_permissions(&new, mode).doing(doing)?;
        file.sync_all().doing(doing)?;
        fs::rename(&new, &target).doing(doing)?;
        fs::File::open(directory).and_then(|directory| directory.sync_all()).doing(doing)
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock);
    }
}

fn take_lock(lock: &Path) -> Result<()> {
    let started = Instant::now();
    loop {
        match fs::OpenOptions::new().write(true).create_new(true).open(lock) {
            Ok(mut file) => {
                // The `passwd` tools expect the process id and a zero byte.
                let id = format!("{}\0", std::process::id());
                return file
                    .write_all(id.as_bytes())
                    .doing(|| format!("write `{}`", lock.display()));
            }
            Err(error) if error.kind() == IoErrorKind::AlreadyExists => {
                if started.elapsed() > PATIENCE {
                    return Err(held(lock));
                }
                if abandoned(lock) {
                    let _ = fs::remove_file(lock);
                } else {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            Err(error) => return Err(error).doing(|| format!("make `{}`", lock.display())),
        }
    }
}

/// Whether the process that the lock names is gone.
fn abandoned(lock: &Path) -> bool {
    let text = fs::read_to_string(lock).unwrap_or_default();
    let holder: Option<u32> = text.trim_end_matches(['\0', '\n']).parse().ok();
    // A lock without a number has just been made, or is nobody's business of ours.
    holder.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists())
}

fn held(lock: &Path) -> Error {
    let holder = fs::read_to_string(lock).unwrap_or_default();
    Error::new(ErrorKind::Busy, format!("lock `{}`", lock.display()))
        .because(format!("held by process {}", holder.trim_end_matches(['\0', '\n'])))
        .hint(format!("Wait for `usermod` or `useradd` to end, or remove {}.", lock.display()))
}
