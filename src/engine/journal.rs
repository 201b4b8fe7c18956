//! What was being done, written down before it is done. A run that was killed is named by the next
//! one; whoever looks for the cause of a half-made thing finds the step, its reason and its time.
//! Nothing is ever decided by it: what is done is observed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::engine::key::StepKey;
use crate::error::{Result, ResultExt};
use crate::state::files;

/// Begun anew when it is larger than this.
const LARGEST_BYTES: usize = 1 << 20;

#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    /// Seconds since the epoch.
    time: f64,
    pid: u32,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum What {
    RunStarted { command: String },
    Acting { step: String, reason: String },
    Finished { step: String, outcome: String },
    RunFinished,
}

/// A run that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    pub command: String,
    /// Steps that were acting.
    pub acting: Vec<String>,
}

#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens the journal for a run of `command` and says what an earlier run left unfinished.
    pub fn open(path: &Path, command: &str) -> Result<(Self, Option<Unfinished>)> {
        let doing = || format!("open the journal {}", path.display());
        if let Some(directory) = path.parent() {
            files::private_directory(directory)?;
        }
        let text = std::fs::read(path).unwrap_or_default();
        let unfinished = unfinished(&String::from_utf8_lossy(&text));
        let file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(path).doing(doing)?;
        if text.len() > LARGEST_BYTES {
            file.set_len(0).doing(doing)?;
        }
        let mut journal = Self { file };
        // A line that a power cut left half-written must not swallow the next one.
        if text.last().is_some_and(|last| *last != b'\n') {
            journal.file.write_all(b"\n").doing(doing)?;
        }
        journal.write(What::RunStarted { command: command.to_owned() }).doing(doing)?;
        Ok((journal, unfinished))
    }

    pub fn acting(&mut self, key: &StepKey, reason: &str) -> std::io::Result<()> {
        self.write(What::Acting { step: key.to_string(), reason: reason.to_owned() })
    }

    pub fn finished(&mut self, key: &StepKey, outcome: &str) -> std::io::Result<()> {
        self.write(What::Finished { step: key.to_string(), outcome: outcome.to_owned() })
    }

    /// The run came to its end, well or not.
    pub fn run_finished(&mut self) -> std::io::Result<()> {
        self.write(What::RunFinished)
    }

    /// One `write` for each line: lines of a killed process are whole or absent.
    fn write(&mut self, what: What) -> std::io::Result<()> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut line = serde_json::to_vec(&Entry { time, pid: std::process::id(), what })?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

/// What the last run of a journal left unfinished. Lines that cannot be read are passed over.
fn unfinished(text: &str) -> Option<Unfinished> {
    let mut last: Option<Unfinished> = None;
    for entry in text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()) {
        match entry.what {
            What::RunStarted { command } => {
                last = Some(Unfinished { command, acting: Vec::new() });
            }
            What::Acting { step, .. } => {
                if let Some(run) = &mut last {
                    run.acting.push(step);
                }
            }
            What::Finished { step, .. } => {
                if let Some(run) = &mut last {
                    run.acting.retain(|acting| *acting != step);
                }
            }
            What::RunFinished => last = None,
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_run_is_named_by_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/steps.jsonl");
        let (mut journal, before) = Journal::open(&path, "bootstrap").unwrap();
        assert_eq!(before, None);
        journal.acting(&StepKey::new("a"), "absent").unwrap();
        journal.acting(&StepKey::new("b"), "absent").unwrap();
        journal.finished(&StepKey::new("a"), "changed").unwrap();
        drop(journal);
        // As a power cut may leave it.
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"time\":1.0,\"pi")
            .unwrap();

        let (mut journal, before) = Journal::open(&path, "bootstrap").unwrap();
        let expected = Unfinished { command: "bootstrap".to_owned(), acting: vec!["b".to_owned()] };
        assert_eq!(before, Some(expected));
        journal.acting(&StepKey::new("b"), "half-made").unwrap();
        journal.finished(&StepKey::new("b"), "changed").unwrap();
        journal.run_finished().unwrap();
        assert_eq!(Journal::open(&path, "plan").unwrap().1, None);
    }
}
