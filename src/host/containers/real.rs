//! Containers of one cloud, and how work on them is done.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::inner::{HostFeatures, Inner};
use crate::error::Result;
use crate::host::subids::IdRanges;
use crate::lxc::container::States;
use crate::lxc::prepare::Preparation;
use crate::lxc::protocol::Request;
use crate::lxc::{self, bounded};
use crate::model::command::{Command, Output};
use crate::model::paths::Paths;

/// Containers of one cloud on this host.
#[derive(Clone)]
pub struct RealContainers {
    pub(super) inner: Arc<Inner>,
}

impl RealContainers {
    /// `ids` are the cloud's subordinate ids, `helper` the binary that is run as `__helper`: usually
    /// the running one. Hooks call the installed copy.
    pub fn new(paths: Paths, ids: IdRanges, features: HostFeatures, helper: PathBuf) -> Self {
        let states = States::default();
        Self { inner: Arc::new(Inner { paths, ids, features, helper, states }) }
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        crate::host::blocking("work on a container", move || work(&inner)).await
    }

    /// Where a path of a running container is reached; `None` when its directory is missing.
    pub(super) async fn find_path(&self, name: &str, path: &str) -> Result<Option<PathBuf>> {
        let (name, path) = (name.to_owned(), path.to_owned());
        self.blocking(move |inner| super::read::host_path(inner.init_pid(&name)?, Path::new(&path)))
            .await
    }

    pub(super) async fn call(
        &self,
        request: &Request,
        stdin: &[u8],
        timeout: Option<Duration>,
    ) -> Result<Output> {
        let timeout = timeout.map(|limit| self.patiently(limit));
        super::client::call(&self.inner.helper, request, stdin, timeout, bounded::LARGEST_BYTES)
            .await
    }

    /// A time limit on this host.
    pub(super) fn patiently(&self, limit: Duration) -> Duration {
        limit * self.inner.features.patience
    }

    /// What the helper is asked for a command, and the command's standard input.
    pub(super) async fn run_request(
        &self,
        name: &str,
        command: Command,
    ) -> Result<(Request, Vec<u8>)> {
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
    pub(super) async fn prepare(&self, preparation: Preparation) -> Result<()> {
        self.call(&Request::Prepare(preparation), &[], None).await.map(|_| ())
    }
}
