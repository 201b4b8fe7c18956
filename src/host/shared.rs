//! Kernel settings that several clouds share: raised by the first that needs them, restored by the
//! last.
//!
//! The ledger stands in a directory that a reboot empties, as a reboot also undoes the settings. It
//! names the boot it belongs to, for hosts whose `/run` is kept: what another boot wrote down is
//! not true of this one, and restoring it would set what nobody had.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, ResultExt};
use crate::state::files;

/// The setting with side effects: writing it also changes each interface's own forwarding and
/// whether redirects are believed.
const FORWARD: &str = "net.ipv4.ip_forward";

/// Counted settings of this host.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    run_dir: PathBuf,
    proc_sys: PathBuf,
}

/// The ledger, a file in the run directory.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Ledger {
    /// The boot in which it was written.
    boot: String,
    /// By name of the setting.
    settings: BTreeMap<String, Entry>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Entry {
    /// What it was before it was raised; absent while it never had to be.
    before: Option<String>,
    /// What was written last.
    written: Option<String>,
    /// Other settings that writing this one changed, as they were.
    beside: BTreeMap<String, String>,
    /// Who needs it, and the least value that each needs.
    needs: BTreeMap<String, u64>,
}

impl SharedSettings {
    /// Settings of the running kernel, counted in `run_dir`.
    pub fn new(run_dir: &Path) -> Self {
        Self::with_kernel(run_dir, Path::new("/proc/sys"))
    }

    /// The same over another tree of settings, for tests.
    pub fn with_kernel(run_dir: &Path, proc_sys: &Path) -> Self {
        Self { run_dir: run_dir.to_owned(), proc_sys: proc_sys.to_owned() }
    }

    /// Why `needs` are not met, or not counted for `owner`.
    pub fn differs(&self, owner: &str, needs: &BTreeMap<String, u64>) -> Result<Option<String>> {
        let ledger = self.read()?;
        for (name, least) in needs {
            let Some(value) = self.value(name)? else { continue };
            if too_low(&value, *least) {
                return Ok(Some(format!("the kernel setting {name} is {value}, needed {least}")));
            }
            let counted = ledger.settings.get(name).and_then(|entry| entry.needs.get(owner));
            if counted != Some(least) {
                return Ok(Some(format!("the need of {name} is not noted")));
            }
        }
        Ok(None)
    }

    /// Counts the needs of `owner`, in place of those it had, and raises what is too low.
    pub fn apply(&self, owner: &str, needs: &BTreeMap<String, u64>) -> Result<()> {
        let lock = self.lock()?;
        let mut ledger = self.read()?;
        self.withdraw(&mut ledger, owner, |name| !needs.contains_key(name))?;
        for (name, least) in needs {
            let Some(value) = self.value(name)? else { continue };
            let entry = ledger.settings.entry(name.clone()).or_default();
            entry.needs.insert(owner.to_owned(), *least);
            if !too_low(&value, *least) {
                continue;
            }
            if entry.written.as_ref() != Some(&value) {
                entry.beside =
                    if name == FORWARD { self.beside_forward() } else { BTreeMap::new() };
                entry.before = Some(value);
            }
            entry.written = Some(least.to_string());
            // First the ledger: whatever kills this process, what was is known.
            self.write(&ledger)?;
            self.set(name, &least.to_string())?;
        }
        self.write(&ledger)?;
        drop(lock);
        Ok(())
    }

    /// Withdraws all needs of `owner`. What nobody needs any more is put back, what others need less
    /// of is lowered, unless somebody else has changed it since.
    pub fn release(&self, owner: &str) -> Result<()> {
        if !self.run_dir.exists() {
            return Ok(());
        }
        let lock = self.lock()?;
        let mut ledger = self.read()?;
        self.withdraw(&mut ledger, owner, |_| true)?;
        if ledger.settings.is_empty() {
            files::remove(&self.file())?;
            // It stays while it holds anything else.
            let _ = fs::remove_dir(&self.run_dir);
        } else {
            self.write(&ledger)?;
        }
        drop(lock);
        Ok(())
    }

