//! Days, as indexes are asked for them: `2026-10-20`.

use std::fmt;

use time::{Date, Month};

/// What a release that follows development says in place of its day.
pub const TODAY: &str = "today";

/// The day as of which an index is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    pub day: Date,
    /// Whether it is not over yet: all counts that the index has now.
    is_today: bool,
}

impl AsOf {
    /// A day that is over, or today (in UTC).
    ///
    /// # Errors
    /// A sentence: the day is yet to come.
    pub fn new(day: Date, today: Date) -> Result<Self, String> {
        if day > today {
            return Err(format!("{day} is yet to come"));
        }
        Ok(Self { day, is_today: day == today })
    }

    /// The option by which uv leaves out what came later. Nothing has come later than today; and uv takes
    /// a day in the host's time zone, where that of UTC may have ended hours ago.
    pub fn option(self) -> Option<String> {
        (!self.is_today).then(|| format!("--exclude-newer={}", self.day))
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.day.fmt(formatter)
    }
}

/// Reads a day.
///
/// # Errors
/// A sentence about what it is instead.
pub fn parse(text: &str) -> Result<Date, String> {
    read(text).ok_or_else(|| format!("`{text}` is no day: write YYYY-MM-DD, as in 2026-10-20"))
}

fn read(text: &str) -> Option<Date> {
    let number = |part: &str, digits: usize| {
        let whole = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| whole)
    };
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let month = Month::try_from(u8::try_from(number(month, 2)?).ok()?).ok()?;
    let day = u8::try_from(number(day, 2)?).ok()?;
    Date::from_calendar_date(number(year, 4)?.into(), month, day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_in_one_way() {
        for text in ["2026-10-20", "2024-02-29", "0001-01-01"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "2026",
            "2026-10",
            "2026-1-2",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "26-10-20",
            "2026-10-20T00:00:00Z",
            "+026-10-20",
            "20. 10. 2026",
            "2026-10-٢٠",
            "yesterday",
        ] {
            assert!(parse(text).unwrap_err().contains("write YYYY-MM-DD"), "{text}");
        }
    }
    #[test]
    fn today_counts_whole_and_tomorrow_not_at_all() {
        let day = |text| parse(text).unwrap();
        let as_of = |text| AsOf::new(day(text), day("2026-11-30"));
        assert_eq!(as_of("2026-11-30").unwrap().option(), None);
        let before = as_of("2026-11-29").unwrap();
        assert_eq!(before.option().as_deref(), Some("--exclude-newer=2026-11-29"));
        assert_eq!(before.to_string(), "2026-11-29");
        assert_eq!(as_of("2026-12-01"), Err("2026-12-01 is yet to come".to_owned()));
    }
}
