//! What the progress bars show, as a value: which steps run, how far each phase is, how long the
//! rest may take. [`super::bars`] draws it.

use std::time::Duration;

use super::format;
use crate::engine::event::{Event, Phase};
use crate::engine::key::StepKey;

/// How many running steps are named in one line.
const NAMED: usize = 2;

/// One step that is observing or acting.
#[derive(Debug)]
struct Running {
    key: StepKey,
    title: String,
    phase: Phase,
    acting: bool,
    progress: Option<(u64, u64, &'static str)>,
}

impl Running {
    fn text(&self) -> String {
        match self.progress {
            Some((current, total, _)) if total > 0 => {
                format!("{} {} %", self.title, current.saturating_mul(100) / total)
            }
            Some((current, _, "bytes")) => format!("{} {}", self.title, format::bytes(current)),
            Some((current, _, unit)) => format!("{} {current} {unit}", self.title),
            None => self.title.clone(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct PhaseLine {
    pub(super) ended: u64,
    pub(super) steps: u64,
    pub(super) running: String,
}

/// The state of a run, as far as it is shown.
#[derive(Debug, Default)]
pub(super) struct Board {
    phases: Vec<(Phase, u64, u64)>,
    running: Vec<Running>,
    end: Option<Duration>,
}

impl Board {
    pub(super) fn hear(&mut self, event: &Event, at: Duration) {
        match event {
            Event::RunStarted { steps, estimate, .. } => {
                self.phases =
                    steps.iter().map(|(phase, count)| (*phase, 0, *count as u64)).collect();
                self.end = estimate.map(|estimate| at + estimate);
            }
            Event::StepStarted { key, title, phase, .. } => self.running.push(Running {
                key: key.clone(),
                title: title.clone(),
                phase: *phase,
                acting: false,
                progress: None,
            }),
            Event::StepActing { key, .. } => {
                if let Some(running) = self.find(key) {
                    running.acting = true;
                }
            }
            Event::Progress { key, current, total, unit } => {
                if let Some(running) = self.find(key) {
                    running.progress = Some((*current, *total, unit));
                }
            }
            Event::StepFinished { key, .. } => self.finished(key),
            Event::Remaining { estimate } => self.end = Some(at + *estimate),
            _ => {}
        }
    }

    fn find(&mut self, key: &StepKey) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| running.key == *key)
    }

    fn finished(&mut self, key: &StepKey) {
        let Some(position) = self.running.iter().position(|running| running.key == *key) else {
            return;
        };
        let ended = self.running.remove(position);
        if let Some((_, count, _)) =
            self.phases.iter_mut().find(|(phase, ..)| *phase == ended.phase)
        {
            *count += 1;
        }
    }

    /// The phases of the run, in order.
    pub(super) fn phases(&self) -> impl Iterator<Item = Phase> + '_ {
        self.phases.iter().map(|(phase, ..)| *phase)
    }

    pub(super) fn title(&self, key: &StepKey) -> String {
        let running = self.running.iter().find(|running| running.key == *key);
        running.map_or_else(|| key.to_string(), |running| running.title.clone())
    }

    pub(super) fn line(&self, phase: Phase) -> Option<PhaseLine> {
        let (_, ended, steps) = *self.phases.iter().find(|(other, ..)| *other == phase)?;
        let acting: Vec<&Running> =
            self.running.iter().filter(|step| step.phase == phase && step.acting).collect();
        let mut named: Vec<String> = acting.iter().take(NAMED).map(|step| step.text()).collect();
        if acting.len() > NAMED {
            named.push(format!("{} more", acting.len() - NAMED));
        }
        Some(PhaseLine { ended, steps, running: named.join(", ") })
    }

    pub(super) fn end(&self) -> Option<Duration> {
        self.end
    }
}

/// `12 s, about 30 s left`.
pub(super) fn clock(at: Duration, end: Option<Duration>) -> String {
    match end.map(|end| end.saturating_sub(at)) {
        Some(left) if left >= Duration::from_secs(1) => {
            format!("{}, about {} left", whole_seconds(at), whole_seconds(left))
        }
        _ => whole_seconds(at),
    }
}

fn whole_seconds(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..10 => format!("{seconds} s"),
        _ => format::duration(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Outcome, Resource};

    #[test]
    fn shows_what_acts_how_far_it_is_and_what_is_left() {
        let mut board = Board::default();
        let second = Duration::from_secs(1);
        board.hear(
            &Event::RunStarted {
                command: "bootstrap".to_owned(),
                steps: vec![(Phase::Images, 6), (Phase::Services, 1)],
                estimate: Some(40 * second),
            },
            Duration::ZERO,
        );
        assert_eq!(clock(10 * second, board.end()), "10 s, about 30 s left");
        for name in ["a", "b", "c", "d", "e", "f"] {
            let key = StepKey::new(name);
            let title = format!("build {name}");
            let (phase, resource) = (Phase::Images, Resource::Package);
            board.hear(&Event::StepStarted { key, title, phase, resource }, second);
        }
        for name in ["b", "c", "d", "e", "f"] {
            let key = StepKey::new(name);
            board.hear(&Event::StepActing { key, reason: String::new() }, second);
        }
        let progress = |name: &str, current, total, unit| Event::Progress {
            key: StepKey::new(name),
            current,
            total,
            unit,
        };
        board.hear(&progress("b", 9, 20, "packages"), second);
        board.hear(&progress("c", 3 << 20, 0, "bytes"), second);
        let finished = |name: &str| Event::StepFinished {
            key: StepKey::new(name),
            outcome: Outcome::Unchanged,
            elapsed: second,
        };
        board.hear(&finished("a"), second);
        let line = board.line(Phase::Images).unwrap();
        assert_eq!((line.ended, line.steps), (1, 6));
        assert_eq!(line.running, "build b 45 %, build c 3.0 MiB, 3 more");
        assert_eq!(board.line(Phase::Services).unwrap().running, "");
        assert_eq!(board.line(Phase::Host), None);

        board.hear(&Event::Remaining { estimate: 5 * second }, 20 * second);
        assert_eq!(clock(22 * second, board.end()), "22 s, about 3 s left");
        assert_eq!(clock(29 * second, board.end()), "29 s");
    }
}
