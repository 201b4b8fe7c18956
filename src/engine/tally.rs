//! What is left of a run while it runs, and what it was when it is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::dispatcher::{Dispatcher, Track};
use super::event::{Event, Outcome, Resource, Summary};
use super::journal::Journal;
use super::report::StepReport;

/// How often the estimate of the rest is told.
const ESTIMATE_EVERY: Duration = Duration::from_millis(500);

impl Dispatcher<'_> {
    pub(super) fn tell_remaining(&mut self) {
        if !self.options.dry_run && self.estimated.elapsed() >= ESTIMATE_EVERY {
            self.estimated = Instant::now();
            self.send(Event::Remaining { estimate: self.remaining() });
        }
    }

    /// A lower bound: neither the longest chain nor any resource can be done sooner. A step that
    /// has not been looked at counts as one that must act.
    pub(super) fn remaining(&self) -> Duration {
        let now = self.now();
        let cost = |index: usize| match &self.tracks[index] {
            Track { outcome: Some(_), .. } => 0,
            Track { acted: Some(acted), .. } => {
                let done = now.saturating_sub(acted.from).as_millis();
                self.costs[index].saturating_sub(u64::try_from(done).unwrap_or(u64::MAX))
            }
            _ => self.costs[index],
        };
        let chain = self.graph.critical_paths(cost).into_iter().max().unwrap_or(0);
        let mut by_resource: BTreeMap<Resource, u64> = BTreeMap::new();
        for (index, step) in self.graph.steps().iter().enumerate() {
            *by_resource.entry(step.resource).or_default() += cost(index);
        }
        let share = |(resource, sum): (Resource, u64)| {
            sum / u64::try_from(self.options.slots.of(resource)).unwrap_or(u64::MAX)
        };
        let busiest = by_resource.into_iter().map(share).max().unwrap_or(0);
        Duration::from_millis(chain.max(busiest))
    }

    pub(super) fn end(mut self) -> (Summary, Vec<StepReport>) {
        self.write_journal(Journal::run_finished);
        let acted = self.tracks.iter().any(|track| track.acted.is_some());
        if let (Some(path), true) = (&self.options.durations, acted)
            && let Err(error) = self.durations.save(path)
        {
            self.send(Event::Warning { message: error.to_string() });
        }
        let mut summary = Summary {
            command: self.options.command.clone(),
            dry_run: self.options.dry_run,
            told_by_command: self.options.told_by_command,
            interrupted: self.cancelling,
            elapsed: self.now(),
            ..Summary::default()
        };
        let tracks = std::mem::take(&mut self.tracks);
        let steps: Vec<StepReport> = tracks
            .into_iter()
            .enumerate()
            .map(|(index, track)| self.report(index, track))
            .collect();
        for step in &steps {
            summary.count(&step.outcome);
        }
        self.send(Event::RunFinished(summary.clone()));
        (summary, steps)
    }

    fn report(&self, index: usize, track: Track) -> StepReport {
        let step = &self.graph.steps()[index];
        let keys = |needs: &[usize]| {
            needs.iter().map(|&need| self.graph.steps()[need].key.clone()).collect()
        };
        StepReport {
            key: step.key.clone(),
            title: step.title.clone(),
            phase: step.phase,
            resource: step.resource,
            needs: keys(self.graph.needs(index)),
            outcome: track
                .outcome
                .unwrap_or_else(|| Outcome::NotRun { reason: "interrupted".to_owned() }),
            acted_because: track.acted.and(track.reason),
            observed: track.observed,
            acted: track.acted,
            error: track.error,
        }
    }
}
