//! The run loop.
//!
//! One task, the dispatcher, owns all state. A step waits for its needs, observes (at most
//! [`OBSERVERS`] at a time, no slot needed), waits for a slot of its resource if it must act, acts,
//! and looks until it is right ([`super::step::Action::patience`]). A few look when the run begins ([`super::step::Action::looks_early`]): with
//! nothing to do, their looks at its end were nearly half of it. Whenever something ends, the
//! dispatcher starts what can start now, the longest chain of dependents first. It never holds a
//! lock and never waits for a listener.
//!
//! Here: starting and ending tasks. What an end means for a step and those behind it stands in
//! [`super::judge`], the estimate of the rest and the report in [`super::tally`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;

use super::children;
use super::durations::Durations;
use super::event::{Event, Outcome, Phase, Resource};
use super::journal::Journal;
use super::report::Span;
use super::step::{Observation, Step, StepContext};
use crate::engine::act::act;
use crate::engine::graph::Graph;
use crate::engine::key::StepKey;
use crate::engine::options::RunOptions;
use crate::error::{Error, Result};
use crate::host::Host;

/// Observations at the same time: each may hold a connection or a few files.
const OBSERVERS: usize = 32;

/// How long killed steps may take to let go of what they hold.
const GRACE: Duration = Duration::from_secs(1);

enum Stage {
    Observed(Result<Observation>),
    /// It acted and looked until it was right.
    Acted(Result<()>),
}

async fn look(step: Arc<Step>, context: StepContext) -> Result<Observation> {
    step.action.observe(&context).await
}

#[derive(Default)]
pub(super) struct Track {
    /// Needs that have not ended well yet.
    pub(super) open_needs: usize,
    pub(super) observed: Option<Span>,
    pub(super) acted: Option<Span>,
    pub(super) reason: Option<String>,
    pub(super) outcome: Option<Outcome>,
    pub(super) error: Option<Error>,
    /// In a dry run: the nearest step before it that would be done.
    pub(super) pending_before: Option<usize>,
}

/// Steps that wait for their turn, the most urgent first, then in the order of the graph.
pub(super) type Queue = BinaryHeap<(u64, Reverse<usize>)>;

pub(super) struct Dispatcher<'a> {
    pub(super) graph: &'a Graph,
    host: Arc<Host>,
    pub(super) options: RunOptions,
    events: UnboundedSender<Event>,
    start: Instant,
    pub(super) durations: Durations,
    /// Estimates by step, and the longest chains that follow from them.
    pub(super) costs: Vec<u64>,
    pub(super) urgency: Vec<u64>,
    pub(super) tracks: Vec<Track>,
    pub(super) to_observe: Queue,
    pub(super) to_act: BTreeMap<Resource, Queue>,
    observing: usize,
    acting: BTreeMap<Resource, usize>,
    tasks: JoinSet<Stage>,
    running: HashMap<Id, (usize, AbortHandle)>,
    /// Looks taken before their turn, by step; none any more when something acts.
    early: HashMap<usize, AbortOnDropHandle<Result<Observation>>>,
    journal: Option<Journal>,
    pub(super) cancelling: bool,
    pub(super) estimated: Instant,
}

