//! Versions and specifiers, as PEP 440 writes them.

use super::cursor::Cursor;

/// Words before the number of a pre-release; longer ones first.
const BEFORE: [&str; 8] = ["preview", "alpha", "beta", "pre", "rc", "a", "b", "c"];
/// Words before the number of a post-release; longer ones first.
const AFTER: [&str; 3] = ["post", "rev", "r"];

/// Whether a text is a version (PEP 440, as it is read, not only as it is normalised).
pub fn is_version(text: &str) -> bool {
    public_then(text, Ending::Local)
}

/// Whether a text is a list of clauses such as `>=3.9, <4`; an empty one is.
pub fn is_specifier(text: &str) -> bool {
    if text.contains(char::is_control) {
        return false;
    }
    let mut cursor = Cursor::new(text);
    while let Some(operator) = cursor.operator() {
        let version = cursor.version();
        if !fits(operator, version) {
            return false;
        }
        if !cursor.take(',') {
            break;
        }
    }
    cursor.end().is_ok()
}

/// Whether a version may stand after an operator.
pub fn fits(operator: &str, version: &str) -> bool {
    match operator {
        // It is compared as it is written.
        "===" => !version.is_empty() && !version.contains('*'),
        "==" | "!=" => is_version(version) || public_then(version, Ending::Wildcard),
        _ => public_then(version, Ending::Nothing),
    }
}

/// What may follow a public version.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Nothing,
    Local,
    Wildcard,
}

fn public_then(text: &str, ending: Ending) -> bool {
    let text = text.to_ascii_lowercase();
    let text = text.strip_prefix('v').unwrap_or(&text);
    let after_epoch = digits(text).and_then(|rest| rest.strip_prefix('!'));
    let Some(mut rest) = digits(after_epoch.unwrap_or(text)) else { return false };
    while let Some(further) = rest.strip_prefix('.').and_then(digits) {
        rest = further;
    }
    if ending == Ending::Wildcard {
        return rest == ".*";
    }
    rest = segment(rest, &BEFORE).unwrap_or(rest);
    // `1.0-1` is a post-release, too.
    let implicit = rest.strip_prefix('-').and_then(digits);
    rest = implicit.or_else(|| segment(rest, &AFTER)).unwrap_or(rest);
    rest = segment(rest, &["dev"]).unwrap_or(rest);
    match rest.strip_prefix('+') {
        Some(local) => ending == Ending::Local && is_local(local),
        None => rest.is_empty(),
    }
}

/// What comes after at least one digit.
fn digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

/// What comes after a word with its separators and its number, all but the word optional.
fn segment<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    let separated = |text: &'a str| text.strip_prefix(['-', '_', '.']).unwrap_or(text);
    let text = separated(text);
    let rest = words.iter().find_map(|word| text.strip_prefix(word))?;
    Some(digits(separated(rest)).unwrap_or(rest))
}

fn is_local(text: &str) -> bool {
    text.split(['-', '_', '.'])
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
