//! Samples in a file, and a table of them.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::process::shell;

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// The median must not be above.
    AtMost(f64),
    /// The worst must not be above.
    NeverAbove(f64),
}

struct Row {
    what: String,
    target: Target,
    unit: &'static str,
    /// Pairs: what is measured, and what it is divided by.
    samples: Vec<(f64, f64)>,
}

/// All figures of one run.
pub struct Table {
    wanted: Vec<String>,
    rows: Vec<Row>,
    paces: Vec<f64>,
    file: File,
    path: String,
}

/// Seconds of a fixed piece of work on one processor. Virtual machines share theirs with others: it
/// tells apart what was slow in `aio` from what was slow beside it.
fn pace() -> f64 {
    let started = Instant::now();
    shell("python3 -c 'total = 0\nfor number in range(3_000_000): total += number'");
    started.elapsed().as_secs_f64()
}

impl Table {
    /// With the words that choose figures by name; none chooses all.
    pub fn new(wanted: Vec<String>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/target/figures");
        fs::create_dir_all(directory).unwrap();
        let path = format!("{directory}/{now}.jsonl");
        let file = File::create(&path).unwrap();
        Self { wanted, rows: Vec::new(), paces: Vec::new(), file, path }
    }

    /// How often a figure is to be taken: `count`, or not at all when others were asked for.
    pub fn times(&self, what: &str, count: usize) -> usize {
        let chosen = self.wanted.is_empty() || self.wanted.iter().any(|word| what.contains(word));
        if chosen { count } else { 0 }
    }

    /// Whether nothing was asked for but figures with one of these words in their names.
    pub fn is_only(&self, words: &[&str]) -> bool {
        let is_of = |wanted: &String| words.iter().any(|word| wanted.contains(word));
        !self.wanted.is_empty() && self.wanted.iter().all(is_of)
    }

    /// A sample of a duration.
    pub fn seconds(&mut self, what: &str, target: Target, took: Duration) {
        self.add(what, target, "s", (took.as_secs_f64(), 1.0));
    }

    /// A sample of a number.
    pub fn number(&mut self, what: &str, target: Target, unit: &'static str, value: f64) {
        self.add(what, target, unit, (value, 1.0));
    }

    /// A sample of two durations, whose medians are divided by one another.
    pub fn pair(&mut self, what: &str, target: Target, ours: Duration, theirs: Duration) {
        self.add(what, target, "x", (ours.as_secs_f64(), theirs.as_secs_f64()));
    }

    fn add(&mut self, what: &str, target: Target, unit: &'static str, sample: (f64, f64)) {
        let pace = pace();
        self.paces.push(pace);
        let (value, against) = sample;
        let line =
            json!({"what": what, "value": value, "against": against, "unit": unit, "pace": pace});
        writeln!(self.file, "{line}").unwrap();
        println!("{what}: {} (pace {pace:.2} s)", shown(sample.0 / sample.1, unit));
        if let Some(row) = self.rows.iter_mut().find(|row| row.what == what) {
            row.samples.push(sample);
        } else {
            self.rows.push(Row { what: what.to_owned(), target, unit, samples: vec![sample] });
        }
    }

    /// Keeps something beside the samples: every request of a load.
    pub fn note(&mut self, what: &str, detail: &serde_json::Value) {
        writeln!(self.file, "{}", json!({"what": what, "detail": detail})).unwrap();
    }

    /// Prints the table. Whether every target was reached.
    pub fn print(&self) -> bool {
        let mut all = true;
        println!("\n{:<52} {:>10} {:>10} {:>10} {:>3}", "what", "to reach", "median", "worst", "n");
        for row in &self.rows {
            let median = row.median();
            let worst = row.samples.iter().map(|(value, by)| value / by).fold(0.0, f64::max);
            let (limit, measured) = match row.target {
                Target::AtMost(limit) => (limit, median),
                Target::NeverAbove(limit) => (limit, worst),
            };
            let reached = measured <= limit;
            all &= reached;
            println!(
                "{:<52} {:>10} {:>10} {:>10} {:>3}  {}",
                row.what,
                format!("<= {}", shown(limit, row.unit)),
                shown(median, row.unit),
                shown(worst, row.unit),
                row.samples.len(),
                if reached { "ok" } else { "MISSED" }
            );
        }
        let best = self.paces.iter().copied().fold(f64::INFINITY, f64::min);
        let worst = self.paces.iter().copied().fold(0.0, f64::max);
        println!("\npace, the same work after every sample: {best:.2} to {worst:.2} s");
        println!("raw samples: {}", self.path);
        all
    }
}

impl Row {
    fn median(&self) -> f64 {
        let of = |part: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = self.samples.iter().map(part).collect();
            values.sort_by(f64::total_cmp);
            let middle = values.len() / 2;
            if values.len() % 2 == 1 {
                values[middle]
            } else {
                f64::midpoint(values[middle - 1], values[middle])
            }
        };
        of(|sample| sample.0) / of(|sample| sample.1)
    }
}

fn shown(value: f64, unit: &str) -> String {
    match unit {
        "s" | "x" => format!("{value:.2} {unit}"),
        "%" => format!("{value:.1} %"),
        _ => format!("{value:.0} {unit}"),
    }
}
