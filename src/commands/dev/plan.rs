//! The steps of swaps and of their undoing, each shown with its time.
//!
//! Whatever changes something for the first time comes one after another, and after all of them were
//! looked at. Starting takes most of the time, and of each start most is spent in one processor: units
//! of a service start in their order and are waited for together. Members that a load balancer chooses
//! among come one by one, so that one of them always serves.

use std::sync::Arc;

use super::steps::{Deed, DeedFuture, SwapIn, Work};
use crate::engine::event::{Phase, Resource};
use crate::engine::key::StepKey;
use crate::engine::step::{Action, Step, StepContext};
use crate::model::cloud::Cloud;

/// A deed, what it is called, and how long it takes, in milliseconds.
type Named<T> = (&'static str, String, u64, for<'a> fn(&'a T, &'a StepContext) -> DeedFuture<'a>);

/// Something that has a name of its own among those of its run.
trait Subject: Send + Sync + 'static {
    fn work(&self) -> &Work;
}

impl Subject for SwapIn {
    fn work(&self) -> &Work {
        &self.work
    }
}

impl Subject for Work {
    fn work(&self) -> &Work {
        self
    }
}

/// Steps of one run.
struct Steps {
    all: Vec<Step>,
    /// What their keys begin with.
    prefix: &'static str,
}

impl Steps {
    fn new(prefix: &'static str) -> Self {
        Self { all: Vec::new(), prefix }
    }

    /// Adds a deed after others.
    fn add<T: Subject>(&mut self, subject: &Arc<T>, deed: Named<T>, needs: &[StepKey]) -> StepKey {
        let (name, title, estimate_ms, act) = deed;
        let work = subject.work();
        let (container, unit) = (&work.container.name, &work.unit);
        let key = StepKey::new(format!("{}/{container}/{unit}/{name}", self.prefix));
        let action: Arc<dyn Action> = Arc::new(Deed { subject: Arc::clone(subject), act });
        self.all.push(Step {
            key: key.clone(),
            title,
            phase: Phase::Services,
            resource: Resource::Light,
            needs: needs.to_vec(),
            estimate_ms,
            action,
        });
        key
    }

    /// Adds deeds, each after the one before.
    fn chain<T: Subject>(
        &mut self,
        subject: &Arc<T>,
        deeds: Vec<Named<T>>,
        mut needs: Vec<StepKey>,
    ) -> Vec<StepKey> {
        for deed in deeds {
            needs = vec![self.add(subject, deed, &needs)];
        }
        needs
    }
}

/// From the package to the checkout.
pub fn into(swaps: &[Arc<SwapIn>]) -> Vec<Step> {
    let mut steps = Steps::new("dev");
    let mut before = Vec::new();
    for swap in swaps {
        let title = format!("ask {}'s Python about the checkout", swap.work.label);
        before.push(steps.add(swap, ("check", title, 300, SwapIn::check), &[]));
    }
    for swap in swaps {
        let title = format!("packages that {} needs besides", swap.work.label);
        let deeds: Vec<Named<SwapIn>> = vec![("packages", title, 50, SwapIn::packages)];
        before = steps.chain(swap, deeds, before);
    }
    for swap in swaps {
        let title = format!("write down what is going to change for {}", swap.work.label);
        let deeds: Vec<Named<SwapIn>> = vec![("record", title, 20, SwapIn::record)];
        before = steps.chain(swap, deeds, before);
    }
    for swap in swaps.iter().filter(|swap| swap.is_first && swap.work.point.has_databases()) {
        let title = format!("keep the databases of {} as they are", swap.work.service);
        let deeds: Vec<Named<SwapIn>> = vec![("keep", title, 400, SwapIn::keep)];
        before = steps.chain(swap, deeds, before);
    }
    for swap in swaps {
        let title = format!("let the checkout appear in {}", swap.work.container.label());
        let mut deeds: Vec<Named<SwapIn>> = vec![("publish", title, 30, SwapIn::publish)];
        if let Some(schema) = &swap.schema {
            deeds.push(("schema", schema.title.clone(), 200, SwapIn::schema));
        }
        before = steps.chain(swap, deeds, before);
    }
    for of_service in swaps.chunk_by(|one, next| one.work.service == next.work.service) {
        before = start(&mut steps, of_service, before);
    }
    steps.all
}

/// Starts the units of one service, and returns what ends it.
fn start(steps: &mut Steps, swaps: &[Arc<SwapIn>], before: Vec<StepKey>) -> Vec<StepKey> {
    let mut started = before;
    let mut serve: Vec<(&Arc<SwapIn>, StepKey)> = Vec::new();
    for swap in swaps {
        let label = &swap.work.label;
        let mut needs = started;
        let others = serve.iter().filter(|(other, _)| is_sibling(&other.work, &swap.work));
        needs.extend(others.map(|(_, key)| key.clone()));
        let title = format!("start {label} from it");
        let key = steps.add(swap, ("start", title, 500, SwapIn::start), &needs);
        started = vec![key];
        let deeds: Vec<Named<SwapIn>> = vec![
            ("healthy", format!("{label} is healthy"), 2_000, SwapIn::healthy),
            ("serve", format!("{label} serves"), 100, SwapIn::serve),
        ];
        let ended = steps.chain(swap, deeds, started.clone());
        serve.extend(ended.into_iter().map(|key| (swap, key)));
    }
    serve.into_iter().map(|(_, key)| key).collect()
}

