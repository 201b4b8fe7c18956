//! Plain lines for files, pipes and `-v`: one for each step that did something.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use console::style;

use super::format;
use super::harmless::harmless;
use crate::engine::event::{Event, Outcome};
use crate::engine::key::StepKey;
use crate::engine::listen::Listener;

pub struct Plain<W = std::io::Stderr> {
    verbose: u8,
    titles: HashMap<StepKey, String>,
    to: W,
}

/// Begins the further lines of a text, right of where the time stands.
const BELOW_FIRST: &str = "\n               ";

impl Plain {
    /// Lines to standard error. `verbose` as in [`super::Wish`].
    pub fn new(verbose: u8) -> Self {
        Self { verbose, titles: HashMap::new(), to: std::io::stderr() }
    }
}

impl<W> Plain<W> {
    fn title(&self, key: &StepKey) -> String {
        self.titles.get(key).cloned().unwrap_or_else(|| key.to_string())
    }

    fn finished(&self, key: &StepKey, outcome: &Outcome, elapsed: Duration) -> Option<String> {
        let title = self.title(key);
        let took = format::duration(elapsed);
        match outcome {
            Outcome::Changed => Some(format!("{title} ({took})")),
            Outcome::Failed { error, .. } => {
                Some(format!("{} {title}: {error}", style("failed:").for_stderr().red()))
            }
            Outcome::Cancelled => Some(format!("interrupted: {title}")),
            Outcome::Unchanged if self.verbose > 0 => Some(format!("{title}: unchanged")),
            Outcome::Skipped { reason } if self.verbose > 0 => {
                Some(format!("{title}: skipped, {reason}"))
            }
            _ => None,
        }
    }

    fn text(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::StepStarted { key, title, .. } => {
                self.titles.insert(key.clone(), title.clone());
                None
            }
            Event::StepActing { key, reason } if self.verbose > 0 => {
                Some(format!("{} …: {reason}", self.title(key)))
            }
            Event::Output { key, line } if self.verbose > 1 => {
                Some(format!("{} | {line}", self.title(key)))
            }
            Event::StepFinished { key, outcome, elapsed } => self.finished(key, outcome, *elapsed),
            Event::Warning { message } => {
                Some(format!("{} {message}", style("warning:").for_stderr().yellow()))
            }
            Event::Cancelling { running } => {
                Some(cancelling(running.iter().map(|key| self.title(key))))
            }
            Event::RunFinished(summary) if !summary.told_by_command => {
                Some(format::summary(summary))
            }
            _ => None,
        }
    }
}

impl<W: Write + Send> Listener for Plain<W> {
    fn hear(&mut self, event: &Event, at: Duration) {
        let Some(text) = self.text(event) else { return };
        let text = harmless(&text).replace('\n', BELOW_FIRST);
        // Standard error that is gone cannot be told so.
        let _ = match event {
            Event::RunFinished(_) => writeln!(self.to, "{text}"),
            _ => writeln!(self.to, "{:>7.1} s  {text}", at.as_secs_f64()),
        };
    }
}

/// What is said at the first Ctrl-C.
pub(super) fn cancelling(running: impl Iterator<Item = String>) -> String {
    let running: Vec<String> = running.collect();
    if running.is_empty() {
        "interrupted".to_owned()
    } else {
        format!("interrupted; waiting for: {} (Ctrl-C again kills)", running.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Phase, Resource, Summary};

    fn listen(verbose: u8) -> String {
        console::set_colors_enabled_stderr(false);
        let mut plain = Plain { verbose, titles: HashMap::new(), to: Vec::new() };
        let key = |text: &str| StepKey::new(text);
        let started = |name: &str, title: &str| Event::StepStarted {
            key: key(name),
            title: title.to_owned(),
            phase: Phase::Images,
            resource: Resource::Package,
        };
        let finished = |name: &str, outcome| Event::StepFinished {
            key: key(name),
            outcome,
            elapsed: Duration::from_millis(1200),
        };
        let events = [
            started("a", "build layer base"),
            started("b", "make bridges"),
            finished("b", Outcome::Unchanged),
            Event::StepActing { key: key("a"), reason: "absent".to_owned() },
            Event::Output { key: key("a"), line: "unpacking".to_owned() },
            finished("a", Outcome::Changed),
            Event::Warning { message: "a firewall stands\nin the way".to_owned() },
            finished("c", Outcome::Failed { error: "no disk".to_owned(), output: None }),
            Event::Cancelling { running: vec![key("a")] },
            Event::RunFinished(Summary { command: "bootstrap".to_owned(), ..Summary::default() }),
        ];
        for event in &events {
            plain.hear(event, Duration::from_millis(2340));
        }
        String::from_utf8(plain.to).unwrap()
    }

    #[test]
    fn says_what_changed_and_what_went_wrong() {
        assert_eq!(
            listen(0),
            "    2.3 s  build layer base (1.2 s)\n    \
                 2.3 s  warning: a firewall stands\n               in the way\n    \
                 2.3 s  failed: c: no disk\n    \
                 2.3 s  interrupted; waiting for: build layer base (Ctrl-C again kills)\n\
             bootstrap: 0 changed, 0 unchanged, in 0.0 s\n"
        );
    }

    #[test]
    fn says_more_when_asked() {
        let once = listen(1);
        assert!(once.contains("make bridges: unchanged\n"), "{once}");
        assert!(once.contains("build layer base …: absent\n"), "{once}");
        assert!(!once.contains("unpacking"), "{once}");
        assert!(listen(2).contains("build layer base | unpacking\n"));
    }
}
