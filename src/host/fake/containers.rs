//! Containers in memory, with the real ones' rules: what is defined can be started, what runs cannot
//! be thrown away, data outlives a root, masked units do not start.
//!
//! Of commands it understands lines that begin with `systemctl start|restart|stop` or with
//! `ln -sfn`, which is how steps start and enable units; others are answered by
//! [`FakeContainers::answer`], or succeed and print nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::host::{ContainerState, Containers, Stop};
use crate::model::command::{Command, Output};
use crate::model::file::ContainerFile;
use crate::model::publication::Publication;
use crate::model::topology::Container;

/// Where links enable units.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants/";

/// Answers a command in a container; `None` leaves it to others.
type Answer = Box<dyn Fn(&str, &Command) -> Option<Output> + Send>;

/// Containers that end with the test.
#[derive(Default)]
pub struct FakeContainers {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    containers: BTreeMap<String, Made>,
    /// Files of data directories, by the directory on the host and the path inside.
    data: BTreeMap<String, BTreeMap<String, ContainerFile>>,
    /// What containers let in.
    filters: BTreeMap<String, String>,
    failures: Vec<Failure>,
    calls: Vec<String>,
    answers: Vec<Answer>,
    next_pid: u32,
}

/// A call that is going to fail.
struct Failure {
    operation: String,
    calls_left: usize,
    reason: String,
}

/// One defined container.
struct Made {
    container: Container,
    init_pid: Option<u32>,
    files: BTreeMap<String, ContainerFile>,
    links: BTreeSet<String>,
    active: BTreeSet<String>,
    /// Publications by unit, and whether they outlive a stop.
    published: BTreeMap<String, (Publication, bool)>,
}

impl FakeContainers {
    /// The `nth` next call (from 1) of an operation of the trait (`"start"`) fails.
    pub fn fail(&self, operation: &str, nth: usize, reason: &str) {
        let (operation, reason) = (operation.to_owned(), reason.to_owned());
        self.inner.lock().unwrap().failures.push(Failure { operation, calls_left: nth, reason });
    }

    /// Commands are offered to `answer` first; the answer that was given last is asked first.
    pub fn answer(&self, answer: impl Fn(&str, &Command) -> Option<Output> + Send + 'static) {
        self.inner.lock().unwrap().answers.push(Box::new(answer));
    }

    /// What was changed, in order: `start NAME`. Looks are not in it.
    pub fn changes(&self) -> Vec<String> {
        self.inner.lock().unwrap().calls.clone()
    }

    /// As `lxc-stop -k`.
    pub fn kill(&self, name: &str) {
        if let Some(made) = self.inner.lock().unwrap().containers.get_mut(name) {
            made.halt();
        }
    }

    /// As `lxc-destroy -f`: nothing but data and journals is left.
    pub fn destroy(&self, name: &str) {
        self.inner.lock().unwrap().containers.remove(name);
    }

    /// As a process that ends or comes back by itself.
    pub fn set_active(&self, name: &str, unit: &str, active: bool) {
        if let Some(made) = self.inner.lock().unwrap().containers.get_mut(name) {
            if active {
                made.active.insert(unit.to_owned());
            } else {
                made.active.remove(unit);
            }
        }
    }
}

impl Made {
    fn halt(&mut self) {
        self.init_pid = None;
        self.active.clear();
        self.published.retain(|_, (_, keep)| *keep);
    }

    /// Units that may run and are enabled start with the container.
    fn boot(&mut self, pid: u32) {
        self.init_pid = Some(pid);
        let enabled = |unit: &&String| self.links.contains(&format!("{WANTS}{unit}"));
        self.active = self.container.units.iter().filter(enabled).cloned().collect();
    }

