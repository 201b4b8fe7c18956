//! Progress bars on a terminal: one for each phase, with what is running, and the time that is
//! left. A run that is over at once (nothing to do) shows none.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::board::{Board, clock};
use super::harmless::{below_first, harmless, one_line};
use super::{format, out, plain};
use crate::engine::event::{Event, Outcome, Phase};
use crate::engine::listen::Listener;

/// Nothing is drawn before: most runs find everything right.
const DELAY: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub struct Bars {
    board: Board,
    drawn: Option<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    all: MultiProgress,
    phases: Vec<(Phase, ProgressBar)>,
    clock: ProgressBar,
    /// When the run may end, in milliseconds from its start; 0 when unknown. Read by the thread
    /// that redraws the clock.
    end_ms: Arc<AtomicU64>,
}

impl Bars {
    /// A line above the bars.
    fn say(&self, text: &str) {
        let text = below_first(text);
        match &self.drawn {
            Some(drawn) => drawn.all.suspend(|| out::note(&text)),
            None => out::note(&text),
        }
    }

    fn update(&mut self, at: Duration) {
        if self.drawn.is_none() && at >= DELAY {
            self.drawn = Some(Drawn::new(&self.board, at));
        }
        let Some(drawn) = &self.drawn else { return };
        for (phase, bar) in &drawn.phases {
            if let Some(line) = self.board.line(*phase) {
                bar.set_position(line.ended);
                bar.set_message(harmless(&one_line(&line.running)).into_owned());
            }
        }
        let end = self.board.end().map_or(0, |end| u64::try_from(end.as_millis()).unwrap_or(0));
        drawn.end_ms.store(end, Ordering::Relaxed);
    }
}

impl Drawn {
    fn new(board: &Board, at: Duration) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let phases = board
            .phases()
            .map(|phase| {
                let steps = board.line(phase).map_or(0, |line| line.steps);
                let bar = all.add(ProgressBar::new(steps));
                bar.set_style(bar_style());
                bar.set_prefix(format::phase(phase));
                (phase, bar)
            })
            .collect();
        let end_ms = Arc::new(AtomicU64::new(0));
        let clock = all.add(ProgressBar::new_spinner().with_elapsed(at));
        clock.set_style(clock_style(Arc::clone(&end_ms)));
        clock.enable_steady_tick(Duration::from_millis(120));
        Self { all, phases, clock, end_ms }
    }

    /// The summary stands where the bars stood.
    fn clear(&self) {
        for (_, bar) in &self.phases {
            bar.finish_and_clear();
        }
        self.clock.finish_and_clear();
    }
}

/// The template is a constant of ours: if it were wrong, the default would be shown.
fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>10} {bar:24.cyan/dim} {pos:>3}/{len:<3} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

fn clock_style(end_ms: Arc<AtomicU64>) -> ProgressStyle {
    ProgressStyle::with_template("{spinner:>10} {clock}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("clock", move |state: &ProgressState, text: &mut dyn Write| {
            let end_ms = end_ms.load(Ordering::Relaxed);
            let end = (end_ms > 0).then(|| Duration::from_millis(end_ms));
            let _ = text.write_str(&clock(state.elapsed(), end));
        })
}

impl Listener for Bars {
    fn hear(&mut self, event: &Event, at: Duration) {
        match event {
            Event::Warning { message } => {
                self.say(&format!("{} {message}", style("warning:").for_stderr().yellow()));
            }
            Event::StepFinished { key, outcome: Outcome::Failed { error, .. }, .. } => {
                let title = self.board.title(key);
                self.say(&format!("{} {title}: {error}", style("failed:").for_stderr().red()));
            }
            Event::Cancelling { running } => {
                let text = plain::cancelling(running.iter().map(|key| self.board.title(key)));
                self.say(&text);
            }
            _ => {}
        }
        self.board.hear(event, at);
        if let Event::RunFinished(summary) = event {
            if let Some(drawn) = self.drawn.take() {
                drawn.clear();
            }
            if !summary.told_by_command {
                out::note(&format::summary(summary));
            }
        } else {
            self.update(at);
        }
    }
}
