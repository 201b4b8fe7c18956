//! A step: observe first, act only when something is wrong, and look again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::event::{Event, Phase, Resource};
use crate::config::profile::PATIENCE_SECS;
use crate::engine::key::StepKey;
use crate::error::Result;
use crate::host::Host;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// As it should be.
    Right,
    /// Not as it should be, and why: "the container is not defined".
    Wrong(String),
    /// It does not apply on this host or in this cloud, and why.
    Skip(String),
}

impl From<Option<String>> for Observation {
    /// Of why it is not as it should be, if it is not.
    fn from(reason: Option<String>) -> Self {
        reason.map_or(Self::Right, Self::Wrong)
    }
}

/// What a step may use while it observes and acts.
#[derive(Clone)]
pub struct StepContext {
    pub host: Arc<Host>,
    /// Cancelled at the first Ctrl-C: finish what cannot be left half-done, then return.
    pub cancel: CancellationToken,
    /// The step's own key, for events.
    pub key: StepKey,
    pub events: UnboundedSender<Event>,
}

impl StepContext {
    /// For looks outside a run: events go nowhere.
    pub fn silent(host: Arc<Host>) -> Self {
        let (events, _) = unbounded_channel();
        Self { host, cancel: CancellationToken::new(), key: StepKey::new("look"), events }
    }

    pub fn progress(&self, current: u64, total: u64, unit: &'static str) {
        let _ = self.events.send(Event::Progress { key: self.key.clone(), current, total, unit });
    }

    pub fn output(&self, line: impl Into<String>) {
        let _ = self.events.send(Event::Output { key: self.key.clone(), line: line.into() });
    }

    pub fn warn(&self, message: impl Into<String>) {
        let _ = self.events.send(Event::Warning { message: message.into() });
    }
}

/// What a step does. Implementations live in `steps`.
#[async_trait]
pub trait Action: Send + Sync {
    /// Looks, changes nothing. Must work (and say `Wrong`) when what it builds on is missing.
    async fn observe(&self, context: &StepContext) -> Result<Observation>;

    /// Makes it right. Must be safe to run again after having been killed anywhere.
    async fn act(&self, context: &StepContext) -> Result<()>;

    /// Looks again after acting; the default is [`Action::observe`]. It is repeated for
    /// [`Action::patience`]; what fails is taken for what is not right yet.
    async fn verify(&self, context: &StepContext) -> Result<Observation> {
        self.observe(context).await
    }

    /// How long what it did may take to be seen: as long as a unit may take to be healthy, unless the
    /// profile names another time. What is right at the first look is not waited for.
    fn patience(&self) -> Duration {
        Duration::from_secs(PATIENCE_SECS)
    }

    /// Whether its look takes so long that it is taken when the run begins, beside all others. It counts
    /// if nothing has been changed until its turn comes; else it looks again.
    fn looks_early(&self) -> bool {
        false
    }

    /// How often it acts before it has failed, 1 at least. More where it uses the cloud as its users
    /// do: on a host that stands still for seconds a service may answer one request with an error.
    fn attempts(&self) -> u32 {
        1
    }
}

/// One node of the graph that `plan` builds and the engine runs.
pub struct Step {
    pub key: StepKey,
    /// For people, lower case: "start container heat_engine/1".
    pub title: String,
    pub phase: Phase,
    /// Which slots it takes while it acts.
    pub resource: Resource,
    /// Steps that must have ended well before.
    pub needs: Vec<StepKey>,
    /// How long it takes when it has to act, in milliseconds, before any run was measured.
    pub estimate_ms: u64,
    pub action: Arc<dyn Action>,
}
