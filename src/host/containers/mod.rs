//! Real containers: LXC's, with roots of layers.
//!
//! What LXC must know stands in its own directory, so stock tools see and start the containers; the
//! hooks named there mount and unmount the root. What `aio` must know to compare stands in the
//! record beside it ([`definition`]). Nothing here is cached: every answer is looked up.

mod cgroup;
mod client;
mod config;
mod definition;
mod filter;
pub mod limits;
mod lookup;
mod read;
mod start;

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::subids::IdRanges;
use super::{ContainerState, Containers, Listen, Stop};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc;
use crate::lxc::bounded;
use crate::lxc::container::{State, States};
use crate::lxc::files::FileRequest;
use crate::lxc::prepare::Preparation;
use crate::lxc::protocol::Request;
use crate::lxc::publication::Place;
use crate::model::command::{Command, Output};
use crate::model::file::ContainerFile;
use crate::model::paths::Paths;
use crate::model::publication::Publication;
use crate::model::topology::Container;
use crate::state::files::{remove, write_atomic};

/// What of the host decides how containers are defined, and how long they are waited for.
#[derive(Clone, Debug)]
pub struct HostFeatures {
    /// What time limits are multiplied by.
    pub patience: u32,
    /// Control groups of version 2 alone.
    pub unified_cgroups: bool,
    /// Tasks can be limited.
    pub tasks_limit: bool,
    /// Swap can be limited.
    pub swap_limit: bool,
    /// AppArmor is there and confines.
    pub apparmor: bool,
    /// What a container's systemd needs on a host whose control groups are not unified.
    pub legacy_cgroup_environment: BTreeMap<String, String>,
}

/// Containers of one cloud on this host.
#[derive(Clone)]
pub struct RealContainers {
    inner: Arc<Inner>,
}

/// What all methods share; they run on blocking threads.
struct Inner {
    paths: Paths,
    ids: IdRanges,
    features: HostFeatures,
    helper: PathBuf,
    states: States,
}

impl RealContainers {
    /// `ids` are the cloud's subordinate ids, `helper` the binary that is run as `__helper`: usually
    /// the running one. Hooks call the installed copy.
    pub fn new(paths: Paths, ids: IdRanges, features: HostFeatures, helper: PathBuf) -> Self {
        let states = States::default();
        Self { inner: Arc::new(Inner { paths, ids, features, helper, states }) }
    }

    /// Runs blocking work (files, liblxc's reading calls) on a thread made for it.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || work(&inner));
        task.await.doing(|| "work on a container".to_owned())?
    }

    /// Where a path of a running container is reached; `None` when its directory is missing.
    async fn find_path(&self, name: &str, path: &str) -> Result<Option<PathBuf>> {
        let (name, path) = (name.to_owned(), path.to_owned());
        self.blocking(move |inner| read::host_path(inner.init_pid(&name)?, Path::new(&path))).await
    }

    async fn call(
        &self,
        request: &Request,
        stdin: &[u8],
        timeout: Option<Duration>,
    ) -> Result<Output> {
        let timeout = timeout.map(|limit| self.patiently(limit));
        client::call(&self.inner.helper, request, stdin, timeout, bounded::LARGEST_BYTES).await
    }

    /// A time limit on this host.
    fn patiently(&self, limit: Duration) -> Duration {
        limit * self.inner.features.patience
    }

    /// What the helper is asked for a command, and the command's standard input.
    async fn run_request(&self, name: &str, command: Command) -> Result<(Request, Vec<u8>)> {
        let read = name.to_owned();
        let record = self.blocking(move |inner| inner.record(&read)).await?;
        let mut environment = record.map(|record| record.container.environment).unwrap_or_default();
        environment.extend(command.environment);
        let grace_secs = command.grace.map(|grace| u32::try_from(grace.as_secs()));
        let request = Request::Run {
            name: name.to_owned(),
            log: Inner::log_file(name),
            argv: command.argv,
            environment: lxc::attach::environment(&environment),
            stdin_length: command.stdin.len() as u64,
            grace_secs: grace_secs.and_then(Result::ok).unwrap_or(lxc::helper::GRACE_SECS),
        };
        Ok((request, command.stdin))
    }

    /// Changes the root of a stopped container.
    async fn prepare(&self, preparation: Preparation) -> Result<()> {
        self.call(&Request::Prepare(preparation), &[], None).await.map(|_| ())
    }
}

