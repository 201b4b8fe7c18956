//! Listeners of a run's events, and the thread that serves them: a slow terminal never holds up a
//! step.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::event::{Event, Outcome};
use crate::engine::key::StepKey;

/// How many lines of each step are kept for the report of a failure.
const KEPT_LINES: usize = 20;

/// Hears every event of a run, in order.
pub trait Listener: Send {
    /// One event, and how long after the start of the run it came.
    fn hear(&mut self, event: &Event, at: Duration);
}

/// What is worth keeping of the stream when the run is over.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The last lines of each step that did not end well.
    pub(super) lines: HashMap<StepKey, VecDeque<String>>,
    /// Warnings, each once.
    pub(super) warnings: Vec<String>,
}

impl Heard {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Output { key, line } => {
                let lines = self.lines.entry(key.clone()).or_default();
                if lines.len() == KEPT_LINES {
                    lines.pop_front();
                }
                lines.push_back(line.clone());
            }
            Event::StepFinished { key, outcome, .. }
                if !matches!(outcome, Outcome::Failed { .. }) =>
            {
                self.lines.remove(key);
            }
            Event::Warning { message } if !self.warnings.contains(message) => {
                self.warnings.push(message.clone());
            }
            _ => {}
        }
    }
}

/// Serves the listeners on a thread of its own until [`Event::RunFinished`].
#[allow(clippy::disallowed_methods, reason = "it is waited for by whoever serves")]
pub(super) fn serve(
    mut listeners: Vec<Box<dyn Listener>>,
    start: Instant,
) -> (UnboundedSender<Event>, JoinHandle<Heard>) {
    let (sender, mut receiver) = unbounded_channel();
    let thread = tokio::task::spawn_blocking(move || {
        let mut heard = Heard::default();
        while let Some(event) = receiver.blocking_recv() {
            let at = start.elapsed();
            heard.hear(&event);
            for listener in &mut listeners {
                listener.hear(&event, at);
            }
            // A step that was dropped may still hold a sender: do not wait for it.
            if matches!(event, Event::RunFinished(_)) {
                break;
            }
        }
        heard
    });
    (sender, thread)
}
