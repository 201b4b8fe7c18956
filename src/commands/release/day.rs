//! Days, as indexes are asked for them: `2026-10-20`.

use time::{Date, Month};

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
}