    /// What of a script the fake understands; the unit that is masked, if one is.
    fn interpret(&mut self, script: &str) -> Result<(), String> {
        for line in script.lines() {
            let words: Vec<&str> =
                line.split_whitespace().filter(|word| !word.starts_with('-')).collect();
            match words.as_slice() {
                ["ln", _, path] => {
                    self.links.insert((*path).to_owned());
                }
                ["systemctl", "stop", units @ ..] => {
                    self.active.retain(|unit| !units.contains(&unit.as_str()));
                }
                ["systemctl", "start" | "restart", units @ ..] => {
                    for unit in units {
                        if !self.container.units.iter().any(|named| named == unit) {
                            return Err((*unit).to_owned());
                        }
                        self.active.insert((*unit).to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The data directory in which a path of the container stands.
    fn data_source(&self, path: &str) -> Option<String> {
        let within = |directory: &str| {
            path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
        };
        self.container.data.iter().find(|data| within(&data.path)).map(|data| data.source.clone())
    }
}

impl Inner {
    /// Counts a call; fails if that was planned.
    fn enter(&mut self, operation: &str, name: &str) -> Result<()> {
        if !matches!(operation, "state" | "definition_differs" | "read_file" | "active_units") {
            self.calls.push(format!("{operation} {name}"));
        }
        for failure in self.failures.iter_mut().filter(|it| it.operation == operation) {
            failure.calls_left -= 1;
        }
        let due = self
            .failures
            .iter()
            .position(|failure| failure.operation == operation && failure.calls_left == 0);
        match due.map(|index| self.failures.remove(index)) {
            Some(failure) => {
                Err(Error::failed(format!("{operation} `{name}`")).because(failure.reason))
            }
            None => Ok(()),
        }
    }

    fn made(&mut self, name: &str) -> Result<&mut Made> {
        let missing = || {
            Error::new(ErrorKind::NotFound, format!("reach container `{name}`"))
                .because("it is not defined")
        };
        self.containers.get_mut(name).ok_or_else(missing)
    }

    fn running(&mut self, name: &str) -> Result<&mut Made> {
        let made = self.made(name)?;
        if made.init_pid.is_some() {
            return Ok(made);
        }
        Err(Error::new(ErrorKind::NotFound, format!("reach container `{name}`"))
            .because("it is not running"))
    }

    fn refuse_running(&self, name: &str) -> Result<()> {
        match self.containers.get(name) {
            Some(Made { init_pid: Some(_), .. }) => {
                Err(Error::failed(format!("container `{name}` is running")))
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, name: &str, file: &ContainerFile) -> Result<()> {
        let made = self.made(name)?;
        let (path, file) = (file.path.clone(), file.clone());
        match made.data_source(&path) {
            Some(source) => self.data.entry(source).or_default().insert(path, file),
            None => made.files.insert(path, file),
        };
        Ok(())
    }
}

#[async_trait]
impl Containers for FakeContainers {
    async fn state(&self, name: &str) -> Result<ContainerState> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("state", name)?;
        Ok(match inner.containers.get(name).map(|made| made.init_pid) {
            None => ContainerState::Absent,
            Some(None) => ContainerState::Stopped,
            Some(Some(init_pid)) => ContainerState::Running { init_pid },
        })
    }

    async fn filters_differ(&self, filters: &BTreeMap<String, String>) -> Result<Option<String>> {
        let kept = &self.inner.lock().unwrap().filters;
        Ok((kept != filters).then(|| "other rules are kept".to_owned()))
    }

    async fn apply_filters(&self, filters: &BTreeMap<String, String>) -> Result<()> {
        self.inner.lock().unwrap().filters = filters.clone();
        Ok(())
    }

    async fn definition_differs(&self, container: &Container) -> Result<Option<String>> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("definition_differs", &container.name)?;
        Ok(match inner.containers.get(&container.name) {
            None => Some("the container is not defined".to_owned()),
            Some(made) if made.container != *container => Some("it changed".to_owned()),
            Some(_) => None,
        })
    }

    async fn renew(&self, container: &Container) -> Result<bool> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("renew", &container.name)?;
        let made = inner.running(&container.name)?;
        let renewed = container.renewed.clone();
        let only = Container { renewed, ..made.container.clone() } == *container;
        if only {
            made.container = container.clone();
        }
        Ok(only)
    }

    async fn define(&self, container: &Container) -> Result<()> {
        let name = &container.name;
        let mut inner = self.inner.lock().unwrap();
        inner.enter("define", name)?;
        inner.refuse_running(name)?;
        for data in &container.data {
            inner.data.entry(data.source.clone()).or_default();
        }
        let before = inner.containers.remove(name);
        let kept = before.filter(|made| made.container.layers == container.layers);
        let (files, links) = kept.map(|made| (made.files, made.links)).unwrap_or_default();
        let (container, active) = (container.clone(), BTreeSet::new());
        let identity = container.identity_files.clone();
        let published = BTreeMap::new();
        let made = Made { container, init_pid: None, files, links, active, published };
        inner.containers.insert(name.clone(), made);
        for (path, text) in identity {
            let (owner, mode, content) = ("root:root".to_owned(), 0o644, text.into_bytes());
            inner.write(name, &ContainerFile { path, owner, mode, content })?;
        }
        Ok(())
    }

    async fn start(&self, name: &str) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("start", name)?;
        inner.next_pid += 1;
        let pid = 1000 + inner.next_pid;
        let made = inner.made(name)?;
        if made.init_pid.is_none() {
            made.boot(pid);
        }
        Ok(())
    }

    async fn stop(&self, name: &str, _: Stop) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("stop", name)?;
        if let Some(made) = inner.containers.get_mut(name) {
            made.halt();
        }
        Ok(())
    }

    async fn discard(&self, name: &str) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("discard", name)?;
        inner.refuse_running(name)?;
        inner.containers.remove(name);
        Ok(())
    }

    async fn discard_data(&self, container: &Container) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("discard_data", &container.name)?;
        inner.refuse_running(&container.name)?;
        for data in container.data.iter().filter(|data| !data.keep) {
            inner.data.remove(&data.source);
        }
        Ok(())
    }

    async fn run(&self, name: &str, command: Command) -> Result<Output> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("run", name)?;
        inner.running(name)?;
        let answered = inner.answers.iter().rev().find_map(|answer| answer(name, &command));
        if let Some(output) = answered {
            return Ok(output);
        }
        let script = match command.argv.as_slice() {
            [shell, _, script] if shell == "sh" => script.clone(),
            argv => argv.join(" "),
        };
        Ok(match inner.running(name)?.interpret(&script) {
            Ok(()) => Output::default(),
            Err(unit) => {
                let stderr = format!("Failed to start {unit}: Unit {unit} is masked.\n");
                Output { status: 1, stderr: stderr.into_bytes(), ..Output::default() }
            }
        })
    }