impl Inner {
    /// What it is doing; waits for a moment while it is on its way up or down.
    fn state(&self, name: &str) -> Result<ContainerState> {
        for _ in 0..500 {
            match self.states.of(name)? {
                State::Absent => return Ok(ContainerState::Absent),
                State::Stopped => return Ok(ContainerState::Stopped),
                State::Running(init_pid) => return Ok(ContainerState::Running { init_pid }),
                State::Changing(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err(Error::failed(format!("see what container `{name}` is doing"))
            .because("it is neither started nor stopped for 5 s")
            .hint(format!(
                "`lxc-info -n {name}` shows its state, `lxc-stop -k -n {name}` ends it."
            )))
    }

    fn init_pid(&self, name: &str) -> Result<u32> {
        match self.state(name)? {
            ContainerState::Running { init_pid } => Ok(init_pid),
            state => Err(not_running(name, state)),
        }
    }

    fn log_file(name: &str) -> PathBuf {
        Paths::lxc_dir(name).join("lxc.log")
    }
}

/// What is published for a unit at every start of a container.
fn kept_file(place: &Place, unit: &str) -> PathBuf {
    place.kept.join(format!("{unit}.json"))
}

/// The control groups of a container's init, one line each.
fn control_groups(container: &str, init_pid: u32) -> Result<String> {
    std::fs::read_to_string(format!("/proc/{init_pid}/cgroup"))
        .doing(|| format!("read the control groups of container `{container}`"))
}

fn not_running(name: &str, state: ContainerState) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("reach container `{name}`"));
    match state {
        ContainerState::Absent => error.because("it is not defined"),
        _ => error.because("it is not running").hint(format!("`aio start {name}` starts it.")),
    }
}

#[async_trait]
impl Containers for RealContainers {
    async fn state(&self, name: &str) -> Result<ContainerState> {
        let name = name.to_owned();
        self.blocking(move |inner| inner.state(&name)).await
    }

    async fn definition_differs(&self, container: &Container) -> Result<Option<String>> {
        let container = container.clone();
        self.blocking(move |inner| inner.definition_differs(&container)).await
    }

    async fn define(&self, container: &Container) -> Result<()> {
        let wanted = container.clone();
        let preparation = self.blocking(move |inner| inner.begin_definition(&wanted)).await?;
        self.prepare(preparation)
            .await
            .map_err(|error| error.context(format!("define container `{}`", container.name)))?;
        let wanted = container.clone();
        self.blocking(move |inner| inner.finish_definition(&wanted)).await
    }

    async fn filters_differ(&self, filters: &BTreeMap<String, String>) -> Result<Option<String>> {
        let filters = filters.clone();
        self.blocking(move |inner| inner.filters_differ(&filters)).await
    }

    async fn apply_filters(&self, filters: &BTreeMap<String, String>) -> Result<()> {
        let filters = filters.clone();
        self.blocking(move |inner| inner.apply_filters(&filters)).await
    }

    async fn start(&self, name: &str) -> Result<()> {
        start::start(self, name).await
    }

    async fn stop(&self, name: &str, how: Stop) -> Result<()> {
        start::stop(self, name, how).await
    }

    async fn discard(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.blocking(move |inner| inner.discard(&name)).await
    }

    async fn discard_data(&self, container: &Container) -> Result<()> {
        let container = container.clone();
        self.blocking(move |inner| inner.discard_data(&container)).await
    }

    async fn run(&self, name: &str, command: Command) -> Result<Output> {
        let timeout = command.timeout.map(|limit| self.patiently(limit));
        let most = command.largest_output_bytes.unwrap_or(bounded::LARGEST_BYTES);
        let (request, stdin) = self.run_request(name, command).await?;
        let output = client::call(&self.inner.helper, &request, &stdin, timeout, most).await;
        output.map_err(|error| error.context(format!("run a command in container `{name}`")))
    }

    async fn follow(&self, name: &str, command: Command, listen: &Listen) -> Result<Output> {
        let timeout = command.timeout.map(|limit| self.patiently(limit));
        let most = command.largest_output_bytes.unwrap_or(bounded::LARGEST_BYTES);
        let (request, stdin) = self.run_request(name, command).await?;
        let helper = &self.inner.helper;
        let output = client::follow(helper, &request, &stdin, timeout, listen, most).await;
        output.map_err(|error| error.context(format!("run a command in container `{name}`")))
    }

    async fn read_file(&self, name: &str, path: &str) -> Result<Option<ContainerFile>> {
        let (name, path) = (name.to_owned(), path.to_owned());
        self.blocking(move |inner| inner.read_file(&name, &path)).await
    }

    async fn image_file(&self, name: &str, path: &str) -> Result<Vec<u8>> {
        let (name, path) = (name.to_owned(), path.to_owned());
        self.blocking(move |inner| inner.image_file(&name, &path)).await
    }

