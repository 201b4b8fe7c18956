//! Whether a unit can never serve: processes that its main one starts end again and again, each with the
//! same last words.
//!
//! systemd sees the main process alone, and a supervisor of workers goes on for ever. A traceback alone
//! proves nothing: who waits for another prints the same one again and again, and lives.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// How many processes must have ended so.
const ENDS: usize = 3;

/// What begins a traceback of Python's.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// How many lines of those that ended are shown.
const SHOWN: usize = 20;

/// Prints what a unit has said since its last start, then in a line the processes that there are.
pub(super) fn script(unit: &str) -> String {
    let invocation = format!("$(systemctl show --property=InvocationID --value {unit})");
    printing(&format!("--lines=2000 _SYSTEMD_INVOCATION_ID={invocation}"))
}

/// Prints what a unit said last, before its last start too, then in a line the processes that there are.
pub(super) fn script_of_last(unit: &str) -> String {
    printing(&format!("--lines=300 --unit={unit}"))
}

fn printing(selection: &str) -> String {
    format!(
        "journalctl --quiet --no-pager --output=json --output-fields=MESSAGE,_PID {selection}\n\
         cd /proc && echo [0-9]*"
    )
}

/// Returns the last lines of processes that ended: systemd has started others since, whose words are
/// of no interest. `printed` is what [`script_of_last`] prints.
pub(super) fn words_of_ended(printed: &str) -> Option<String> {
    let (entries, alive) = read(printed)?;
    let ended = entries.iter().filter(|entry| !alive.contains(entry.process.as_str()));
    let lines: Vec<&str> =
        ended.flat_map(|entry| entry.message.as_str().unwrap_or_default().lines()).collect();
    let first = lines.len().saturating_sub(SHOWN);
    (!lines.is_empty()).then(|| lines[first..].join("\n"))
}

/// The messages, and the processes that there are.
fn read(printed: &str) -> Option<(Vec<Entry>, BTreeSet<&str>)> {
    let (journal, alive) = printed.trim_end().rsplit_once('\n')?;
    let entries = journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Some((entries, alive.split_whitespace().collect()))
}

/// A message of the journal's. One that is no text is none of Python's.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE")]
    message: serde_json::Value,
    #[serde(rename = "_PID")]
    process: String,
}

/// What one process said.
#[derive(Default)]
struct Words<'a> {
    /// What stands before each line of the traceback that it is in.
    prefix: Option<String>,
    /// The line in which its last traceback ended.
    last: Option<&'a str>,
}

/// Returns the last line of those that ended, if so many ended with it, numbers aside. `printed` is what
/// [`script`] prints.
pub(super) fn last_words_of_ended(printed: &str) -> Option<String> {
    let (entries, alive) = read(printed)?;
    let mut said: BTreeMap<&str, Words> = BTreeMap::new();
    for entry in &entries {
        let words = said.entry(&entry.process).or_default();
        entry.message.as_str().unwrap_or_default().lines().for_each(|line| words.hear(line));
    }
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for (_, words) in said.iter().filter(|(process, _)| !alive.contains(*process)) {
        let Some(last) = words.last else { continue };
        let count = ends.entry(last.replace(|it: char| it.is_ascii_digit(), "#")).or_default();
        *count += 1;
        if *count >= ENDS {
            return Some(last.to_owned());
        }
    }
    None
}

impl<'a> Words<'a> {
    fn hear(&mut self, line: &'a str) {
        if let Some((before, _)) = line.split_once(TRACEBACK) {
            self.prefix = Some(before.trim_end().to_owned());
            return;
        }
        // A logger's prefix stands before each line, and with no space before the last one.
        let Some(prefix) = &self.prefix else { return };
        let text = line.strip_prefix(prefix.as_str()).unwrap_or(line);
        if text.trim().is_empty() || text.starts_with(char::is_whitespace) {
            return;
        }
        self.prefix = None;
        self.last = Some(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(alive: &str, said: &[(u32, &str)]) -> String {
        let line = |(process, text): &(u32, &str)| {
            serde_json::json!({ "_PID": process.to_string(), "MESSAGE": text }).to_string()
        };
        let lines: Vec<String> = said
            .iter()
            .flat_map(|(process, text)| text.lines().map(|line| (*process, line)))
            .map(|said| line(&said))
            .collect();
        format!("{}\n{alive}\n", lines.join("\n"))
    }

    const PLAIN: &str = "Traceback (most recent call last):\n  File \"a.py\", line 1\n    ~~^^\n\
        TooOld: v73 is older than v74\nbye";
    const LOGGED: &str = "CRITICAL nova Unhandled error\n\
        CRITICAL nova Traceback (most recent call last):\nCRITICAL nova   File \"a.py\"\n\
        CRITICAL nova     return x\nCRITICAL novaalembic.CommandError: no 'abc'\nINFO nova on";

    #[test]
    fn three_that_ended_with_the_same_words_are_hopeless() {
        let said = [(7, PLAIN), (1, "Child 7 exited"), (8, PLAIN), (9, PLAIN)];
        let words = last_words_of_ended(&printed("1 16", &said));
        assert_eq!(words.as_deref(), Some("TooOld: v73 is older than v74"));
        assert_eq!(last_words_of_ended(&printed("1 9", &said)), None, "one of them lives");
        assert_eq!(last_words_of_ended(&printed("1", &said[..3])), None);
        let said = [(7, LOGGED), (8, LOGGED), (9, LOGGED)];
        let words = last_words_of_ended(&printed("1", &said));
        assert_eq!(words.as_deref(), Some("alembic.CommandError: no 'abc'"));
    }

    #[test]
    fn what_is_shown_is_of_those_that_ended() {
        let said = [(7, PLAIN), (1, "Child 7 exited"), (8, "starting")];
        let words = words_of_ended(&printed("1 8", &said)).unwrap();
        assert!(words.ends_with("TooOld: v73 is older than v74\nbye"), "{words}");
        assert_eq!(words_of_ended(&printed("1 7 8", &said)), None);
        let long = "x\n".repeat(50);
        assert_eq!(words_of_ended(&printed("", &[(7, &long)])).unwrap().lines().count(), SHOWN);
    }

    #[test]
    fn one_that_repeats_itself_and_others_that_end_otherwise_are_not() {
        let again = PLAIN.repeat(5);
        assert_eq!(
            last_words_of_ended(&printed("1", &[(7, &again), (8, LOGGED), (9, "TooOld: x")])),
            None
        );
        assert_eq!(last_words_of_ended("not JSON\n1 2 3\n"), None);
        assert_eq!(last_words_of_ended(""), None);
    }
}
