//! Numbers for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::engine::event::{Phase, Summary};

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
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

fn date(days_since_epoch: u64) -> (u64, u64, u64) {
    let days = days_since_epoch + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
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
