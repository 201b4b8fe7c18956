//! What liblxc wrote to a container's log file: the only text that says why a start failed.

use std::io::Write;
use std::path::Path;

use super::bounded;

/// One that is longer gives way to a new one; the one before it is kept.
const LARGEST_LOG_BYTES: u64 = 1 << 20;

/// Length of the file now, to read later only what came after.
pub fn length(path: &Path) -> u64 {
    path.metadata().map(|metadata| metadata.len()).unwrap_or(0)
}

/// The messages of level ERROR written after `start`, first (innermost) first.
pub fn errors_since(path: &Path, start: u64) -> Vec<String> {
    let text = bounded::tail(path, start, LARGEST_LOG_BYTES).unwrap_or_default();
    errors(&String::from_utf8_lossy(&text))
}

/// Keeps the file from growing for ever.
#[allow(clippy::disallowed_methods, reason = "a log that is full, by whoever is first")]
pub fn rotate(path: &Path) {
    if length(path) > LARGEST_LOG_BYTES {
        // It may be gone; another process may have been faster.
        let _ = std::fs::rename(path, path.with_extension("log.1"));
    }
}

/// Appends a message in liblxc's own format, so that all causes stand in one file.
pub fn append(path: &Path, program: &str, name: &str, message: &str) {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
    if let Ok(mut file) = opened {
        // The message is also on standard error: a log that cannot be written hides nothing.
        let _ = writeln!(file, "{program} {name} - ERROR    aio - {program}:- - {message}");
    }
}

/// `lxc-start NAME 2026… ERROR    conf - ../src/lxc/conf.c:run_buffer:322 - MESSAGE`
fn errors(text: &str) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some((_, rest)) = line.split_once(" ERROR ") else { continue };
        let message = rest.splitn(3, " - ").nth(2).unwrap_or(rest).trim().to_owned();
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_without_their_preamble_and_repeats() {
        let text = "aio x 20261121150708.835 INFO     lsm - ../src/lxc/lsm.c:init:38 - nop\n\
            aio x 20261121150708.845 ERROR    conf - ../src/lxc/conf.c:run_buffer:322 - Script \
            exited with status 1 - really\n\
            aio x 20261121150708.845 ERROR    conf - ../src/lxc/conf.c:run_buffer:322 - Script \
            exited with status 1 - really\n";
        assert_eq!(errors(text), ["Script exited with status 1 - really"]);
    }

    #[test]
    fn a_long_log_gives_way_to_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lxc.log");
        append(&path, "hook", "x", "short");
        rotate(&path);
        assert!(length(&path) > 0);
        std::fs::write(&path, vec![b'x'; 2 << 20]).unwrap();
        rotate(&path);
        assert_eq!((length(&path), length(&path.with_extension("log.1"))), (0, 2 << 20));
    }

    #[test]
    fn appended_messages_are_found_from_an_offset_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        append(&path, "hook", "x", "first");
        let start = length(&path);
        append(&path, "hook", "x", "mount overlay: no space");
        assert_eq!(errors_since(&path, start), ["mount overlay: no space"]);
    }
}
