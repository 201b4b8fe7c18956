//! What is said when units run from checkouts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::python::Delta;
use super::sources::Sources;
use super::steps::SwapIn;
use crate::cloud::Session;
use crate::model::topology::Container;
use crate::ui;

/// What runs now, and what was added for it.
pub async fn report(session: &Session, sources: &Sources, swaps: &[Arc<SwapIn>]) {
    let cloud = &session.site.cloud;
    for source in sources.all() {
        let uses = |swap: &&Arc<SwapIn>| {
            swap.request.projects.iter().any(|project| project.name == source.distribution())
        };
        let labels: Vec<&str> =
            swaps.iter().filter(uses).map(|swap| swap.work.label.as_str()).collect();
        let runs = if let [_] = labels[..] { "runs" } else { "run" };
        let (labels, root) = (labels.join(", "), source.root().display());
        ui::out::note(&format!("{labels} {runs} from {root} ({})", source.state()));
    }
    for swap in swaps {
        let label = &swap.work.label;
        if let Some(delta) = swap.delta.lock().await.as_ref() {
            ui::out::note(&format!("Beside the packaged ones of {label}: {}", packages(delta)));
        }
        let migrated = swap.migrated.load(Ordering::Relaxed);
        if let Some(kept) = swap.work.point.file().filter(|_| migrated) {
            ui::out::note(&format!(
                "The schema of {}'s databases is the checkout's; those of before are in {}",
                swap.work.service,
                kept.display()
            ));
        }
        let container = &swap.work.container;
        if cloud.is_balanced(&container.kind) {
            continue;
        }
        let is_swapped = |sibling: &&Container| {
            let mut same = swaps.iter().filter(|it| it.work.unit == swap.work.unit);
            same.any(|it| it.work.container.name == sibling.name)
        };
        for sibling in cloud.members(&container.kind).filter(|it| !is_swapped(it)) {
            let name = sibling.label();
            ui::out::note(&format!(
                "{name} works beside {label}, as packaged; `aio stop {name}` leaves all to the \
                 checkout."
            ));
        }
    }
}

fn packages(delta: &Delta) -> String {
    let all = delta.manifest.distributions.iter();
    let all: Vec<String> = all.map(|it| format!("{} {}", it.name, it.version)).collect();
    let cached = if delta.cached { " (fetched before)" } else { "" };
    format!("{}{cached}", all.join(", "))
}