    async fn read_file(&self, name: &str, path: &str) -> Result<Option<ContainerFile>> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("read_file", name)?;
        let Some(made) = inner.containers.get(name) else { return Ok(None) };
        Ok(match made.data_source(path) {
            Some(source) => inner.data.get(&source).and_then(|files| files.get(path)).cloned(),
            None => made.files.get(path).cloned(),
        })
    }

    async fn image_file(&self, name: &str, _path: &str) -> Result<Vec<u8>> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("image_file", name)?;
        Ok(Vec::new())
    }

    async fn write_files(&self, name: &str, files: &[ContainerFile]) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("write_files", name)?;
        files.iter().try_for_each(|file| inner.write(name, file))
    }

    async fn active_units(&self, name: &str, units: &[String]) -> Result<Vec<bool>> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("active_units", name)?;
        let active = inner.containers.get(name).map(|made| made.active.clone());
        let active = active.unwrap_or_default();
        Ok(units.iter().map(|unit| active.contains(unit)).collect())
    }

    async fn memory_kills(&self, _name: &str) -> Result<u64> {
        Ok(0)
    }

    async fn main_process(&self, name: &str, unit: &str) -> Result<Option<u32>> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("main_process", name)?;
        let made = inner.made(name)?;
        Ok(made.init_pid.filter(|_| made.active.contains(unit)))
    }

    async fn publish(&self, name: &str, publication: &Publication, keep: bool) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("publish", name)?;
        let published = &mut inner.running(name)?.published;
        published.insert(publication.unit.clone(), (publication.clone(), keep));
        Ok(())
    }

    async fn withdraw(&self, name: &str, unit: &str) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.enter("withdraw", name)?;
        if let Some(made) = inner.containers.get_mut(name) {
            made.published.remove(unit);
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<String>> {
        Ok(self.inner.lock().unwrap().containers.keys().cloned().collect())
    }

    async fn host_path(&self, name: &str, path: &str) -> Result<PathBuf> {
        let mut inner = self.inner.lock().unwrap();
        let pid = inner.running(name)?.init_pid.unwrap_or_default();
        Ok(PathBuf::from(format!("/proc/fake/{pid}/root{path}")))
    }

    async fn path_exists(&self, name: &str, path: &str) -> Result<bool> {
        let exists = self.read_file(name, path).await?.is_some();
        let mut inner = self.inner.lock().unwrap();
        Ok(exists || inner.running(name)?.links.contains(path))
    }
}

#[cfg(test)]
mod tests;