/// The checkouts of some units once more, with their changes.
pub fn again(works: &[Arc<Work>]) -> Vec<Step> {
    let mut steps = Steps::new("again");
    let mut ended: Vec<(&Arc<Work>, StepKey)> = Vec::new();
    for work in works {
        let label = &work.label;
        let others = ended.iter().filter(|(other, _)| is_sibling(other, work));
        let needs = others.map(|(_, key)| key.clone()).collect();
        let deeds: Vec<Named<Work>> = vec![
            ("restart", format!("restart {label}"), 500, Work::restart),
            ("healthy", format!("{label} is healthy"), 2_000, Work::serving),
        ];
        let last = steps.chain(work, deeds, needs);
        ended.extend(last.into_iter().map(|key| (work, key)));
    }
    steps.all
}

/// Whether they are units of two members of one kind: one of these serves while the other starts.
fn is_sibling(one: &Work, other: &Work) -> bool {
    one.container.kind == other.container.kind && one.container.name != other.container.name
}

/// How swaps of one service are undone.
#[derive(Clone, Copy, Debug)]
pub struct Back {
    /// Whether databases that go back, or may, ask for all to be stopped at once. Otherwise members that
    /// the load balancer chooses among go one by one.
    pub at_once: bool,
    /// Whether packages are waited for. Otherwise whoever comes next does: what a killed run or a
    /// restarted container left must not stand in the way of what mends the unit.
    pub healthy: bool,
}

/// From checkouts of one service back to the package, in the order in which they start. The databases
/// are looked at when all are stopped, but for members that have gone back before.
pub fn back(cloud: &Cloud, works: &[Arc<Work>], how: Back) -> Vec<Step> {
    let mut steps = Steps::new("restore");
    let is_ahead = |index: usize, work: &Arc<Work>| {
        let is_same = |other: &Arc<Work>| {
            other.unit == work.unit && other.container.kind == work.container.kind
        };
        !how.at_once
            && cloud.is_balanced(&work.container.kind)
            && works.iter().skip(index + 1).any(is_same)
    };
    let (mut ahead, mut rest) = (Vec::new(), Vec::new());
    for (index, work) in works.iter().enumerate() {
        if is_ahead(index, work) { ahead.push(work) } else { rest.push(work) }
    }
    let mut before = Vec::new();
    for work in ahead {
        let stopped = stop(&mut steps, work, &before);
        (_, before) = package(&mut steps, work, stopped, Vec::new(), how.healthy);
    }
    let stopped: Vec<StepKey> =
        rest.iter().flat_map(|work| stop(&mut steps, work, &before)).collect();
    let mut before = stopped;
    if let Some(work) = rest.first().filter(|work| work.point.has_databases()) {
        let title = format!("see that the databases of {} are fit for the package", work.service);
        let deeds: Vec<Named<Work>> = vec![("databases", title, 300, Work::databases)];
        before = steps.chain(work, deeds, before);
    }
    let mut ended = Vec::new();
    for work in rest {
        (before, ended) = package(&mut steps, work, before, ended, how.healthy);
    }
    steps.all
}

/// Starts the package after `before`, and ends its swap after those of `others` have: the load balancer's
/// files are the same for all. Returns what starts it and what ends it.
fn package(
    steps: &mut Steps,
    work: &Arc<Work>,
    before: Vec<StepKey>,
    others: Vec<StepKey>,
    healthy: bool,
) -> (Vec<StepKey>, Vec<StepKey>) {
    let label = &work.label;
    let out = format!("take the checkout out of {}", work.container.label());
    let deeds: Vec<Named<Work>> = vec![
        ("withdraw", out, 20, Work::withdraw),
        ("start", format!("start {label} as packaged"), 500, Work::start),
    ];
    let started = steps.chain(work, deeds, before);
    let mut needs = started.clone();
    if healthy {
        let title = format!("{label} is healthy");
        needs = vec![steps.add(work, ("healthy", title, 2_000, Work::healthy), &needs)];
    }
    needs.extend(others);
    let deeds: Vec<Named<Work>> = vec![
        ("serve", format!("{label} serves"), 50, Work::serve),
        ("forget", format!("forget the swap of {label}"), 10, Work::forget),
    ];
    (started, steps.chain(work, deeds, needs))
}

fn stop(steps: &mut Steps, work: &Arc<Work>, before: &[StepKey]) -> Vec<StepKey> {
    let label = &work.label;
    let deeds: Vec<Named<Work>> = vec![
        ("relieve", format!("let siblings of {label} serve"), 100, Work::relieve),
        ("stop", format!("stop {label}"), 300, Work::stop),
    ];
    steps.chain(work, deeds, before.to_vec())
}
