//! Which gateways of a cloud run: one small file each, named by the address, with enough to tell the
//! process from a later one with the same number.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use super::host_key;
use crate::error::{Result, ResultExt};
use crate::lxc::process::started_ticks;
use crate::model::paths::Paths;
use crate::state::files;

/// How long a gateway may take to end by itself: it closes its connections.
const PATIENCE: Duration = Duration::from_secs(8);

/// A gateway that runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its cloud.
    pub cloud: String,
    /// Its process id.
    pub pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
    /// When the process was started, in the kernel's ticks since the boot.
    started_ticks: u64,
    /// Which boot.
    boot: String,
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the gateway of cloud `{}` (process {})", self.cloud, self.pid)
    }
}

impl Record {
    fn of_this_process(cloud: &str, address: SocketAddr) -> Result<Self> {
        let doing = || "see when this process was started".to_owned();
        let pid = std::process::id();
        Ok(Self {
            cloud: cloud.to_owned(),
            pid,
            address,
            started_ticks: started_ticks(pid).ok_or(std::io::ErrorKind::NotFound).doing(doing)?,
            boot: boot().doing(doing)?,
        })
    }

    /// A handle of the process, if it is the one that wrote this.
    fn process(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        // First the handle, then the look: the number cannot pass to another in between.
        let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let same = boot().is_ok_and(|boot| boot == self.boot)
            && started_ticks(self.pid) == Some(self.started_ticks);
        same.then_some(process)
    }
}

fn boot() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn directory(paths: &Paths) -> PathBuf {
    paths.gateway_dir().join("running")
}

/// The record of a running server; dropping it removes the file.
pub struct Guard {
    file: PathBuf,
}

impl Guard {
    /// Records that this process listens there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(paths: &Paths, address: SocketAddr) -> Result<Self> {
        let record = Record::of_this_process(&paths.cloud, address)?;
        let text = serde_json::to_vec(&record).doing(|| "record the gateway".to_owned())?;
        let file = directory(paths).join(format!("{address}.json"));
        files::write_atomic(&file, 0o600, &text)?;
        Ok(Self { file })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A file that stays is recognised as that of a dead process.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The gateways of a cloud that run. Records of dead ones are removed.
pub fn running(paths: &Paths) -> Vec<Record> {
    read(&directory(paths)).into_iter().map(|(record, _)| record).collect()
}

fn read(directory: &Path) -> Vec<(Record, OwnedFd)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort_unstable();
    let mut found = Vec::new();
    for file in files {
        let Some(record) =
            std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok())
        else {
            continue;
        };
        match record.process() {
            Some(process) => found.push((record, process)),
            None => {
                let _ = std::fs::remove_file(&file);
            }
        }
    }
    found
}

/// The gateway of any cloud of this state directory that listens on an address.
pub fn holder(paths: &Paths, address: SocketAddr) -> Option<Record> {
    let clouds = paths.cloud_dir().parent()?.read_dir().ok()?;
    let names = clouds.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut all = names.flat_map(|cloud| running(&Paths { cloud, ..paths.clone() }));
    let overlap = |one: SocketAddr| {
        let everywhere = one.ip().is_unspecified() || address.ip().is_unspecified();
        one.port() == address.port() && (one.ip() == address.ip() || everywhere)
    };
    all.find(|record| overlap(record.address))
}

/// Ends every gateway of a cloud and withdraws what they left outside of its directory. Whether
/// there was one. Blocks for some seconds at most.
///
/// # Errors
/// When one cannot be ended.
pub fn stop(paths: &Paths) -> Result<bool> {
    let all = read(&directory(paths));
    for (record, process) in &all {
        let doing = || format!("end {record}");
        rustix::process::pidfd_send_signal(process, Signal::TERM).doing(doing)?;
    }
    for (record, process) in &all {
        let doing = || format!("end {record}");
        if !ended_within(process, PATIENCE).doing(doing)? {
            rustix::process::pidfd_send_signal(process, Signal::KILL).doing(doing)?;
            ended_within(process, PATIENCE).doing(doing)?;
        }
        files::remove(&directory(paths).join(format!("{}.json", record.address)))?;
    }
    host_key::withdraw(paths)?;
    Ok(!all.is_empty())
}

fn ended_within(process: &OwnedFd, patience: Duration) -> std::io::Result<bool> {
    let timeout = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    let mut watched = [PollFd::new(process, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut watched, Some(&timeout)))? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn paths(directory: &tempfile::TempDir, cloud: &str) -> Paths {
        Paths {
            config_dir: directory.path().join("etc"),
            state_dir: directory.path().join("state"),
            cloud: cloud.to_owned(),
        }
    }

    /// A process that plays the gateway, with its record.
    fn play(paths: &Paths, script: &str, address: &str) -> (Child, Record) {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let address = address.parse().unwrap();
        let mut record = Record::of_this_process(&paths.cloud, address).unwrap();
        record.pid = child.id();
        record.started_ticks = started_ticks(child.id()).unwrap();
        write(paths, &record);
        (child, record)
    }

    fn write(paths: &Paths, record: &Record) {
        let file = directory(paths).join(format!("{}.json", record.address));
        files::write_atomic(&file, 0o600, &serde_json::to_vec(record).unwrap()).unwrap();
    }

    #[test]
    fn a_running_one_is_found_by_address_and_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (paths(&directory, "aio1"), paths(&directory, "dev2"));
        std::fs::create_dir_all(other.cloud_dir()).unwrap();
        let (mut child, record) = play(&one, "exec sleep 60", "127.0.0.1:2222");
        assert_eq!(running(&one), std::slice::from_ref(&record));
        assert_eq!(running(&other), []);
        let found = |address: &str| holder(&other, address.parse().unwrap());
        assert_eq!(found("127.0.0.1:2222"), Some(record.clone()));
        assert_eq!(found("0.0.0.0:2222"), Some(record));
        assert_eq!(found("127.0.0.1:2223"), None);
        let waiting = std::thread::spawn(move || child.wait().unwrap());
        assert!(stop(&one).unwrap());
        assert!(!waiting.join().unwrap().success());
        assert!(!stop(&one).unwrap());
    }

    #[test]
    fn another_process_with_the_same_number_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(&directory, "aio1");
        let (mut child, mut record) = play(&paths, "exec sleep 60", "127.0.0.1:2222");
        record.started_ticks -= 1;
        write(&paths, &record);
        assert!(!stop(&paths).unwrap());
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        assert_eq!(running(&paths), []);
        assert_eq!(std::fs::read_dir(super::directory(&paths)).unwrap().count(), 0);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_record_goes_with_its_server() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(&directory, "aio1");
        let guard = Guard::write(&paths, "[::1]:2222".parse().unwrap()).unwrap();
        assert_eq!(running(&paths)[0].pid, std::process::id());
        drop(guard);
        assert_eq!(running(&paths), []);
    }
}
