//! The trait, answered by the real containers.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::inner::{Inner, control_groups, not_running};
use super::real::RealContainers;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{ContainerState, Containers, Listen, Stop};
use crate::lxc::files::FileRequest;
use crate::lxc::prepare::Preparation;
use crate::lxc::protocol::Request;
use crate::lxc::publication::Place;
use crate::lxc::{self, bounded};
use crate::model::command::{Command, Output};
use crate::model::file::ContainerFile;
use crate::model::publication::Publication;
use crate::model::topology::Container;
use crate::state::files::{remove, write_atomic};

/// What is published for a unit at every start of a container.
fn kept_file(place: &Place, unit: &str) -> PathBuf {
    place.kept.join(format!("{unit}.json"))
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

    async fn renew(&self, container: &Container) -> Result<bool> {
        super::renew::renew(self, container).await
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
        super::start::start(self, name).await
    }

    async fn stop(&self, name: &str, how: Stop) -> Result<()> {
        super::start::stop(self, name, how).await
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
        let output = super::client::call(&self.inner.helper, &request, &stdin, timeout, most).await;
        output.map_err(|error| error.context(format!("run a command in container `{name}`")))
    }

    async fn follow(&self, name: &str, command: Command, listen: &Listen) -> Result<Output> {
        let timeout = command.timeout.map(|limit| self.patiently(limit));
        let most = command.largest_output_bytes.unwrap_or(bounded::LARGEST_BYTES);
        let (request, stdin) = self.run_request(name, command).await?;
        let helper = &self.inner.helper;
        let output = super::client::follow(helper, &request, &stdin, timeout, listen, most).await;
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
                Ok(super::cgroup::active(Path::new("/sys/fs/cgroup"), &groups, &all))
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
            Ok(super::cgroup::memory_kills(Path::new("/sys/fs/cgroup"), &groups))
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
            Ok(super::cgroup::main_process(Path::new("/sys/fs/cgroup"), &groups, &unit, init_pid))
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
            .blocking(move |inner| super::read::socket(inner.init_pid(&owned)?, Path::new(&wanted)))
            .await
            .map_err(|error| error.context(doing()))?;
        crate::host::ask_socket(&lxc::rooted::host_path(socket.as_fd()), request).await.doing(doing)
    }

    async fn path_exists(&self, name: &str, path: &str) -> Result<bool> {
        Ok(self.find_path(name, path).await?.is_some_and(|place| crate::host::exists(&place)))
    }
}
