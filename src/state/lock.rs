//! One lock for each cloud: whoever changes it holds it. The kernel drops it with the process, so
//! there is nothing to clean up after a crash. What stands in the file is for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::files;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::paths::Paths;

/// How often a waiting process tries.
const RETRY: Duration = Duration::from_millis(100);

/// Who holds a lock, as it wrote itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// `bootstrap`, `rebuild`, …
    pub command: String,
    /// Seconds since the epoch.
    pub since: u64,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = now().saturating_sub(self.since);
        write!(formatter, "`aio {}` (process {}, for {held} s)", self.command, self.pid)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the cloud for `command`. When another process holds it, calls `waiting`
    /// once and tries for `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when the other holds it for longer; otherwise when the file cannot be
    /// made.
    pub fn acquire(
        paths: &Paths,
        command: &str,
        timeout: Duration,
        waiting: impl FnOnce(&str),
    ) -> Result<Self> {
        let path = paths.lock_file();
        files::prepare(paths)?;
        let deadline = Instant::now() + timeout;
        let mut waiting = Some(waiting);
        loop {
            if let Some(lock) = Self::try_once(&path, command)? {
                return Ok(lock);
            }
            let holder = holder(&path);
            if Instant::now() >= deadline {
                return Err(busy(&paths.cloud, &holder, timeout));
            }
            if let Some(waiting) = waiting.take() {
                waiting(&format!("waiting for {holder}, which changes cloud `{}`", paths.cloud));
            }
            std::thread::sleep(RETRY);
        }
    }

    fn try_once(path: &Path, command: &str) -> Result<Option<Self>> {
        let doing = || format!("lock {}", path.display());
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .doing(doing)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).doing(doing),
        }
        // `destroy` removes the file while it holds it: what was locked then is no lock any more.
        if !files::is_at(&file, path) {
            return Ok(None);
        }
        let holder = Holder { pid: std::process::id(), command: command.to_owned(), since: now() };
        let text = serde_json::to_vec(&holder).doing(doing)?;
        file.set_len(0).doing(doing)?;
        file.rewind().doing(doing)?;
        file.write_all(&text).doing(doing)?;
        Ok(Some(Self { file }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Who holds nothing should not be named. The kernel gives the lock up in any case.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Who holds the lock, in words.
fn holder(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    match read.ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok()) {
        Some(holder) => holder.to_string(),
        None => "another aio".to_owned(),
    }
}

fn busy(cloud: &str, holder: &str, timeout: Duration) -> Error {
    Error::new(ErrorKind::Busy, format!("cloud `{cloud}` is being changed by {holder}"))
        .because(format!("it did not end within {} s", timeout.as_secs()))
        .hint("Wait for it, or pass `--lock-timeout SECONDS` to wait longer.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(_: &str) {}

    #[test]
    fn a_second_one_waits_with_a_message_and_then_gives_up() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let held = Lock::acquire(&paths, "bootstrap", Duration::ZERO, silent).unwrap();
        let mut said = String::new();
        let limit = Duration::from_millis(250);
        let error =
            Lock::acquire(&paths, "rebuild", limit, |text| text.clone_into(&mut said)).unwrap_err();
        let me = std::process::id();
        let expected = format!("waiting for `aio bootstrap` (process {me}, for ");
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(error.kind, ErrorKind::Busy);
        assert!(error.message.contains("`aio bootstrap`"), "{error}");
        assert!(error.hints[0].contains("--lock-timeout"));
        drop(held);
        Lock::acquire(&paths, "rebuild", Duration::ZERO, silent).unwrap();
    }

    #[test]
    fn a_waiting_one_goes_on_when_the_first_ends() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let held = Lock::acquire(&paths, "bootstrap", Duration::ZERO, silent).unwrap();
        let second = {
            let paths = paths.clone();
            std::thread::spawn(move || {
                Lock::acquire(&paths, "stop", Duration::from_secs(20), silent).map(drop)
            })
        };
        std::thread::sleep(Duration::from_millis(150));
        drop(held);
        second.join().unwrap().unwrap();
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let held = Lock::acquire(&paths, "destroy", Duration::ZERO, silent).unwrap();
        std::fs::remove_file(paths.lock_file()).unwrap();
        // The file is another one now, and free.
        let next = Lock::acquire(&paths, "bootstrap", Duration::ZERO, silent).unwrap();
        drop(held);
        let third = Lock::acquire(&paths, "stop", Duration::ZERO, silent);
        assert_eq!(third.unwrap_err().kind, ErrorKind::Busy);
        drop(next);
    }

    #[test]
    fn clouds_do_not_wait_for_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let one = Paths::below(directory.path());
        let other = Paths { cloud: "dev2".to_owned(), ..one.clone() };
        let _held = Lock::acquire(&one, "bootstrap", Duration::ZERO, silent).unwrap();
        Lock::acquire(&other, "bootstrap", Duration::ZERO, silent).unwrap();
    }
}