    async fn write_files(&self, name: &str, files: &[ContainerFile]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let request = |file: &ContainerFile| {
            FileRequest::new(&file.path, &file.owner, file.mode, &file.content)
        };
        let files = files.iter().map(request).collect();
        let doing = || format!("write files in container `{name}`");
        match self.state(name).await? {
            ContainerState::Running { .. } => {
                let log = Inner::log_file(name);
                let request = Request::WriteFiles { name: name.to_owned(), log, files };
                let output = self.call(&request, &[], None).await;
                let output = output.map_err(|error| error.context(doing()))?;
                if output.success() {
                    return Ok(());
                }
                Err(Error::failed(doing()).because(output.tail(5)))
            }
            state @ ContainerState::Absent => Err(not_running(name, state).context(doing())),
            ContainerState::Stopped => {
                let owned = name.to_owned();
                let root = self.blocking(move |inner| Ok(inner.known(&owned)?.root)).await?;
                let (unmask, mask, data) = (Vec::new(), Vec::new(), Vec::new());
                let preparation = Preparation { root, files, unmask, mask, data };
                self.prepare(preparation).await.map_err(|error| error.context(doing()))
            }
        }
    }

    async fn active_units(&self, name: &str, units: &[String]) -> Result<Vec<bool>> {
        let (container, all) = (name.to_owned(), units.to_vec());
        let mut active = self
            .blocking(move |inner| {
                let ContainerState::Running { init_pid } = inner.state(&container)? else {
                    return Ok(Vec::new());
                };
                let groups = control_groups(&container, init_pid)?;
                Ok(cgroup::active(Path::new("/sys/fs/cgroup"), &groups, &all))
            })
            .await?;
        if active.is_empty() {
            return Ok(vec![false; units.len()]);
        }
        // Sockets, timers, and services that do their work once have no process: only systemd knows
        // about them.
        let unseen: Vec<usize> = (0..units.len()).filter(|&index| !active[index]).collect();
        if !unseen.is_empty() {
            let names: Vec<&str> = unseen.iter().map(|&index| units[index].as_str()).collect();
            let ask = Command::shell(format!("systemctl is-active {}", names.join(" ")));
            let output = self.run(name, ask).await?;
            // One line for each, in order.
            for (index, line) in unseen.into_iter().zip(output.text().lines()) {
                active[index] = line == "active";
            }
        }
        Ok(active)
    }

    async fn memory_kills(&self, name: &str) -> Result<u64> {
        let container = name.to_owned();
        self.blocking(move |inner| {
            let ContainerState::Running { init_pid } = inner.state(&container)? else {
                return Ok(0);
            };
            let groups = control_groups(&container, init_pid)?;
            Ok(cgroup::memory_kills(Path::new("/sys/fs/cgroup"), &groups))
        })
        .await
    }

    async fn main_process(&self, name: &str, unit: &str) -> Result<Option<u32>> {
        let (container, unit) = (name.to_owned(), unit.to_owned());
        self.blocking(move |inner| {
            let ContainerState::Running { init_pid } = inner.state(&container)? else {
                return Ok(None);
            };
            let groups = control_groups(&container, init_pid)?;
            Ok(cgroup::main_process(Path::new("/sys/fs/cgroup"), &groups, &unit, init_pid))
        })
        .await
    }

    async fn publish(&self, name: &str, publication: &Publication, keep: bool) -> Result<()> {
        let (owned, wanted) = (name.to_owned(), publication.clone());
        let place = self
            .blocking(move |inner| {
                let place = inner.known(&owned)?.place;
                let file = kept_file(&place, &wanted.unit);
                if keep {
                    let text = serde_json::to_vec(&wanted)
                        .doing(|| format!("write down what is published for `{}`", wanted.unit))?;
                    write_atomic(&file, 0o600, &text)?;
                } else {
                    remove(&file)?;
                }
                Ok(place)
            })
            .await?;
        let request = Request::Publish { place, publication: publication.clone() };
        let done = self.call(&request, &[], None).await.map(drop);
        done.map_err(|error| error.context(format!("publish a checkout in container `{name}`")))
    }

    async fn withdraw(&self, name: &str, unit: &str) -> Result<()> {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        self.blocking(move |inner| {
            let Some(record) = inner.record(&name)? else { return Ok(()) };
            remove(&kept_file(&record.place, &unit))?;
            record.place.withdraw(&unit)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<String>> {
        self.blocking(Inner::list).await
    }

    async fn host_path(&self, name: &str, path: &str) -> Result<PathBuf> {
        self.find_path(name, path).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("find `{path}` in container `{name}`"))
                .because("its directory is missing")
        })
    }

    async fn socket(&self, name: &str, path: &str, request: &str) -> Result<String> {
        let doing = || format!("ask the socket `{path}` of container `{name}`");
        let (owned, wanted) = (name.to_owned(), path.to_owned());
        let socket = self
            .blocking(move |inner| read::socket(inner.init_pid(&owned)?, Path::new(&wanted)))
            .await
            .map_err(|error| error.context(doing()))?;
        super::ask_socket(&lxc::rooted::host_path(socket.as_fd()), request).await.doing(doing)
    }

    async fn path_exists(&self, name: &str, path: &str) -> Result<bool> {
        Ok(self.find_path(name, path).await?.is_some_and(|place| super::exists(&place)))
    }
}
