//! What anybody may have written, made fit for a terminal: it moves no cursor, writes into no
//! clipboard and hides nothing. The only sequences that are left are those that set a weight or a
//! colour of letters, as `aio` itself does. No background and no black: what is written in the
//! colour of what is behind it cannot be read.

use std::borrow::Cow;
use std::fmt::Write;

/// Text for a terminal.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = own_style(rest).unwrap_or(0);
        if length > 0 {
            safe.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        safe.push(if is_harmless(letter) { letter } else { char::REPLACEMENT_CHARACTER });
        rest = &rest[letter.len_utf8()..];
    }
    Cow::Owned(safe)
}

/// Text that is one of several on a line: no line of it can pass for another.
pub fn one_line(text: &str) -> Cow<'_, str> {
    const BREAKS: [char; 5] = ['\n', '\r', '\t', '\u{b}', '\u{c}'];
    if text.contains(BREAKS) {
        return Cow::Owned(text.replace(BREAKS, " "));
    }
    Cow::Borrowed(text)
}

/// Text of several lines, with all but the first further right: none can pass for the next text.
pub fn below_first(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

/// JSON for a terminal, with the same meaning: what could do harm stands there only within strings.
pub fn escaped(json: &str) -> Cow<'_, str> {
    if json.chars().all(is_harmless) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_harmless(letter) {
            safe.push(letter);
        } else {
            // Writing to a string cannot fail; none of them is beyond four digits.
            let _ = write!(safe, "\\u{:04x}", u32::from(letter));
        }
    }
    Cow::Owned(safe)
}

/// No control character but the line's end and the tabulator, and none that turns the direction of
/// writing round.
fn is_harmless(letter: char) -> bool {
    let turns = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    matches!(letter, '\n' | '\t') || !(letter.is_control() || turns)
}

/// The length of a sequence that sets a colour or a weight, at the beginning of the text.
fn own_style(text: &str) -> Option<usize> {
    let (numbers, _) = text.strip_prefix("\u{1b}[")?.split_once('m')?;
    // Nothing that blinks, is turned round or hidden.
    // Digits alone: a sign would be another sequence.
    let value = |number: &str| {
        number.parse::<u8>().ok().filter(|_| number.bytes().all(|it| it.is_ascii_digit()))
    };
    let is_known = |number: &&str| match value(number) {
        Some(number) => matches!(number, 0..=4 | 22..=24 | 31..=37 | 39 | 49 | 91..=96),
        None => number.is_empty(),
    };
    let all: Vec<&str> = numbers.split(';').collect();
    let known = all.len() <= 4 && all.iter().all(is_known);
    known.then_some("\u{1b}[m".len() + numbers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_meaning() {
        let evil = "a\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\n";
        let json = serde_json::to_string_pretty(&[evil]).unwrap();
        let safe = escaped(&json);
        assert!(safe.chars().all(is_harmless), "{safe}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), [evil]);
    }

    #[test]
    fn colours_stay_and_everything_else_is_shown_as_a_mark() {
        for own in ["\u{1b}[31mred\u{1b}[0m\n\tx", "\u{1b}[39;49mx", "\u{1b}[1;36mü\u{1b}[m"] {
            assert_eq!(harmless(own), own);
        }
        for (evil, safe) in [
            ("\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J", "\u{fffd}]52;c;ZXZpbA==\u{fffd}\u{fffd}[2J"),
            ("a\rb\u{8}c", "a\u{fffd}b\u{fffd}c"),
            ("\u{9b}2J", "\u{fffd}2J"),
            ("\u{1b}[8mhidden\u{1b}[5m", "\u{fffd}[8mhidden\u{fffd}[5m"),
            ("\u{1b}[+0m\u{1b}[38;5;+1m", "\u{fffd}[+0m\u{fffd}[38;5;+1m"),
            ("\u{1b}[30;40mblack", "\u{fffd}[30;40mblack"),
            ("\u{1b}[31;41mred", "\u{fffd}[31;41mred"),
            ("\u{1b}[38;5;16mblack", "\u{fffd}[38;5;16mblack"),
            ("\u{1b}[1A\u{1b}[", "\u{fffd}[1A\u{fffd}["),
            ("a\u{202e}b", "a\u{fffd}b"),
        ] {
            assert_eq!(harmless(evil), safe);
        }
    }

    #[test]
    fn a_part_of_a_line_has_none_of_its_own() {
        assert_eq!(one_line("down\r\n\u{b}galera/1\tup"), "down   galera/1 up");
        assert_eq!(below_first("one\ntwo\n"), "one\n    two");
    }
}
