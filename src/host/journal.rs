//! The containers' journals, read by stock `journalctl`: it merges them in order of time, follows
//! them, and knows how people write times. Works for containers that are stopped. It reads files that
//! containers write, so it runs without rights ([`crate::lxc::view`]).

use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::error::{Error, Result, ResultExt};
use crate::lxc::syscall::in_own_session;
use crate::lxc::{bounded, process, view};
use crate::model::journal::Entry;

/// The fields that are asked for; `journalctl` adds the time by itself.
const FIELDS: &str =
    "_MACHINE_ID,_HOSTNAME,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER,_PID,PRIORITY,MESSAGE";

/// How many entries following begins with.
const TAIL_LINES: u32 = 10;
/// How often following asks for what has come.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);

/// How much later than a younger one an entry may arrive, in microseconds.
const LATE_US: u64 = 2_000_000;

/// The longest line of `journalctl`'s that is read.
const LARGEST_ENTRY_BYTES: usize = 4 << 20;

/// How much of the last entries is kept at once, in bytes: a container may write what it likes.
const MOST_KEPT_BYTES: usize = 16 << 20;

/// The last entries, as far as there is room for them.
#[derive(Default)]
struct Last {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Last {
    fn push(&mut self, entry: Entry) {
        self.bytes += size_bytes(&entry);
        self.entries.push_back(entry);
        while self.bytes > MOST_KEPT_BYTES && self.entries.len() > 1 {
            self.drop_first();
        }
    }

    /// Those at the beginning that are older go.
    fn forget_before(&mut self, time_us: u64) {
        while self.entries.front().is_some_and(|entry| entry.time_us < time_us) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        self.bytes -= self.entries.pop_front().as_ref().map_or(0, size_bytes);
    }
}

fn size_bytes(entry: &Entry) -> usize {
    size_of::<Entry>() + entry.message.len() + entry.unit.len() + entry.hostname.len()
}

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Machine ids of the containers; all without one.
    pub machine_ids: Vec<String>,
    /// Whether to wait for what comes.
    pub follow: bool,
    /// Since when, as `journalctl` understands it, or `10m`, `2h`, `3d`: so long ago.
    pub since: Option<String>,
    /// A regular expression on messages.
    pub grep: Option<String>,
    /// Only the last of them.
    pub lines: Option<u32>,
}

impl Query {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--directory={}", view::PLACE),
            "--output=json".to_owned(),
            format!("--output-fields={FIELDS}"),
            // Long fields too.
            "--all".to_owned(),
            "--no-pager".to_owned(),
            "--quiet".to_owned(),
        ];
        if let Some(lines) = self.lines {
            arguments.push(format!("--lines={lines}"));
        }
        if let Some(since) = &self.since {
            arguments.push(format!("--since={}", relative(since)));
        }
        if let Some(grep) = &self.grep {
            arguments.push(format!("--grep={grep}"));
        }
        // Several matches of one field mean any of them.
        arguments.extend(self.machine_ids.iter().map(|id| format!("_MACHINE_ID={id}")));
        arguments
    }
}

/// `10m` is ten minutes ago; everything else is for `journalctl` to understand.
fn relative(since: &str) -> String {
    let digits = since.trim_end_matches(['s', 'm', 'h', 'd', 'w']);
    let is_span = !digits.is_empty()
        && since.len() == digits.len() + 1
        && digits.chars().all(|digit| digit.is_ascii_digit());
    if is_span { format!("-{since}") } else { since.to_owned() }
}

