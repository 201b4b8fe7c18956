//! What happens in a run, as data. The display, the plain lines, the JSON stream and the log file
//! are listeners of one stream of these.

use std::time::Duration;

use serde::Serialize;

/// Names a step: `container/heat_engine/1/start`. Stable over runs and versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StepKey(pub String);

impl StepKey {
    /// A key from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for StepKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The part of the run to which a step belongs; one progress bar each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Bridges, routes, firewall, kernel limits.
    Host,
    /// Image layers.
    Images,
    /// Definition, files and start of containers.
    Containers,
    /// Databases, queues, identity, schema, units.
    Services,
    /// The last look: is the cloud what was promised?
    Verify,
}

/// What a step takes of the host while it runs; each has a bounded number of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Next to nothing: unbounded.
    Light,
    /// Package work: unpacking, byte compilation.
    Package,
    /// The network.
    Download,
    /// Container starts.
    Start,
    /// Python processes and daemons that load (schema, units).
    Load,
}

/// How a step ended.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Something was done.
    Changed,
    /// It was right already.
    Unchanged,
    /// It does not apply.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It failed.
    Failed {
        /// What [`crate::error::Error`]'s `Display` says.
        error: String,
    },
    /// It was not finished because the run was cancelled.
    Cancelled,
}

/// One event.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Sent once, first: how many steps each phase has and how long all may take.
    RunStarted {
        /// `bootstrap`, `rebuild`, …
        command: String,
        /// Number of steps by phase.
        steps: Vec<(Phase, usize)>,
        /// Estimate for the whole run, if there is one.
        estimate: Option<Duration>,
    },
    /// A step has its resource and begins to observe.
    StepStarted {
        /// Which.
        key: StepKey,
        /// For people: "start container heat_engine/1".
        title: String,
        /// Where it is shown.
        phase: Phase,
        /// Which slots it takes.
        resource: Resource,
    },
    /// A step was observed to be wrong and acts now.
    StepActing {
        /// Which.
        key: StepKey,
        /// Why it must act.
        reason: String,
    },
    /// How far a step is.
    Progress {
        /// Which.
        key: StepKey,
        /// Done so far.
        current: u64,
        /// Of how many; 0 when unknown.
        total: u64,
        /// Of what: `bytes`, `packages`.
        unit: &'static str,
    },
    /// A line of what a step's command prints.
    Output {
        /// Which.
        key: StepKey,
        /// Without its newline.
        line: String,
    },
    /// A step ended.
    StepFinished {
        /// Which.
        key: StepKey,
        /// How.
        outcome: Outcome,
        /// From its start, waiting for slots not included.
        elapsed: Duration,
    },
    /// Something that a user should know and that stops nothing.
    Warning {
        /// A sentence.
        message: String,
    },
    /// Ctrl-C was pressed; these steps are still running.
    Cancelling {
        /// Which.
        running: Vec<StepKey>,
    },
    /// Sent once, last.
    RunFinished {
        /// Steps that changed something.
        changed: usize,
        /// Steps that were right already.
        unchanged: usize,
        /// Steps that did not apply.
        skipped: usize,
        /// Steps that failed.
        failed: usize,
        /// The whole run.
        elapsed: Duration,
    },
}
