//! The steps of a swap and of its undoing: one after another, each shown with its time.

use std::sync::Arc;

use super::steps::{Deed, DeedFuture, SwapIn, Work};
use crate::engine::event::{Phase, Resource};
use crate::engine::key::StepKey;
use crate::engine::step::{Action, Step, StepContext};

/// A deed and what it is called.
type Named<T> = (&'static str, String, u64, for<'a> fn(&'a T, &'a StepContext) -> DeedFuture<'a>);

/// Adds deeds, each after the one before.
fn chain<T: Send + Sync + 'static>(
    steps: &mut Vec<Step>,
    prefix: &str,
    subject: &Arc<T>,
    deeds: Vec<Named<T>>,
) {
    for (name, title, estimate_ms, act) in deeds {
        let action: Arc<dyn Action> = Arc::new(Deed { subject: Arc::clone(subject), act });
        steps.push(Step {
            key: StepKey::new(format!("{prefix}/{name}")),
            title,
            phase: Phase::Services,
            resource: Resource::Light,
            needs: steps.last().map(|before| before.key.clone()).into_iter().collect(),
            estimate_ms,
            action,
        });
    }
}

/// From the package to the checkout.
pub fn into(label: &str, swap: &Arc<SwapIn>) -> Vec<Step> {
    let mut deeds: Vec<Named<SwapIn>> = vec![
        ("check", format!("ask {label}'s Python about the checkout"), 300, SwapIn::check),
        ("packages", "packages that it needs besides".to_owned(), 50, SwapIn::packages),
        ("record", "write down what is going to change".to_owned(), 20, SwapIn::record),
    ];
    if swap.work.point.has_databases() {
        deeds.push(("keep", "keep the databases as they are".to_owned(), 400, SwapIn::keep));
    }
    deeds.push((
        "publish",
        "let the checkout appear in the container".to_owned(),
        30,
        SwapIn::publish,
    ));
    if let Some(schema) = &swap.schema {
        deeds.push(("schema", schema.title.clone(), 200, SwapIn::schema));
    }
    deeds.extend([
        ("start", format!("start {label} from it"), 500, SwapIn::start as _),
        ("healthy", format!("{label} is healthy"), 2_000, SwapIn::healthy as _),
        ("serve", format!("{label} serves"), 100, SwapIn::serve as _),
    ]);
    let mut steps = Vec::new();
    chain(&mut steps, &format!("dev/{label}"), swap, deeds);
    steps
}

/// The checkout once more, with its changes.
pub fn again(label: &str, work: &Arc<Work>) -> Vec<Step> {
    let deeds: Vec<Named<Work>> = vec![
        ("restart", format!("restart {label}"), 500, Work::restart),
        ("healthy", format!("{label} is healthy"), 2_000, Work::serving),
    ];
    let mut steps = Vec::new();
    chain(&mut steps, &format!("again/{label}"), work, deeds);
    steps
}

/// From checkouts of one service back to the package: all are stopped before the databases go back,
/// and started in this order. Without `healthy`, whoever comes next waits for that: what a killed run
/// or a restarted container left must not stand in the way of what mends the unit.
pub fn back(works: &[(String, Arc<Work>)], healthy: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let prefix = |label: &str, work: &Work| format!("restore/{}/{label}", work.container.label());
    for (label, work) in works {
        let deeds: Vec<Named<Work>> = vec![
            ("relieve", "let its siblings serve".to_owned(), 100, Work::relieve),
            ("stop", format!("stop {label}"), 300, Work::stop),
        ];
        chain(&mut steps, &prefix(label, work), work, deeds);
    }
    if let Some((label, work)) = works.first().filter(|(_, work)| work.point.has_databases()) {
        let title = "see that its databases are fit for the package".to_owned();
        let deeds: Vec<Named<Work>> = vec![("databases", title, 300, Work::databases)];
        chain(&mut steps, &prefix(label, work), work, deeds);
    }
    for (label, work) in works {
        let out = "take the checkout out of the container".to_owned();
        let mut deeds: Vec<Named<Work>> = vec![
            ("withdraw", out, 20, Work::withdraw as _),
            ("start", format!("start {label} as packaged"), 500, Work::start as _),
        ];
        if healthy {
            deeds.push(("healthy", format!("{label} is healthy"), 2_000, Work::healthy));
        }
        deeds.extend([
            ("serve", format!("{label} serves"), 50, Work::serve as _),
            ("forget", "forget the swap".to_owned(), 10, Work::forget as _),
        ]);
        chain(&mut steps, &prefix(label, work), work, deeds);
    }
    steps
}
