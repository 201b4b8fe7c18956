//! Numbers for people.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::engine::event::{Outcome, Phase, Summary};

/// `0.8 s`, `42 s`, `3 min 5 s`, `2 h 4 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `512 B`, `1.5 KiB`, `240 MiB`.
pub fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let exponent = (bytes.ilog2() / 10).min(4);
    let tenths = u128::from(bytes) * 10 / (1_u128 << (10 * exponent));
    let unit = units[exponent as usize - 1];
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// `20261121T151159Z`: sorts by time, fit for names of files.
pub fn timestamp(time: SystemTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year][month][day]T[hour][minute][second]Z");
    OffsetDateTime::from(time).format(FORMAT).unwrap_or_default()
}

pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Host => "host",
        Phase::Images => "images",
        Phase::Containers => "containers",
        Phase::Services => "services",
        Phase::Verify => "verify",
    }
}

/// Returns how a step ended, and why.
pub fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Changed => "changed".to_owned(),
        Outcome::Unchanged => "unchanged".to_owned(),
        Outcome::Skipped { reason } => format!("skipped: {reason}"),
        Outcome::Failed { error, .. } => format!("failed: {error}"),
        Outcome::Cancelled => "interrupted".to_owned(),
        Outcome::NotRun { reason } => format!("not run: {reason}"),
        Outcome::Pending { reason } => format!("to do: {reason}"),
    }
}

/// `bootstrap: 12 changed, 143 unchanged, in 0.8 s`.
pub fn summary(summary: &Summary) -> String {
    let mut parts = Vec::new();
    if summary.dry_run {
        parts.push(format!("{} to do", summary.pending));
        parts.push(format!("{} right already", summary.unchanged));
    } else {
        parts.push(format!("{} changed", summary.changed));
        parts.push(format!("{} unchanged", summary.unchanged));
    }
    let rare = [
        (summary.skipped, "skipped"),
        (summary.failed, "failed"),
        (summary.cancelled, "interrupted"),
        (summary.not_run, "not run"),
    ];
    parts.extend(
        rare.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
    );
    format!("{}: {}, in {}", summary.command, parts.join(", "), duration(summary.elapsed))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn durations_lose_what_nobody_reads() {
        let text = |ms| duration(Duration::from_millis(ms));
        assert_eq!(
            [text(840), text(42_900), text(185_000), text(7_500_000)],
            ["0.8 s", "42 s", "3 min 5 s", "2 h 5 min"]
        );
    }

    #[test]
    fn bytes_have_two_or_more_digits() {
        let texts = [0, 1023, 1536, 10 << 20, (5 << 30) + (1 << 29), u64::MAX].map(bytes);
        assert_eq!(texts, ["0 B", "1023 B", "1.5 KiB", "10 MiB", "5.5 GiB", "16777215 TiB"]);
    }

    #[test]
    fn timestamps_know_leap_years() {
        let text = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(text(0), "19700101T000000Z");
        assert_eq!(text(951_782_399), "20000228T235959Z");
        assert_eq!(text(951_782_400), "20000229T000000Z");
        assert_eq!(text(1_795_273_919), "20261121T151159Z");
        assert_eq!(text(4_107_542_399), "21000228T235959Z");
        assert_eq!(text(4_107_542_400), "21000301T000000Z");
    }

    #[test]
    fn the_summary_names_what_is_rare_only_when_it_happened() {
        let mut numbers = Summary {
            command: "bootstrap".to_owned(),
            changed: 12,
            unchanged: 143,
            elapsed: Duration::from_millis(800),
            ..Summary::default()
        };
        assert_eq!(summary(&numbers), "bootstrap: 12 changed, 143 unchanged, in 0.8 s");
        numbers.failed = 1;
        numbers.not_run = 3;
        assert_eq!(
            summary(&numbers),
            "bootstrap: 12 changed, 143 unchanged, 1 failed, 3 not run, in 0.8 s"
        );
    }
}
