//! Running a graph: the entry and its options. The loop itself is [`super::dispatcher`].

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::dispatcher::Dispatcher;
use super::listen::{Listener, serve};
use super::options::RunOptions;
use super::report::Report;
use crate::engine::graph::Graph;
use crate::host::Host;

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
