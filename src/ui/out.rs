//! The only way to standard output, and for lines to standard error. Text is made fit for a
//! terminal ([`harmless`]), whoever wrote it; JSON and other data for programs go as they are. A
//! reader that goes away (`aio ls | head -1`) is no error: what follows is dropped, and [`closed`]
//! tells commands that never end by themselves to stop.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::harmless::{escaped, harmless};
use crate::error::{Error, Result, ResultExt};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes text for people.
///
/// # Errors
/// When it cannot be written for another reason than a closed pipe (a full disk).
pub fn text(text: &str) -> Result<()> {
    data(&harmless(text))
}

/// Writes text for programs, as it is.
pub fn data(text: &str) -> Result<()> {
    if closed() {
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        Err(error) => Err(Error::failed("write to standard output").because(error)),
    }
}

pub fn line(line: &str) -> Result<()> {
    text(&format!("{line}\n"))
}

/// Writes a value as indented JSON with a newline.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).doing(|| "write the result as JSON".to_owned())?;
    json_line(&text)
}

pub fn json_line(line: &str) -> Result<()> {
    data(&format!("{}\n", escaped(line)))
}

/// Whether the reader of standard output has gone.
pub fn closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Writes a line for people to standard error. There is nowhere to report that it failed.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", harmless(line));
}

/// Writes a line of JSON to standard error.
pub fn json_note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", escaped(line));
}
