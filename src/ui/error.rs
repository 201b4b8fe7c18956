//! The one place where an error becomes text.

use std::fmt::Write as _;
use std::path::Path;

use console::style;

use super::harmless::below_first;
use super::out;
use crate::error::Error;

/// How many of the last lines of a command's output are shown; the log file has all.
pub const OUTPUT_LINES: usize = 20;

pub fn report(error: &Error) {
    out::note(render(error, super::logfile::current()).trim_end());
}

/// The error as text:
///
/// ```text
/// error: start container heat_engine/1
///   because its init did not answer within 20 s
///
///   | the last lines
///   | of what was run
///
/// log: /var/lib/aio/private/clouds/aio1/log/….log
/// hint: Run `aio logs heat_engine/1`.
/// ```
pub fn render(error: &Error, log: Option<&Path>) -> String {
    let mut text = format!("{} {}\n", label("error:").red(), below_first(&error.message));
    for cause in &error.causes {
        let _ = writeln!(text, "  because {}", below_first(cause));
    }
    if let Some(output) = error.output.as_deref().filter(|output| !output.trim().is_empty()) {
        text.push('\n');
        let lines: Vec<&str> = output.trim_end().lines().collect();
        for line in &lines[lines.len().saturating_sub(OUTPUT_LINES)..] {
            let _ = writeln!(text, "  {} {line}", style("|").for_stderr().dim());
        }
    }
    if log.is_some() || !error.hints.is_empty() {
        text.push('\n');
    }
    if let Some(log) = log {
        let _ = writeln!(text, "{} {}", label("log:"), log.display());
    }
    for hint in &error.hints {
        let _ = writeln!(text, "{} {}", label("hint:").cyan(), below_first(hint));
    }
    text
}

fn label(text: &str) -> console::StyledObject<&str> {
    style(text).for_stderr().bold()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_why_output_log_and_hints_without_colour() {
        console::set_colors_enabled_stderr(false);
        let many: Vec<String> = (1..=30).map(|number| format!("line {number}")).collect();
        let error = Error::failed("start container heat_engine/1")
            .because("its init did not answer\nwithin 20 s")
            .output(many.join("\n"))
            .hint("Run `aio logs heat_engine/1`.");
        let text = render(&error, Some(Path::new("/log/x.log")));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "error: start container heat_engine/1",
                "  because its init did not answer",
                "    within 20 s",
                "",
                "  | line 11",
            ]
        );
        assert_eq!(
            lines[lines.len() - 4..],
            ["  | line 30", "", "log: /log/x.log", "hint: Run `aio logs heat_engine/1`."]
        );
    }

    #[test]
    fn a_bare_error_is_one_line() {
        console::set_colors_enabled_stderr(false);
        assert_eq!(render(&Error::failed("read x"), None), "error: read x\n");
    }
}
