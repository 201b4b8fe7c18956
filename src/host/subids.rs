//! `/etc/subuid` and `/etc/subgid`: which ids they give to whom, and changing them safely.
//!
//! Changes follow the protocol of the `passwd` tools (`usermod`, `useradd`), which may run at the
//! same time: a lock file beside the file with the holder's process id, then an atomic rename.

use std::fs;
use std::io::{ErrorKind as IoErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::state::files;

/// How many ids a container has, its slot: 0 to `nobody`, and as many as Debian gives each user.
const COUNT: u32 = 65536;

/// A cloud's slots come in multiples of this: one that grows by a few members changes no file.
const SLOTS: u32 = 64;

/// Where subordinate ids begin (`SUB_UID_MIN` of Debian's and Fedora's tools; uids below belong to
/// accounts).
pub const FIRST: u32 = 100_000;

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

/// The ids of a cloud: slots in a row, which may stand in several ranges. A cloud that needs more
/// gets further ones, and the slots that it has stay what they are.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IdRanges(pub Vec<IdRange>);

impl IdRanges {
    /// How many containers they are for.
    pub fn slots(&self) -> u32 {
        self.0.iter().map(|range| range.count / COUNT).sum()
    }

    /// First id and count of a slot; `None` when the cloud does not have it.
    pub fn slot(&self, slot: u32) -> Option<(u32, u32)> {
        let mut before = 0;
        for range in &self.0 {
            let slots = range.count / COUNT;
            if slot < before + slots {
                return Some((range.first + (slot - before) * COUNT, COUNT));
            }
            before += slots;
        }
        None
    }
}

/// How many slots a cloud has that needs `needed`.
pub fn slots_for(needed: u32) -> u32 {
    needed.max(1).next_multiple_of(SLOTS)
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

/// A file's text without root's lines for these ranges.
pub fn without(text: &str, ranges: &IdRanges) -> String {
    let own: Vec<String> = ranges.0.iter().map(|range| line(*range)).collect();
    let other = |line: &&str| !own.iter().any(|own| own == line.trim_end());
    text.split_inclusive('\n').filter(other).collect()
}

/// Ids of accounts, each a range of one.
pub fn accounts(etc: &Path) -> Vec<IdRange> {
    let text =
        ["passwd", "group"].map(|name| fs::read_to_string(etc.join(name)).unwrap_or_default());
    let text = text.concat();
    let ids = text.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok());
    ids.map(|first| IdRange { first, count: 1 }).collect()
}

/// Ids that this process can give to nobody: its own user namespace lacks them.
pub fn lacking() -> Vec<IdRange> {
    let maps = ["/proc/self/uid_map", "/proc/self/gid_map"];
    maps.iter().flat_map(|map| unmapped(&fs::read_to_string(map).unwrap_or_default())).collect()
}

/// Ids that the text of a `/proc/PID/uid_map` has no outer ones for.
fn unmapped(map: &str) -> Vec<IdRange> {
    let number = |field: Option<&str>| field?.parse::<u32>().ok();
    let mut mapped: Vec<IdRange> = map
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some(IdRange { first: number(fields.next())?, count: number(fields.nth(1))? })
        })
        .collect();
    if mapped.is_empty() {
        return Vec::new();
    }
    mapped.sort_by_key(|range| range.first);
    let mut lacking = Vec::new();
    let mut next = 0_u32;
    for range in mapped {
        if range.first > next {
            lacking.push(IdRange { first: next, count: range.first - next });
        }
        next = next.max(range.first.saturating_add(range.count));
    }
    if next < u32::MAX {
        lacking.push(IdRange { first: next, count: u32::MAX - next });
    }
    lacking
}

/// The first ranges with that many slots that overlap none of `taken`; fewer slots when there are no
/// more. Ids that are next to one another make one range.
pub fn free(taken: &[IdRange], slots: u32) -> IdRanges {
    let mut found: Vec<IdRange> = Vec::new();
    let mut left = slots;
    let mut first = FIRST;
    // The last id is no id: it means "unchanged" to chown.
    while left > 0 && first.checked_add(COUNT).is_some() {
        let range = IdRange { first, count: COUNT };
        first += COUNT;
        if taken.iter().any(|other| other.overlaps(range)) {
            continue;
        }
        left -= 1;
        match found.last_mut() {
            Some(last) if last.first + last.count == range.first => last.count += COUNT,
            _ => found.push(range),
        }
    }
    IdRanges(found)
}

/// Whether the file gives the ranges to root and no part of them to anybody else.
pub fn holds_alone(path: &Path, ranges: &IdRanges) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let own: Vec<String> = ranges.0.iter().map(|range| line(*range)).collect();
    let others: Vec<IdRange> = text
        .lines()
        .filter(|line| !own.iter().any(|own| own == line))
        .filter_map(parse_line)
        .collect();
    own.iter().all(|own| text.lines().any(|line| line == own))
        && !ranges.0.iter().any(|range| others.iter().any(|other| other.overlaps(*range)))
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
        let mut file = Self { path: path.to_owned(), existed: false, text: String::new(), lock };
        if let Some(text) = files::read(path)? {
            file.existed = true;
            file.text = String::from_utf8(text).doing(|| format!("read `{}`", path.display()))?;
        }
        Ok(file)
    }

    /// Writes it atomically, owner and mode kept, and unlocks it. A link (to a file that configuration
    /// management owns) stays a link.
    pub fn replace(self, text: &str) -> Result<()> {
        files::replace(&self.path, files::mode(&self.path).unwrap_or(0o644), text.as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_lacks_what_its_map_does_not_name() {
        let lacking = |map| -> Vec<(u32, u32)> {
            unmapped(map).iter().map(|range| (range.first, range.count)).collect()
        };
        assert_eq!(lacking("         0          0 4294967295\n"), []);
        assert_eq!(lacking("0 100000 65536\n"), [(65_536, u32::MAX - 65_536)]);
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(lacking(rootless), [(65_537, u32::MAX - 65_537)]);
        assert_eq!(lacking(""), []);
    }
}
