//! What happens in a run, as data. The display, the plain lines, the JSON stream and the log file
//! are listeners of one stream of these.

use std::time::Duration;

use serde::Serialize;

use super::key::StepKey;
use crate::model::duration::{optional_seconds, seconds};

/// The part of the run to which a step belongs; one progress bar each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Bridges, routes, firewall, kernel limits.
    Host,
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
    Download,
    Start,
    /// Python processes and daemons that load (schema, units).
    Load,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Changed,
    /// It was right already.
    Unchanged,
    Skipped {
        reason: String,
    },
    Failed {
        /// What [`crate::error::Error`]'s `Display` says.
        error: String,
        /// The last lines of what it ran, if they belong to the error.
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<String>,
    },
    /// It was begun and not finished because the run was cancelled.
    Cancelled,
    /// It was not begun: a step that it needs failed, or the run was cancelled.
    NotRun {
        reason: String,
    },
    /// It would be done: the run only looked (`aio plan`).
    Pending {
        reason: String,
    },
}

/// How many steps ended how, and how long the run took.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// `bootstrap`, `rebuild`, …
    pub command: String,
    /// Whether the run only looked.
    pub dry_run: bool,
    /// Whether the command itself says how it ended, in words of its own.
    #[serde(skip)]
    pub told_by_command: bool,
    /// Whether Ctrl-C or SIGTERM ended it.
    pub interrupted: bool,
    pub changed: usize,
    pub unchanged: usize,
    pub skipped: usize,
    pub failed: usize,
    /// Steps that were begun and not finished.
    pub cancelled: usize,
    pub not_run: usize,
    /// Steps that would be done.
    pub pending: usize,
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Sent once, first: how many steps each phase has and how long all may take.
    RunStarted {
        command: String,
        /// Number of steps by phase.
        steps: Vec<(Phase, usize)>,
        /// Estimate for the whole run, if every step had to act.
        #[serde(serialize_with = "optional_seconds")]
        estimate: Option<Duration>,
    },
    /// All that a step needs is there and it begins to observe.
    StepStarted {
        key: StepKey,
        /// For people: "start container heat_engine/1".
        title: String,
        phase: Phase,
        resource: Resource,
    },
    /// A step was observed to be wrong, has its slot and acts now.
    StepActing { key: StepKey, reason: String },
    Progress {
        key: StepKey,
        current: u64,
        /// Of how many; 0 when unknown.
        total: u64,
        /// Of what: `bytes`, `packages`.
        unit: &'static str,
    },
    /// A line of what a step's command prints.
    Output {
        key: StepKey,
        /// Without its newline.
        line: String,
    },
    /// A step ended. Steps that were not begun have no such event.
    StepFinished {
        key: StepKey,
        outcome: Outcome,
        /// Observing, acting and verifying; waiting for a slot is not included.
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
    },
    /// How long the rest of the run may take, as far as known now.
    Remaining {
        #[serde(serialize_with = "seconds")]
        estimate: Duration,
    },
    /// Something that a user should know and that stops nothing.
    Warning { message: String },
    /// Ctrl-C was pressed; these steps are still running.
    Cancelling { running: Vec<StepKey> },
    /// Sent once, last.
    RunFinished(Summary),
}
