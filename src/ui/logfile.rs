//! The log file of a run: every event with its time, and what the program traces. It is private:
//! output of tools may hold what nobody else should read.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tracing_subscriber::fmt::MakeWriter;

use super::format;
use super::harmless::harmless;
use crate::engine::event::{Event, Outcome};
use crate::engine::listen::Listener;
use crate::error::{Result, ResultExt};
use crate::model::paths::Paths;
use crate::state::files;

const KEPT: usize = 20;

/// Where this process writes its log: the report of an error names it.
static CURRENT: OnceLock<PathBuf> = OnceLock::new();

/// The log file that this process writes, if there is one.
pub fn current() -> Option<&'static Path> {
    CURRENT.get().map(PathBuf::as_path)
}

/// An open log file; its clones write to the same.
#[derive(Clone, Debug)]
pub struct LogFile {
    file: Arc<Mutex<File>>,
}

impl LogFile {
    /// Creates `TIME-COMMAND.log` and removes the oldest beyond [`KEPT`].
    pub fn create(paths: &Paths, command: &str) -> Result<Self> {
        let directory = paths.log_dir();
        files::prepare(paths)?;
        files::private_directory(&directory)?;
        remove_oldest(&directory);
        let name = format!("{}-{command}.log", format::timestamp(SystemTime::now()));
        let path = directory.join(name);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .doing(|| format!("make the log {}", path.display()))?;
        // Set once: a process runs one command.
        let _ = CURRENT.set(path);
        Ok(Self { file: Arc::new(Mutex::new(file)) })
    }

    /// A log that cannot be written (a full disk) must not stop what it tells about.
    fn line(&self, line: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{}", harmless(line));
    }
}

/// Leaves room for one more. Names sort by time.
fn remove_oldest(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut logs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort_unstable();
    let surplus = (logs.len() + 1).saturating_sub(KEPT);
    for path in &logs[..surplus] {
        let _ = fs::remove_file(path);
    }
}

impl Listener for LogFile {
    fn hear(&mut self, event: &Event, at: Duration) {
        let text = match event {
            // The output of tools tells how far they are.
            Event::Progress { .. } | Event::Remaining { .. } => return,
            Event::RunStarted { command, steps, .. } => {
                let count: usize = steps.iter().map(|(_, count)| count).sum();
                format!("{command}: {count} steps")
            }
            Event::StepStarted { key, title, .. } => format!("{key}: look: {title}"),
            Event::StepActing { key, reason } => format!("{key}: act: {reason}"),
            Event::Output { key, line } => format!("{key} | {line}"),
            Event::StepFinished { key, outcome, elapsed } => {
                format!("{key}: {} ({:.3} s)", format::outcome(outcome), elapsed.as_secs_f64())
            }
            Event::Warning { message } => format!("warning: {message}"),
            Event::Cancelling { running } => {
                let keys: Vec<String> = running.iter().map(ToString::to_string).collect();
                format!("interrupted while: {}", keys.join(", "))
            }
            Event::RunFinished(summary) => format::summary(summary),
        };
        let at = at.as_secs_f64();
        if let Event::StepFinished {
            key,
            outcome: Outcome::Failed { output: Some(output), .. },
            ..
        } = event
        {
            for line in output.lines() {
                self.line(&format!("{at:9.3} {key} | {line}"));
            }
        }
        self.line(&format!("{at:9.3} {text}"));
    }
}

impl Write for LogFile {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::engine::key::StepKey;

    #[test]
    fn is_private_and_the_last_twenty_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        fs::create_dir_all(paths.log_dir()).unwrap();
        for number in 0..30 {
            fs::write(paths.log_dir().join(format!("200001{number:02}T000000Z-x.log")), "")
                .unwrap();
        }
        let mut log = LogFile::create(&paths, "bootstrap").unwrap();
        log.hear(
            &Event::Output { key: StepKey::new("layer/base"), line: "unpack\u{7}ing".to_owned() },
            Duration::from_millis(1500),
        );
        log.hear(
            &Event::StepFinished {
                key: StepKey::new("layer/base"),
                outcome: Outcome::Failed {
                    error: "build it: no disk".to_owned(),
                    output: Some("one\ntwo".to_owned()),
                },
                elapsed: Duration::from_secs(2),
            },
            Duration::from_secs(2),
        );
        let mut names: Vec<String> = fs::read_dir(paths.log_dir())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names.len(), 20);
        assert_eq!(names[0], "20000111T000000Z-x.log");
        assert!(names[19].ends_with("Z-bootstrap.log"));
        let path = paths.log_dir().join(&names[19]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "    1.500 layer/base | unpack\u{fffd}ing\n    \
                 2.000 layer/base | one\n    \
                 2.000 layer/base | two\n    \
                 2.000 layer/base: failed: build it: no disk (2.000 s)\n"
        );
    }
}