/// Reads entries in order of time and gives each to `each` until that says `false` or, unless the
/// query follows, there are no more.
///
/// Following asks again and again for what has come since: `journalctl --follow` over the journals
/// of several machines wakes up and shows nothing (seen with systemd 252).
///
/// # Errors
/// When there is no `journalctl`, or it fails; and those of `each`.
pub fn read(
    directory: &Path,
    query: &Query,
    mut each: impl FnMut(Entry) -> Result<bool>,
) -> Result<()> {
    let mut newest_us = 0;
    // What was shown last: the next question begins a little earlier again, since a container's
    // entry may arrive after a younger one of another.
    let mut shown = Last::default();
    let mut wanted = query.clone();
    if wanted.follow && wanted.lines.is_none() && wanted.since.is_none() {
        wanted.lines = Some(TAIL_LINES);
    }
    loop {
        let mut goes_on = true;
        let mut give = |entry: Entry| {
            if shown.entries.contains(&entry) {
                return Ok(true);
            }
            // A container's clock is its own affair: what it says of the future is no reason to wait.
            newest_us = newest_us.max(entry.time_us.min(now_us()));
            if query.follow {
                shown.push(entry.clone());
                shown.forget_before(newest_us.saturating_sub(LATE_US));
            }
            goes_on = each(entry)?;
            Ok(goes_on)
        };
        if wanted.lines.is_some() {
            // With `--lines` and `--grep` journalctl turns the order round.
            let mut last = Last::default();
            read_once(directory, &wanted, |entry| {
                last.push(entry);
                Ok(true)
            })?;
            last.entries.make_contiguous().sort_by_key(|entry| entry.time_us);
            for entry in last.entries {
                if !give(entry)? {
                    return Ok(());
                }
            }
        } else {
            read_once(directory, &wanted, give)?;
        }
        if !query.follow || !goes_on {
            return Ok(());
        }
        std::thread::sleep(FOLLOW_INTERVAL);
        if newest_us > 0 {
            let from_us = newest_us.saturating_sub(LATE_US);
            let (seconds, micros) = (from_us / 1_000_000, from_us % 1_000_000);
            wanted.since = Some(format!("@{seconds}.{micros:06}"));
            wanted.lines = None;
        }
    }
}

/// Microseconds since the epoch.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn read_once(
    directory: &Path,
    query: &Query,
    mut each: impl FnMut(Entry) -> Result<bool>,
) -> Result<()> {
    let mut command = process::own(view::COMMAND);
    command
        // How people write times.
        .envs(
            ["PATH", "TZ"]
                .iter()
                .filter_map(|name| std::env::var_os(name).map(|value| (name, value))),
        )
        .arg(directory)
        .arg("journalctl")
        .args(query.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child =
        in_own_session(&mut command).spawn().doing(|| "start `journalctl`".to_owned())?;
    let mut outcome = Ok(true);
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        // An entry that does not fit is no entry; whoever wrote it wrote it to fill memory.
        while let Ok(Some(line)) = bounded::line(&mut output, LARGEST_ENTRY_BYTES) {
            let Some(entry) = parse(&String::from_utf8_lossy(&line)) else { continue };
            outcome = each(entry);
            if !matches!(outcome, Ok(true)) {
                let _ = child.kill();
                break;
            }
        }
    }
    let stopped = !matches!(outcome, Ok(true));
    outcome?;
    let ended = end(child);
    if stopped { Ok(()) } else { ended }
}

/// It exits with 1 when nothing matched, and says nothing then.
fn end(mut child: Child) -> Result<()> {
    let mut said = String::new();
    if let Some(mut errors) = child.stderr.take() {
        let _ = errors.by_ref().take(LARGEST_ENTRY_BYTES as u64).read_to_string(&mut said);
    }
    let status = child.wait().doing(|| "wait for `journalctl`".to_owned())?;
    if status.success() || said.trim().is_empty() {
        Ok(())
    } else {
        let error = Error::failed("read the journals").because(said.trim());
        if status.code() == Some(127) {
            return Err(error.hint("It is part of systemd: install the package `systemd`."));
        }
        Err(error)
    }
}

