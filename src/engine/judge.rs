//! What the end of a task means for its step and for the steps behind it.

use std::cmp::Reverse;
use std::sync::Arc;

use super::dispatcher::Dispatcher;
use super::event::{Event, Outcome};
use super::report::Span;
use super::step::Observation;
use crate::error::{Error, Result};

impl Dispatcher<'_> {
    pub(super) fn observed(&mut self, index: usize, result: Result<Observation>) {
        if self.options.dry_run {
            self.tracks[index].pending_before = self.pending_before(index);
        }
        let pending_before = self.tracks[index].pending_before;
        match result {
            Ok(Observation::Right) => self.settle(index, Outcome::Unchanged),
            Ok(Observation::Skip(reason)) => self.settle(index, Outcome::Skipped { reason }),
            // What stands before it would change what it sees.
            Ok(Observation::Wrong(_)) | Err(_) if pending_before.is_some() => {
                let before = pending_before.map(|before| &self.graph.steps()[before].title);
                let reason = before.map(|title| format!("after: {title}")).unwrap_or_default();
                self.settle(index, Outcome::Pending { reason });
            }
            Ok(Observation::Wrong(reason)) if self.options.dry_run => {
                self.settle(index, Outcome::Pending { reason });
            }
            Ok(Observation::Wrong(_)) if self.cancelling => self.settle(index, Outcome::Cancelled),
            Ok(Observation::Wrong(reason)) => {
                self.tracks[index].reason = Some(reason);
                let resource = self.graph.steps()[index].resource;
                let entry = (self.urgency[index], Reverse(index));
                self.to_act.entry(resource).or_default().push(entry);
            }
            Err(error) => self.fail(index, error),
        }
    }

    /// The last step before this one that would be done or could not be looked at, through whatever
    /// is right already.
    fn pending_before(&self, index: usize) -> Option<usize> {
        let nearest = |&need: &usize| {
            let track = &self.tracks[need];
            let is_open =
                matches!(track.outcome, Some(Outcome::Pending { .. } | Outcome::Failed { .. }));
            if is_open { Some(need) } else { track.pending_before }
        };
        self.graph.needs(index).iter().filter_map(nearest).max()
    }

    pub(super) fn acted(&mut self, index: usize, result: Result<()>) {
        match result {
            Ok(()) => {
                let took = self.tracks[index].acted.map(Span::length).unwrap_or_default();
                self.durations.record(&self.graph.steps()[index].key, took);
                self.settle(index, Outcome::Changed);
            }
            Err(error) => self.fail(index, error),
        }
    }

    /// What goes wrong after Ctrl-C goes wrong because of it.
    pub(super) fn fail(&mut self, index: usize, error: Error) {
        if self.cancelling {
            let key = self.graph.steps()[index].key.clone();
            self.send(Event::Output { key, line: format!("interrupted: {error}") });
            return self.settle(index, Outcome::Cancelled);
        }
        let outcome = Outcome::Failed { error: error.to_string(), output: error.output.clone() };
        self.tracks[index].error = Some(error);
        self.settle(index, outcome);
    }

    pub(super) fn settle(&mut self, index: usize, outcome: Outcome) {
        let step = Arc::clone(&self.graph.steps()[index]);
        let track = &self.tracks[index];
        if track.acted.is_some() {
            let word = match outcome {
                Outcome::Changed => "changed",
                Outcome::Cancelled => "cancelled",
                _ => "failed",
            };
            self.write_journal(|journal| journal.finished(&step.key, word));
        }
        let track = &mut self.tracks[index];
        let spans = [track.observed, track.acted];
        let elapsed = spans.iter().flatten().map(|span| span.length()).sum();
        track.outcome = Some(outcome.clone());
        self.send(Event::StepFinished { key: step.key.clone(), outcome: outcome.clone(), elapsed });
        match outcome {
            // Who only looks can look at everything.
            Outcome::Failed { .. } if !self.options.dry_run => self.give_up_behind(index),
            Outcome::Cancelled | Outcome::NotRun { .. } => {}
            _ => {
                for &next in self.graph.dependents(index) {
                    self.tracks[next].open_needs -= 1;
                    if self.tracks[next].open_needs == 0 {
                        self.to_observe.push((self.urgency[next], Reverse(next)));
                    }
                }
            }
        }
    }

    /// Marks everything that needs the failed step, however far away.
    fn give_up_behind(&mut self, failed: usize) {
        let reason = format!("`{}` failed", self.graph.steps()[failed].title);
        let mut behind = vec![failed];
        while let Some(index) = behind.pop() {
            for &next in self.graph.dependents(index) {
                let outcome = &mut self.tracks[next].outcome;
                if outcome.is_none() {
                    *outcome = Some(Outcome::NotRun { reason: reason.clone() });
                    behind.push(next);
                }
            }
        }
    }
}
