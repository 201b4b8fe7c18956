//! What a run did, as one value: for the summary, `--output json`, `--timings` and the exit code.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::event::{Outcome, Phase, Resource, Summary};
use crate::engine::key::StepKey;
use crate::error::{Error, ErrorKind};
use crate::model::duration::seconds;

/// A stretch of time, counted from the start of the run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Span {
    /// Begin, in seconds.
    #[serde(serialize_with = "seconds")]
    pub from: Duration,
    /// End, in seconds.
    #[serde(serialize_with = "seconds")]
    pub to: Duration,
}

impl Span {
    pub fn length(self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    pub key: StepKey,
    pub title: String,
    pub phase: Phase,
    pub resource: Resource,
    /// Steps of this run that it waited for.
    pub needs: Vec<StepKey>,
    #[serde(flatten)]
    pub outcome: Outcome,
    pub acted_because: Option<String>,
    pub observed: Option<Span>,
    /// When it acted and verified, if it did.
    pub acted: Option<Span>,
    /// Why it failed, with the last lines of what it ran.
    #[serde(skip)]
    pub error: Option<Error>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub summary: Summary,
    #[serde(serialize_with = "epoch_seconds")]
    pub started: SystemTime,
    pub warnings: Vec<String>,
    /// Every step, each after those that it needs.
    pub steps: Vec<StepReport>,
}

fn epoch_seconds<S: serde::Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    seconds(&time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(), serializer)
}

impl Summary {
    pub(super) fn count(&mut self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Changed => &mut self.changed,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Skipped { .. } => &mut self.skipped,
            Outcome::Failed { .. } => &mut self.failed,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::NotRun { .. } => &mut self.not_run,
            Outcome::Pending { .. } => &mut self.pending,
        };
        *counter += 1;
    }
}

impl Report {
    pub fn failures(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| step.error.is_some())
    }

    /// The error with which a command ends that only looked; none when every step could be looked at.
    pub fn unseen(&self) -> Option<Error> {
        let command = &self.summary.command;
        if self.summary.interrupted {
            return Some(Error::new(ErrorKind::Interrupted, format!("{command}: interrupted")));
        }
        let mut failures = self.failures();
        let first = failures.next()?;
        let mut error = first.error.clone()?.context(format!("look at: {}", first.title));
        // Whatever it was that failed, the observation did.
        error.kind = ErrorKind::Failed;
        Some(match failures.count() {
            0 => error,
            more => error.hint(format!("{more} more could not be looked at: `cannot tell`.")),
        })
    }

    /// The error with which the command ends, that of the step which failed first; none when every step
    /// ended well.
    pub fn error(&self) -> Option<Error> {
        let mut failures: Vec<&StepReport> = self.failures().collect();
        failures.sort_by_key(|step| step.acted.or(step.observed).map(|span| span.to));
        let mut failures = failures.into_iter();
        let Some((first, error)) =
            failures.next().and_then(|step| Some((step, step.error.clone()?)))
        else {
            return self.summary.interrupted.then(|| {
                Error::new(ErrorKind::Interrupted, format!("{}: interrupted", self.summary.command))
            });
        };
        let mut error = error.context(first.title.clone());
        for other in failures {
            let reason = other.error.as_ref().map(ToString::to_string).unwrap_or_default();
            error = error.hint(format!("Failed too: {}: {reason}.", other.title));
        }
        Some(error)
    }
}
