//! Lines of the user's settings, in YAML or INI form, whether the file can be parsed or not: it is
//! broken files of which people want to know what is wrong.

use std::borrow::Cow;
use std::ops::Range;

use super::label::{ANYWHERE, Label, WORD};
use super::looks::{is_ordinary, says_password};

/// Words of a name that say that its value is a secret.
const WORDS: [&str; 9] =
    ["key", "keys", "token", "tokens", "credential", "credentials", "pwd", "pass", "passcode"];

/// A value of a key or a token is at least so long; a shorter one is the name of something.
const KEY: usize = 16;

/// One line: places of name and value in it, and how far it is indented.
struct Setting {
    name: Range<usize>,
    value: Range<usize>,
    indent: usize,
}

/// Calls `each` with the places of value and name of every value whose name says that it is a secret,
/// and of each line that stands below such a name.
fn find(text: &[u8], mut each: impl FnMut(Range<usize>, Range<usize>)) {
    let mut below: Option<(usize, Range<usize>)> = None;
    let mut offset = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let start = offset;
        offset += line.len();
        let content = line.trim_ascii_end();
        let indent = content.len() - content.trim_ascii_start().len();
        if content.len() == indent {
            continue;
        }
        if let Some((above, name)) = &below {
            let goes_on =
                indent > *above || (indent == *above && content[indent..].starts_with(b"- "));
            if goes_on {
                if !is_ordinary(&lossy(text, name), &content[indent..]) {
                    each(start + indent..start + content.len(), name.clone());
                }
                continue;
            }
            below = None;
        }
        let Some(Setting { name, value, indent }) = setting(content) else { continue };
        let name = start + name.start..start + name.end;
        if !says_secret(&lossy(text, &name)) {
            continue;
        }
        if !is_ordinary(&lossy(text, &name), &content[value.clone()]) {
            each(start + value.start..start + value.end, name.clone());
        }
        below = Some((indent, name));
    }
}

fn lossy<'a>(text: &'a [u8], place: &Range<usize>) -> Cow<'a, str> {
    String::from_utf8_lossy(&text[place.clone()])
}

/// Calls `each` with place and label of every secret value.
pub fn lines(text: &[u8], mut each: impl FnMut(Range<usize>, Label)) {
    find(text, |value, name| each(value, Label::Text(name)));
}

/// Names and values of settings that are secrets, to be masked wherever else they stand. Short values
/// of keys are words that mean something.
pub fn values(text: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    find(text, |value, name| {
        let name = lossy(text, &name);
        let value = written(lossy(text, &value).trim_start_matches("- "));
        let least = if says_password(&name) { WORD } else { KEY.max(ANYWHERE) };
        if value.chars().count() >= least && !value.starts_with(['|', '>', '{', '[']) {
            found.push((name.into_owned(), value));
        }
    });
    found
}

/// The value that a line writes, without quotation marks and comment. Of `name: value` below a name
/// that says secret it is the second.
fn written(text: &str) -> String {
    if !text.starts_with(['"', '\'']) {
        let text = text.split_once(" #").map_or(text, |(text, _)| text).trim();
        return text.rsplit_once(": ").map_or(text, |(_, value)| value.trim()).to_owned();
    }
    match serde_yaml::from_str::<serde_yaml::Value>(text) {
        Ok(serde_yaml::Value::String(value)) => value,
        _ => text.trim_matches(['"', '\'']).to_owned(),
    }
}

/// Whether a name says that its value is a secret.
fn says_secret(name: &str) -> bool {
    let is_word =
        |word: &str| WORDS.contains(&word.to_lowercase().trim_end_matches(char::is_numeric));
    says_password(name) || name.split(['_', '-', '.', ' ']).any(is_word)
}

/// `name: value` or `name = value`, a comment too: what was put aside is as secret.
fn setting(content: &[u8]) -> Option<Setting> {
    let lead = |byte: &&u8| matches!(**byte, b' ' | b'\t' | b'#' | b';' | b'"' | b'\'');
    let mut begin = content.iter().take_while(lead).count();
    while content[begin..].starts_with(b"- ") {
        begin += 2;
        begin += content[begin..].iter().take_while(lead).count();
    }
    let sign = begin + content[begin..].iter().position(|byte| matches!(byte, b':' | b'='))?;
    let name = std::str::from_utf8(&content[begin..sign]).ok()?;
    let name = name.trim_end().trim_end_matches(['"', '\'', '+', '|']).trim_end();
    let is_name = !name.is_empty()
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-. ".contains(&it));
    let gap = content[sign + 1..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let indent = content.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let (name, value) = (begin..begin + name.len(), sign + 1 + gap..content.len());
    is_name.then_some(Setting { name, value, indent })
}