/// One line of `--output=json`; none for what is no entry.
/// An entry, of a line of `journalctl --output=json`.
pub fn parse(line: &str) -> Option<Entry> {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(line).ok()?;
    let field = |name: &str| fields.get(name).and_then(text);
    let unit = field("UNIT").or_else(|| field("_SYSTEMD_UNIT"));
    let unit = unit.map(|unit| unit.trim_end_matches(".service").to_owned());
    Some(Entry {
        time_us: field("__REALTIME_TIMESTAMP")?.parse().ok()?,
        machine_id: field("_MACHINE_ID").unwrap_or_default(),
        hostname: field("_HOSTNAME").unwrap_or_default(),
        unit: unit.or_else(|| field("SYSLOG_IDENTIFIER")).unwrap_or_else(|| "kernel".to_owned()),
        pid: field("_PID").and_then(|pid| pid.parse().ok()),
        priority: field("PRIORITY").and_then(|priority| priority.parse().ok()).unwrap_or(6),
        message: field("MESSAGE").unwrap_or_default(),
    })
}

/// A field is a string, its bytes when it is no text, or a list when the entry has it twice.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let bytes: Option<Vec<u8>> = items
                .iter()
                .map(|item| item.as_u64().and_then(|number| u8::try_from(number).ok()))
                .collect();
            match bytes {
                Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                None => items.first().and_then(text),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_journalctl() {
        let query = Query {
            machine_ids: vec!["ab".to_owned(), "cd".to_owned()],
            follow: true,
            since: Some("10m".to_owned()),
            grep: Some("err.r".to_owned()),
            lines: None,
        };
        let arguments = query.arguments();
        assert_eq!(arguments[0], format!("--directory={}", view::PLACE));
        assert_eq!(
            arguments[6..],
            ["--since=-10m", "--grep=err.r", "_MACHINE_ID=ab", "_MACHINE_ID=cd"]
        );
    }

    #[test]
    fn of_what_is_long_the_last_is_kept() {
        let entry = |time_us| Entry { time_us, message: "x".repeat(4 << 20), ..Entry::default() };
        let mut last = Last::default();
        (0..300).for_each(|time_us| last.push(entry(time_us)));
        let times: Vec<u64> = last.entries.iter().map(|entry| entry.time_us).collect();
        assert_eq!(times, [297, 298, 299]);
        last.forget_before(299);
        assert_eq!((last.entries.len(), last.bytes), (1, size_bytes(&entry(299))));
    }

    #[test]
    fn short_spans_are_ago_and_the_rest_is_left_alone() {
        assert_eq!(relative("90s"), "-90s");
        for since in ["yesterday", "15:00", "-10m", "10 minutes ago", "m", "10ms", "2026-11-21"] {
            assert_eq!(relative(since), since);
        }
    }

    #[test]
    fn entries_are_read_whatever_their_fields_look_like() {
        let entry = parse(
            r#"{"__REALTIME_TIMESTAMP":"7","_MACHINE_ID":"ab","_HOSTNAME":"h","_PID":"42",
            "_SYSTEMD_UNIT":"heat-engine.service","PRIORITY":"3","MESSAGE":[98,105,110,255]}"#,
        )
        .unwrap();
        let expected = Entry {
            time_us: 7,
            machine_id: "ab".to_owned(),
            hostname: "h".to_owned(),
            unit: "heat-engine".to_owned(),
            pid: Some(42),
            priority: 3,
            message: "bin\u{fffd}".to_owned(),
        };
        assert_eq!(entry, expected);
        // What systemd says about a unit belongs to the unit; a field may come twice or be null.
        let entry = parse(
            r#"{"__REALTIME_TIMESTAMP":"8","_SYSTEMD_UNIT":"init.scope","UNIT":["a.service","b"],
            "MESSAGE":null}"#,
        )
        .unwrap();
        assert_eq!((entry.unit.as_str(), entry.message.as_str()), ("a", ""));
        assert_eq!(parse("-- No entries --"), None);
    }
}
