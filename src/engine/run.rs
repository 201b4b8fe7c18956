//! Running a graph: the entry and its options. The loop itself is [`super::dispatcher`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::dispatcher::Dispatcher;
use super::event::Resource;
use super::interrupt::Interrupt;
use super::listen::{Listener, serve};
use super::report::Report;
use crate::engine::graph::Graph;
use crate::host::Host;

/// How many steps may act at the same time, by resource. [`Resource::Light`] is unbounded.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// Package work.
    pub package: usize,
    /// Downloads.
    pub download: usize,
    /// Container starts.
    pub start: usize,
    /// Processes that load.
    pub load: usize,
}

impl Slots {
    /// The number for a resource, at least one.
    pub(super) fn of(self, resource: Resource) -> usize {
        match resource {
            Resource::Light => usize::MAX,
            Resource::Package => self.package.max(1),
            Resource::Download => self.download.max(1),
            Resource::Start => self.start.max(1),
            Resource::Load => self.load.max(1),
        }
    }
}

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// `bootstrap`, `rebuild`, …
    pub command: String,
    /// Only look: what would be done, and why.
    pub dry_run: bool,
    /// The command itself says how the run ended.
    pub told_by_command: bool,
    /// Steps that act at the same time.
    pub slots: Slots,
    /// How the run is told to end.
    pub interrupt: Interrupt,
    /// Where to write what is being done; not used by a dry run.
    pub journal: Option<PathBuf>,
    /// Where durations of earlier runs stand; a dry run only reads them.
    pub durations: Option<PathBuf>,
}

/// Runs the graph to its end and reports on every step.
pub async fn run(
    graph: &Graph,
    host: Arc<Host>,
    options: RunOptions,
    listeners: Vec<Box<dyn Listener>>,
) -> Report {
    let start = Instant::now();
    let started = SystemTime::now();
    let (events, served) = serve(listeners, start);
    let mut dispatcher = Dispatcher::new(graph, host, options, events, start);
    dispatcher.begin();
    dispatcher.dispatch().await;
    let (summary, mut steps) = dispatcher.end();
    let mut heard = served.await.unwrap_or_default();
    for step in &mut steps {
        if let (Some(error), Some(lines)) = (&mut step.error, heard.lines.remove(&step.key)) {
            let lines: Vec<String> = lines.into();
            error.output.get_or_insert_with(|| lines.join("\n"));
        }
    }
    Report { summary, started, warnings: heard.warnings, steps }
}

#[cfg(test)]
mod tests;