    /// Takes the needs of `owner` that `which` selects out of the ledger, and puts back.
    fn withdraw(
        &self,
        ledger: &mut Ledger,
        owner: &str,
        which: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let names: Vec<String> =
            ledger.settings.keys().filter(|name| which(name)).cloned().collect();
        for name in names {
            let Some(entry) = ledger.settings.get_mut(&name) else { continue };
            entry.needs.remove(owner);
            let ours = entry.written.is_some() && self.value(&name)? == entry.written;
            if let Some(most) = entry.needs.values().max().copied() {
                if ours {
                    self.lower(&name, entry, most)?;
                }
                continue;
            }
            if let (true, Some(before)) = (ours, &entry.before) {
                self.set(&name, before)?;
                for (other, value) in &entry.beside {
                    if self.value(other)?.is_some_and(|now| now != *value) {
                        self.set(other, value)?;
                    }
                }
            }
            ledger.settings.remove(&name);
        }
        Ok(())
    }

    /// Lowers a setting that `aio` raised to what those who are left need, or to what it was if
    /// that is more.
    fn lower(&self, name: &str, entry: &mut Entry, most: u64) -> Result<()> {
        let number = |text: &Option<String>| text.as_ref().and_then(|it| it.parse::<u64>().ok());
        let enough = most.max(number(&entry.before).unwrap_or(0));
        if number(&entry.written).is_some_and(|written| written > enough) {
            self.set(name, &enough.to_string())?;
            entry.written = Some(enough.to_string());
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        // As sysctl(8): a slash in a name stands for a dot in a path (`conf/eth0.5`).
        let swapped: String = name
            .chars()
            .map(|letter| match letter {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect();
        self.proc_sys.join(swapped)
    }

    /// The present value; nothing when this kernel has no such setting.
    fn value(&self, name: &str) -> Result<Option<String>> {
        let text = files::read(&self.path(name))
            .map_err(|error| error.context(format!("read the kernel setting {name}")))?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        files::write(&self.path(name), value)
            .map_err(|error| error.context(format!("set the kernel setting {name} to {value}")))
    }

    /// What writing `net.ipv4.ip_forward` changes beside it.
    fn beside_forward(&self) -> BTreeMap<String, String> {
        let mut beside = BTreeMap::new();
        let mut note = |name: String| {
            if let Ok(Some(value)) = self.value(&name) {
                beside.insert(name, value);
            }
        };
        note("net.ipv4.conf.all.accept_redirects".to_owned());
        let interfaces = fs::read_dir(self.proc_sys.join("net/ipv4/conf"));
        for interface in interfaces.into_iter().flatten().flatten() {
            let name = interface.file_name().to_string_lossy().replace('.', "/");
            // `all.forwarding` is the setting itself.
            if name != "all" {
                note(format!("net.ipv4.conf.{name}.forwarding"));
            }
        }
        beside
    }

    fn file(&self) -> PathBuf {
        self.run_dir.join("settings.json")
    }

    fn boot(&self) -> String {
        let path = self.proc_sys.join("kernel/random/boot_id");
        fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    }

    /// The ledger of this boot; an empty one when there is none.
    fn read(&self) -> Result<Ledger> {
        let boot = self.boot();
        let empty = || Ledger { boot: boot.clone(), ..Ledger::default() };
        let Some(text) = files::read(&self.file())? else { return Ok(empty()) };
        let ledger: Ledger = serde_json::from_slice(&text).map_err(|error| {
            Error::failed(format!("read `{}`", self.file().display()))
                .because(error)
                .hint("Remove the file: only the values to restore are lost with it.")
        })?;
        Ok(if ledger.boot == boot { ledger } else { empty() })
    }

    fn write(&self, ledger: &Ledger) -> Result<()> {
        let doing = || format!("write `{}`", self.file().display());
        let text = serde_json::to_string_pretty(ledger).doing(doing)?;
        files::write_atomic(&self.file(), 0o644, text.as_bytes())
    }

    /// Holds the run directory against other processes until dropped.
    fn lock(&self) -> Result<File> {
        let doing = || format!("lock `{}`", self.run_dir.display());
        loop {
            fs::create_dir_all(&self.run_dir).doing(doing)?;
            let directory = File::open(&self.run_dir).doing(doing)?;
            directory.lock().doing(doing)?;
            // The last one removes the directory: then this lock is of one that is gone.
            if files::is_at(&directory, &self.run_dir) {
                return Ok(directory);
            }
        }
    }
}

fn too_low(value: &str, least: u64) -> bool {
    // A value that is no number at all is not what was asked for.
    value.parse::<i64>().map_or(true, |value| u64::try_from(value).is_ok_and(|v| v < least))
}

#[cfg(test)]
mod tests;
