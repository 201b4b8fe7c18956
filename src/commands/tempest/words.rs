//! What a test suite said: the tracebacks of what failed, then the numbers.

use std::fmt::Write as _;

use console::style;

use super::tap::{Results, Verdict};
use crate::ui::format;

pub fn render(results: &Results) -> String {
    let mut text = String::new();
    for test in results.tests.iter().filter(|test| test.result == Verdict::Failed) {
        let _ = writeln!(text, "{} {}", style("failed:").red(), test.name);
        for line in test.details.trim_end().lines() {
            let _ = writeln!(text, "{}", format!("  {line}").trim_end());
        }
        text.push('\n');
    }
    let Results { suite, passed, failed, skipped, seconds, .. } = results;
    let took = format::duration(*seconds);
    let _ =
        writeln!(text, "{suite}: {passed} passed, {failed} failed, {skipped} skipped, in {took}");
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::commands::tempest::tap::Test;

    #[test]
    fn tracebacks_stand_before_the_numbers() {
        console::set_colors_enabled(false);
        let test = |name: &str, result, details: &str| Test {
            name: name.to_owned(),
            result,
            seconds: None,
            reason: None,
            details: details.to_owned(),
        };
        let results = Results {
            suite: "tempest".to_owned(),
            passed: 1,
            failed: 1,
            skipped: 0,
            seconds: Duration::from_secs(75),
            tests: vec![
                test("a", Verdict::Passed, ""),
                test("b", Verdict::Failed, "Traceback:\n\n  line 3\n"),
            ],
            error: None,
        };
        assert_eq!(
            console::strip_ansi_codes(&render(&results)),
            "failed: b\n  Traceback:\n\n    line 3\n\n\
             tempest: 1 passed, 1 failed, 0 skipped, in 1 min 15 s\n"
        );
    }
}
