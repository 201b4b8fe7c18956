//! What liblxc wrote to a container's log file: the only text that says why a start failed.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Length of the file now, to read later only what came after.
pub fn length(path: &Path) -> u64 {
    path.metadata().map(|metadata| metadata.len()).unwrap_or(0)
}

/// The messages of level ERROR written after `start`, first (innermost) first.
pub fn errors_since(path: &Path, start: u64) -> Vec<String> {
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut text)
    });
    if read.is_err() {
        return Vec::new();
    }
    errors(&String::from_utf8_lossy(&text))
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
    fn appended_messages_are_found_from_an_offset_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        append(&path, "hook", "x", "first");
        let start = length(&path);
        append(&path, "hook", "x", "mount overlay: no space");
        assert_eq!(errors_since(&path, start), ["mount overlay: no space"]);
    }
}
