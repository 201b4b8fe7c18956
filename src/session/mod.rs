//! What commands share: from the files and the host to a cloud, its steps, and a run of them.
//!
//! Two ways lead to a cloud. [`desired`] reads profiles, the user's files and the host's facts: for
//! `bootstrap` and `plan`. [`recorded`] reads what the last `bootstrap` wanted: for every command
//! that changes no choice.

pub mod bootstrap;
pub mod desired;
pub mod destroy;
pub mod dev;
pub mod files;
pub mod image;
pub mod measure;
pub mod open;
pub mod power;
pub mod profiles;
pub mod rebuild;
pub mod recorded;
pub mod run;
pub mod secrets;
pub mod suite;
pub mod support;
pub mod tls;
pub mod verify;

use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use crate::engine::event::StepKey;
use crate::engine::step::StepContext;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::model::topology::Container;
use crate::state::paths::Paths;
use crate::state::topology::Topology;
use crate::steps::shared::Shared;
use open::Access;

/// A cloud and the host on which it stands.
pub struct Session {
    /// Where it stands.
    pub paths: Paths,
    /// The cloud, its secrets, its load balancer.
    pub shared: Arc<Shared>,
    /// The host.
    pub host: Arc<Host>,
}

impl Session {
    /// The cloud as the last `bootstrap` wanted it.
    pub async fn recorded(paths: &Paths, access: Access) -> Result<Self> {
        let cloud = recorded::load(paths)?;
        let secrets::Recorded { values, unapplied } = secrets::recorded(paths, &cloud).await?;
        let shared = Shared { unapplied, ..Shared::new(cloud, values) };
        Self::open(paths, Arc::new(shared), access).await
    }

    /// A cloud on its host.
    pub async fn open(paths: &Paths, shared: Arc<Shared>, access: Access) -> Result<Self> {
        let host = Arc::new(open::host(paths, &shared.cloud, access).await?);
        Ok(Self { paths: paths.clone(), shared, host })
    }

    /// For looks outside a run: events go nowhere.
    pub fn context(&self) -> StepContext {
        let (events, _) = unbounded_channel();
        StepContext {
            host: Arc::clone(&self.host),
            cancel: CancellationToken::new(),
            key: StepKey::new("look"),
            events,
        }
    }

    /// The containers that selectors name; all of them when there are no selectors.
    pub fn select(&self, selectors: &[String]) -> Result<Vec<Container>> {
        let containers = &self.shared.cloud.containers;
        if selectors.is_empty() {
            return Ok(containers.clone());
        }
        let topology = Topology::new(containers.clone());
        let mut selected: Vec<Container> = Vec::new();
        for selector in selectors {
            for container in topology.select_many(selector)? {
                if !selected.iter().any(|it| it.name == container.name) {
                    selected.push(container.clone());
                }
            }
        }
        Ok(selected)
    }
}

/// Everything that changes something needs root.
///
/// # Errors
/// [`ErrorKind::Refused`] for anybody else.
pub fn require_root(command: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, format!("run `aio {command}`"))
        .because("it changes the host: only root may")
        .hint(format!("Run `sudo aio {command}`.")))
}