impl<'a> Dispatcher<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        host: Arc<Host>,
        options: RunOptions,
        events: UnboundedSender<Event>,
        start: Instant,
    ) -> Self {
        let durations = options.durations.as_deref().map(Durations::load).unwrap_or_default();
        let costs: Vec<u64> = graph.steps().iter().map(|step| durations.estimate(step)).collect();
        let urgency = graph.critical_paths(|index| costs[index]);
        let track = |index| Track { open_needs: graph.needs(index).len(), ..Track::default() };
        Self {
            graph,
            host,
            options,
            events,
            start,
            durations,
            costs,
            urgency,
            tracks: (0..graph.len()).map(track).collect(),
            to_observe: Queue::new(),
            to_act: BTreeMap::new(),
            observing: 0,
            acting: BTreeMap::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            early: HashMap::new(),
            journal: None,
            cancelling: false,
            estimated: start,
        }
    }

    pub(super) fn send(&self, event: Event) {
        // The listeners' thread is gone only when it panicked: the run goes on without a display.
        let _ = self.events.send(event);
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn begin(&mut self) {
        let mut steps: BTreeMap<Phase, usize> = BTreeMap::new();
        for step in self.graph.steps() {
            *steps.entry(step.phase).or_default() += 1;
        }
        self.send(Event::RunStarted {
            command: self.options.command.clone(),
            steps: steps.into_iter().collect(),
            estimate: (!self.options.dry_run).then(|| self.remaining()),
        });
        if !self.options.dry_run {
            self.open_journal();
        }
        for index in 0..self.graph.len() {
            if self.tracks[index].open_needs == 0 {
                self.to_observe.push((self.urgency[index], Reverse(index)));
            } else if self.graph.steps()[index].action.looks_early() {
                let look = tokio::spawn(look(self.step(index), self.context(index)));
                self.early.insert(index, AbortOnDropHandle::new(look));
            }
        }
    }

    fn open_journal(&mut self) {
        let Some(path) = self.options.journal.clone() else { return };
        match Journal::open(&path, &self.options.command) {
            Ok((journal, unfinished)) => {
                self.journal = Some(journal);
                if let Some(run) = unfinished {
                    let what = match run.acting.as_slice() {
                        [] => "between two steps".to_owned(),
                        acting => format!("during {}", acting.join(", ")),
                    };
                    let message = format!("the last `aio {}` was killed {what}", run.command);
                    self.send(Event::Warning { message });
                }
            }
            Err(error) => self.send(Event::Warning { message: error.to_string() }),
        }
    }

    pub(super) async fn dispatch(&mut self) {
        let interrupt = self.options.interrupt.clone();
        loop {
            self.start_what_can_start();
            if self.tasks.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = interrupt.kill.cancelled() => {
                    self.kill().await;
                    break;
                }
                () = interrupt.cancel.cancelled(), if !self.cancelling => self.cancel(),
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            }
        }
    }

    fn start_what_can_start(&mut self) {
        if self.options.interrupt.cancel.is_cancelled() {
            return;
        }
        while self.observing < OBSERVERS {
            let Some((_, Reverse(index))) = self.to_observe.pop() else { break };
            self.observe(index);
        }
        let resources: Vec<Resource> = self.to_act.keys().copied().collect();
        for resource in resources {
            while self.acting.get(&resource).copied().unwrap_or(0) < self.options.slots.of(resource)
            {
                let next = self.to_act.get_mut(&resource).and_then(BinaryHeap::pop);
                let Some((_, Reverse(index))) = next else { break };
                self.act(index);
            }
        }
    }

    fn step(&self, index: usize) -> Arc<Step> {
        Arc::clone(&self.graph.steps()[index])
    }

    fn context(&self, index: usize) -> StepContext {
        StepContext {
            host: Arc::clone(&self.host),
            cancel: self.options.interrupt.cancel.child_token(),
            key: self.graph.steps()[index].key.clone(),
            events: self.events.clone(),
        }
    }

    fn spawn(&mut self, index: usize, work: impl Future<Output = Stage> + Send + 'static) {
        let handle = self.tasks.spawn(work);
        self.running.insert(handle.id(), (index, handle));
    }

    fn observe(&mut self, index: usize) {
        let step = self.step(index);
        let now = self.now();
        self.tracks[index].observed = Some(Span { from: now, to: now });
        self.observing += 1;
        self.send(Event::StepStarted {
            key: step.key.clone(),
            title: step.title.clone(),
            phase: step.phase,
            resource: step.resource,
        });
        let early = self.early.remove(&index);
        let context = self.context(index);
        self.spawn(index, async move {
            let looked = match early {
                Some(look) => look.await.ok(),
                None => None,
            };
            Stage::Observed(match looked {
                Some(result) => result,
                None => look(step, context).await,
            })
        });
    }

    fn act(&mut self, index: usize) {
        let step = self.step(index);
        self.early.clear();
        let now = self.now();
        let track = &mut self.tracks[index];
        track.acted = Some(Span { from: now, to: now });
        let reason = track.reason.clone().unwrap_or_default();
        *self.acting.entry(step.resource).or_default() += 1;
        self.write_journal(|journal| journal.acting(&step.key, &reason));
        self.send(Event::StepActing { key: step.key.clone(), reason });
        let context = self.context(index);
        self.spawn(index, async move { Stage::Acted(act(&*step.action, &context).await) });
    }

    /// A journal that cannot be written (a full disk) is reported once and then left alone.
    pub(super) fn write_journal(
        &mut self,
        write: impl FnOnce(&mut Journal) -> std::io::Result<()>,
    ) {
        if let Some(Err(error)) = self.journal.as_mut().map(write) {
            self.journal = None;
            self.send(Event::Warning {
                message: format!("the journal cannot be written: {error}"),
            });
        }
    }

    fn ended(&mut self, ended: Result<(Id, Stage), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some((index, _)) = self.running.remove(&id) else { return };
        let now = self.now();
        let track = &mut self.tracks[index];
        if let Some(acted) = &mut track.acted {
            acted.to = now;
            if let Some(count) = self.acting.get_mut(&self.graph.steps()[index].resource) {
                *count -= 1;
            }
        } else if let Some(observed) = &mut track.observed {
            observed.to = now;
            self.observing -= 1;
        }
        match ended {
            Ok((_, Stage::Observed(result))) => self.observed(index, result),
            Ok((_, Stage::Acted(result))) => self.acted(index, result),
            Err(error) if error.is_cancelled() => self.settle(index, Outcome::Cancelled),
            Err(_) => self.fail(
                index,
                Error::failed("the step came to a sudden end")
                    .because("it panicked, which is a bug of aio"),
            ),
        }
        self.tell_remaining();
    }

    /// The first Ctrl-C. Observations change nothing and are dropped; what acts is asked to end.
    fn cancel(&mut self) {
        self.cancelling = true;
        self.to_observe.clear();
        self.to_act.clear();
        self.early.clear();
        let mut acting: Vec<StepKey> = Vec::new();
        for (index, handle) in self.running.values() {
            if self.tracks[*index].acted.is_some() {
                acting.push(self.graph.steps()[*index].key.clone());
            } else {
                handle.abort();
            }
        }
        acting.sort_unstable();
        self.send(Event::Cancelling { running: acting });
    }

    /// The second Ctrl-C.
    async fn kill(&mut self) {
        self.cancelling = true;
        children::kill_descendants();
        self.tasks.abort_all();
        let deadline = tokio::time::Instant::now() + GRACE;
        while let Ok(Some(ended)) =
            tokio::time::timeout_at(deadline, self.tasks.join_next_with_id()).await
        {
            self.ended(ended);
        }
        let stuck: Vec<usize> = self.running.values().map(|(index, _)| *index).collect();
        for index in stuck {
            self.settle(index, Outcome::Cancelled);
        }
    }
}
