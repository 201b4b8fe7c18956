//! Entries of containers' journals as lines: `time container unit: message`.

use console::{Color, Style};
use serde::Serialize;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::harmless::{below_first, one_line};
use crate::model::journal::Entry;
use crate::model::topology::Container;

/// One for each container, in turn.
const COLOURS: [Color; 6] =
    [Color::Cyan, Color::Green, Color::Yellow, Color::Magenta, Color::Blue, Color::White];

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[month repr:short] [day] [hour]:[minute]:[second].[subsecond digits:3]");

#[derive(Clone, Debug)]
pub struct Writer<'a> {
    containers: &'a [Container],
    offset: UtcOffset,
    width: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since the epoch.
    time: f64,
    container: &'a str,
    unit: &'a str,
    pid: Option<u32>,
    priority: u8,
    message: &'a str,
}

impl<'a> Writer<'a> {
    /// For the containers of a cloud. Times are those of this host's zone, which can only be asked
    /// while the process has one thread; otherwise they are UTC.
    pub fn new(containers: &'a [Container]) -> Self {
        let offset = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
        let width = containers.iter().map(|container| container.label().len()).max().unwrap_or(0);
        Self { containers, offset, width }
    }

    fn container(&self, entry: &Entry) -> Option<(usize, &'a Container)> {
        self.containers
            .iter()
            .enumerate()
            .find(|(_, container)| container.machine_id == entry.machine_id)
    }

    /// For people. Further lines of a message stand under its first.
    pub fn line(&self, entry: &Entry) -> String {
        let (name, colour) = match self.container(entry) {
            Some((index, container)) => (container.label(), COLOURS[index % COLOURS.len()]),
            // It was removed, its journal is still there.
            None => (one_line(&plain(&entry.hostname)).into_owned(), Color::White),
        };
        let name = Style::new().fg(colour).apply_to(format!("{name:<width$}", width = self.width));
        let message = match entry.priority {
            0..=3 => Style::new().red(),
            4 => Style::new().yellow(),
            _ => Style::new(),
        }
        .apply_to(below_first(&plain(&entry.message)));
        format!("{} {name} {}: {message}", self.time(entry), one_line(&plain(&entry.unit)))
    }

    fn time(&self, entry: &Entry) -> String {
        let nanoseconds = i128::from(entry.time_us) * 1000;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
            .ok()
            .and_then(|time| time.to_offset(self.offset).format(FORMAT).ok())
            .unwrap_or_default()
    }

    pub fn json(&self, entry: &Entry) -> String {
        let container = self.container(entry);
        #[expect(clippy::cast_precision_loss, reason = "microseconds of this epoch fit")]
        let line = Line {
            time: entry.time_us as f64 / 1e6,
            container: container.map_or(&entry.hostname, |(_, container)| &container.name),
            unit: &entry.unit,
            pid: entry.pid,
            priority: entry.priority,
            message: &entry.message,
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// Without a daemon's own colours. Anybody there may set each of these fields; what else is in them is
/// made harmless on its way out, as everything is.
fn plain(text: &str) -> String {
    console::strip_ansi_codes(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::tests::container;

    #[test]
    fn a_line_says_when_who_and_what() {
        console::set_colors_enabled(false);
        let mut engine = container("heat_engine/1");
        engine.machine_id = "ab".to_owned();
        let containers = [container("galera/2"), engine];
        let writer = Writer { offset: UtcOffset::UTC, ..Writer::new(&containers) };
        let entry = Entry {
            time_us: 1_795_273_919_250_000,
            machine_id: "ab".to_owned(),
            hostname: "aio1-heat-engine".to_owned(),
            unit: "heat-engine".to_owned(),
            pid: Some(42),
            priority: 3,
            message: "\u{1b}[31mTraceback\n  File x\r\n".to_owned(),
        };
        assert_eq!(
            writer.line(&entry),
            "Nov 21 15:11:59.250 heat_engine/1 heat-engine: Traceback\n      File x"
        );
        let value: serde_json::Value = serde_json::from_str(&writer.json(&entry)).unwrap();
        assert_eq!(value["container"], "test_heat_engine_container-1");
        assert_eq!(value["time"], 1_795_273_919.25);
        let removed = Entry { machine_id: "cd".to_owned(), ..entry };
        assert!(writer.line(&removed).contains(" aio1-heat-engine heat-engine: "));
        let forged = "x: \nNov 21 15:12:00.000 galera/2 mariadb".to_owned();
        for line in [
            writer.line(&Entry { unit: forged.clone(), ..removed.clone() }),
            writer.line(&Entry { hostname: forged, message: "y".to_owned(), ..removed }),
        ] {
            assert!(line.lines().skip(1).all(|line| line.starts_with("    ")), "{line}");
        }
    }
}
