//! What `aio verify` found.

use std::fmt::Write as _;

use console::style;

use super::checks::{Verdict, Verified};
use crate::ui::format;
use crate::ui::table::Table;

fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass => style("pass").green(),
        Verdict::Fail => style("fail").red(),
        Verdict::LeftOut => style("left out").yellow(),
        Verdict::Interrupted => style("interrupted").yellow(),
    }
    .to_string()
}

/// A table of all checks, what those that failed said last, and the numbers.
pub fn render(verified: &Verified) -> String {
    let mut table = Table::new(["service", "check", "result", "seconds", "what"]).right(3);
    for check in &verified.checks {
        let ran = matches!(check.result, Verdict::Pass | Verdict::Fail);
        let seconds =
            if ran { format!("{:.1}", check.seconds.as_secs_f64()) } else { String::new() };
        let what = check.reason.as_ref().unwrap_or(&check.title);
        table.row([&check.service, &check.check, &word(check.result), &seconds, what]);
    }
    let mut text = table.render();
    for check in verified.checks.iter().filter(|check| check.result == Verdict::Fail) {
        let _ = write!(text, "\n{}/{}: {}\n", check.service, check.check, check.title);
        for line in check.output.as_deref().unwrap_or_default().trim_end().lines() {
            let _ = writeln!(text, "  {} {line}", style("|").dim());
        }
    }
    let _ = writeln!(text, "\n{}", numbers(verified));
    text
}

/// `verify: 9 passed, 1 failed, 2 left out, in 12 s`.
fn numbers(verified: &Verified) -> String {
    let mut parts = vec![format!("{} passed", verified.count(Verdict::Pass))];
    let rare = [
        (Verdict::Fail, "failed"),
        (Verdict::LeftOut, "left out"),
        (Verdict::Interrupted, "interrupted"),
    ];
    for (verdict, word) in rare {
        let count = verified.count(verdict);
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    format!("verify: {}, in {}", parts.join(", "), format::duration(verified.seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::commands::verify::checks::Checked;

    #[test]
    fn a_table_then_what_failed_then_the_numbers() {
        console::set_colors_enabled(false);
        let check = |name: &str, result, reason: Option<&str>, output: Option<&str>| Checked {
            service: "heat".to_owned(),
            check: name.to_owned(),
            title: format!("a {name} is made"),
            result,
            seconds: Duration::from_millis(1250),
            reason: reason.map(str::to_owned),
            output: output.map(str::to_owned),
        };
        let verified = Verified {
            cloud: "aio1".to_owned(),
            release: "2025.1".to_owned(),
            seconds: Duration::from_secs(2),
            checks: vec![
                check("stack", Verdict::Pass, None, None),
                check("wait", Verdict::Fail, Some("no answer"), Some("asking\nno answer\n")),
                check("server", Verdict::LeftOut, Some("it needs nova"), None),
            ],
        };
        assert_eq!(
            console::strip_ansi_codes(&render(&verified)),
            "\
SERVICE  CHECK   RESULT    SECONDS  WHAT
heat     stack   pass          1.2  a stack is made
heat     wait    fail          1.2  no answer
heat     server  left out        -  it needs nova

heat/wait: a wait is made
  | asking
  | no answer

verify: 1 passed, 1 failed, 1 left out, in 2.0 s
"
        );
    }
}
