//! What a test suite prints: the Test Anything Protocol, read line by line.
//!
//! ```text
//! 1..2
//! ok 1 - tests.token # time=0.8
//! not ok 2 - tests.server
//!   ---
//!   Traceback (most recent call last):
//!   …
//!   ...
//! ```
//!
//! It is old, small, and made by many tools, so a suite needs no reader of its own here. Read
//! generously: numbers are not compared and the plan is an estimate, since suites leave out whole
//! classes of tests, or add a result for one that could not be set up.

use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::model::duration::seconds;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    Failed,
    Skipped,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Test {
    pub name: String,
    pub result: Verdict,
    /// How long it took, if the suite says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it said, the traceback of a failure above all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A test has ended: the last of [`Tap::tests`].
    Test,
    /// More about it, or about the run.
    More,
    /// Nothing of the protocol.
    Nothing,
}

/// What a suite has said so far.
#[derive(Clone, Debug, Default)]
pub struct Tap {
    /// How many tests there will be, as far as the suite knows.
    pub planned: u64,
    pub tests: Vec<Test>,
    /// Why the suite gave up.
    pub given_up: Option<String>,
    in_block: bool,
}

impl Tap {
    pub fn line(&mut self, line: &str) -> Told {
        if self.in_block {
            self.block_line(line);
            return Told::More;
        }
        if line == "  ---" && !self.tests.is_empty() {
            self.in_block = true;
            return Told::More;
        }
        if let Some(planned) = line.strip_prefix("1..").and_then(number) {
            self.planned = planned;
            return Told::More;
        }
        if let Some(reason) = line.strip_prefix("Bail out!") {
            self.given_up = Some(reason.trim().to_owned());
            return Told::More;
        }
        let (passed, rest) = match (line.strip_prefix("not ok"), line.strip_prefix("ok")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Told::Nothing,
        };
        if !rest.is_empty() && !rest.starts_with(' ') {
            return Told::Nothing;
        }
        self.tests.push(test(passed, rest));
        Told::Test
    }

    fn block_line(&mut self, line: &str) {
        if line == "  ..." {
            self.in_block = false;
            return;
        }
        if let Some(test) = self.tests.last_mut() {
            test.details.push_str(line.strip_prefix("  ").unwrap_or(line));
            test.details.push('\n');
        }
    }

    pub fn count(&self, verdict: Verdict) -> usize {
        self.tests.iter().filter(|test| test.result == verdict).count()
    }
}

fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// ` 3 - NAME # DIRECTIVE`.
fn test(passed: bool, rest: &str) -> Test {
    let (described, directive) = match rest.rsplit_once(" # ") {
        Some((described, directive)) => (described, directive.trim()),
        None => (rest, ""),
    };
    let described = described.trim_start();
    let described = described.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let described = described.trim_start();
    let name = described.strip_prefix("- ").unwrap_or(described).trim().to_owned();
    let skipped = directive.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("skip"));
    let reason = skipped.then(|| directive[4..].trim_start_matches(':').trim().to_owned());
    let seconds = directive.strip_prefix("time=").map(|time| time.trim_end_matches('s'));
    let result = match (skipped, passed) {
        (true, _) => Verdict::Skipped,
        (false, true) => Verdict::Passed,
        (false, false) => Verdict::Failed,
    };
    Test {
        name,
        result,
        seconds: seconds.and_then(|time| time.trim().parse().ok()),
        reason: reason.filter(|reason| !reason.is_empty()),
        details: String::new(),
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Results {
    pub suite: String,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    #[serde(serialize_with = "seconds")]
    pub seconds: Duration,
    /// Every test, in the order in which they ended.
    pub tests: Vec<Test>,
    /// Why the command ends with an error.
    #[serde(skip)]
    pub error: Option<Error>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Tap {
        let mut tap = Tap::default();
        for line in text.lines() {
            tap.line(line);
        }
        tap
    }

    #[test]
    fn a_run_with_everything() {
        let tap = read(
            "TAP version 13\n1..4\nok 1 - a.b[id-1,smoke] # time=0.8\nstray\nnot ok 2 - c\n  ---\n  \
             Traceback:\n    line 3\n  ...\nok 3 - d # SKIP no nova here\nok 4 e\n",
        );
        assert_eq!(tap.planned, 4);
        let seen: Vec<(&str, Verdict)> =
            tap.tests.iter().map(|test| (test.name.as_str(), test.result)).collect();
        assert_eq!(
            seen,
            [
                ("a.b[id-1,smoke]", Verdict::Passed),
                ("c", Verdict::Failed),
                ("d", Verdict::Skipped),
                ("e", Verdict::Passed),
            ]
        );
        assert_eq!(tap.tests[0].seconds, Some(0.8));
        assert_eq!(tap.tests[1].details, "Traceback:\n  line 3\n");
        assert_eq!(tap.tests[2].reason.as_deref(), Some("no nova here"));
        assert_eq!(tap.count(Verdict::Passed), 2);
        assert_eq!(tap.given_up, None);
    }

    #[test]
    fn lines_are_told_apart() {
        let mut tap = Tap::default();
        assert_eq!(tap.line("okay"), Told::Nothing);
        assert_eq!(tap.line("  ---"), Told::Nothing);
        assert_eq!(tap.line("not ok"), Told::Test);
        assert_eq!(tap.line("  ---"), Told::More);
        assert_eq!(tap.line("ok 2 - said by the test"), Told::More);
        assert_eq!(tap.line("  ..."), Told::More);
        assert_eq!(tap.line("Bail out! no token"), Told::More);
        assert_eq!(tap.given_up.as_deref(), Some("no token"));
        assert_eq!(tap.tests.len(), 1);
        assert_eq!(tap.tests[0].details, "ok 2 - said by the test\n");
    }
}
