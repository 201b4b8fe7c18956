//! The log of sessions: who came in, to which container, what was run, how it ended. A line each,
//! with its time. Private: command lines may hold what nobody else should read.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use crate::error::{Result, ResultExt};
use crate::state::files;
use crate::ui;
use crate::ui::repeats::Repeats;

/// Past this, the log becomes `….1` and a new one begins.
const MAX_BYTES: u64 = 8 << 20;

/// The open log.
pub struct Log {
    path: PathBuf,
    file: Mutex<File>,
    echo: bool,
    strangers: Mutex<Repeats>,
}

impl Log {
    /// Opens it for more lines; with `echo` they are shown on standard error too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: &Path, echo: bool) -> Result<Self> {
        files::private_directory(path.parent().unwrap_or(Path::new("/")))?;
        let file = Mutex::new(append_to(path)?);
        Ok(Self { path: path.to_owned(), file, echo, strangers: Mutex::default() })
    }

    /// Writes what anybody can make happen who reaches the port: once a minute for each kind, with how
    /// often it was. Nobody fills a terminal with it, or the log until nothing else is left there.
    pub fn stranger(&self, kind: &str, text: &str) {
        let said = self.strangers().say(kind, text, Instant::now());
        if let Some(text) = said {
            self.line(&text);
        }
    }

    /// Writes what was counted and not written yet.
    pub fn rest(&self) {
        let rest = self.strangers().rest();
        for text in rest {
            self.line(&text);
        }
    }

    fn strangers(&self) -> MutexGuard<'_, Repeats> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line. A disk that is full must not shut anybody out.
    #[allow(clippy::disallowed_methods, reason = "a log that is full, by whoever is first")]
    pub fn line(&self, text: &str) {
        // What clients name must not move the cursor of whoever reads the log.
        let text: String = text.chars().flat_map(shown).collect();
        let line = format!("{} {text}", ui::format::timestamp(SystemTime::now()));
        if self.echo {
            ui::out::note(&line);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata().is_ok_and(|metadata| metadata.len() > MAX_BYTES)
            && std::fs::rename(&self.path, self.path.with_extension("log.1")).is_ok()
            && let Ok(next) = append_to(&self.path)
        {
            *file = next;
        }
        let _ = writeln!(file, "{line}");
    }
}

fn append_to(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .doing(|| format!("open the log {}", path.display()))
}

fn shown(letter: char) -> Vec<char> {
    if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lines_are_private_appended_and_without_control_characters() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway/sessions.log");
        Log::open(&path, false).unwrap().line("one");
        Log::open(&path, false).unwrap().line("two\n\u{1b}[31m");
        let text = std::fs::read_to_string(&path).unwrap();
        let said: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(said, ["one", "two\\n\\u{1b}[31m"]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_long_log_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sessions.log");
        let log = Log::open(&path, false).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        log.line("next");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with(" next\n") && text.lines().count() == 1);
        assert!(directory.path().join("sessions.log.1").exists());
    }

    #[test]
    fn strangers_write_a_line_and_a_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway/sessions.log");
        let log = Log::open(&path, false).unwrap();
        for port in 0..1000 {
            log.stranger("192.0.2.1 too many", &format!("refused 192.0.2.1:{port}"));
        }
        log.rest();
        log.rest();
        let text = std::fs::read_to_string(&path).unwrap();
        let said: Vec<&str> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|it| it.1).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[1].ends_with("refused 192.0.2.1:0 (and 999 times more)"), "{said:?}");
    }
}
