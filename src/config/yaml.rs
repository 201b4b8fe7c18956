//! YAML with errors for people: file, line, column, the wrong name and the nearest right one.
//!
//! The parser itself accepts a key twice in a map and takes the last; here that is an error, since
//! one of the two lines would silently mean nothing.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

use super::nearest::suggestion;

/// Parses `text`, which errors call `file`. An empty document is an empty map.
pub fn parse<T: DeserializeOwned>(text: &str, file: &str) -> Result<T> {
    refuse_duplicates(text, file)?;
    let text = if is_empty(text) { "{}" } else { text };
    serde_yaml::from_str(text).map_err(|error| explain(&error, text, file))
}

/// The line (from 1) on which the top-level key stands. `None` for keys that YAML allows to be
/// written in other ways (flow style, escapes).
pub fn top_level_line(text: &str, key: &str) -> Option<usize> {
    text.lines().position(|line| key_of(line) == Some(key)).map(|index| index + 1)
}

/// The key of a line such as `key: value` or `"key": value`, if it starts in the first column.
pub fn key_of(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix('"') {
        let (key, after) = rest.split_once('"')?;
        return after.trim_start().starts_with(':').then_some(key);
    }
    if let Some(rest) = line.strip_prefix('\'') {
        let (key, after) = rest.split_once('\'')?;
        return after.trim_start().starts_with(':').then_some(key);
    }
    if line.starts_with([' ', '#', '-', '\t', '{', '[']) {
        return None;
    }
    let (key, after) = line.split_once(':')?;
    (after.is_empty() || after.starts_with([' ', '\t'])).then(|| key.trim_end())
}

/// The first line (from 1) that has `word` with no letter, digit, `_` or `-` around it.
pub fn line_of_word(text: &str, word: &str) -> Option<usize> {
    text.lines().position(|line| has_word(line, word)).map(|index| index + 1)
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

/// A value as YAML of one line.
pub fn scalar(value: &Value) -> String {
    if let Value::String(text) = value {
        let plain = text.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c));
        let same = serde_yaml::from_str::<Value>(text).is_ok_and(|read| read == *value);
        if plain && same {
            return text.clone();
        }
    }
    // JSON is YAML.
    value.to_string()
}

fn is_empty(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

/// Turns a parser's error into ours.
fn explain(error: &serde_yaml::Error, text: &str, file: &str) -> Error {
    let message = strip_location(&error.to_string());
    let (wrong, known) = names_in(&message);
    // Behind tagged enums the parser forgets where it was and says 1:1.
    let place = error
        .location()
        .map(|location| (location.line(), location.column()))
        .filter(|place| *place != (1, 1) || wrong.is_none())
        .or_else(|| {
            let line = line_of_word(text, wrong?)?;
            Some((line, column_of(text, line, wrong?)))
        });
    let place = place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
    Error::new(ErrorKind::Config, format!("{file}{place}: {}", shorten(&message)))
        .hints(wrong.and_then(|wrong| suggestion(wrong, known.iter().copied())))
}

fn column_of(text: &str, line: usize, word: &str) -> usize {
    let line = text.lines().nth(line - 1).unwrap_or_default();
    line.find(word).map_or(1, |start| line[..start].chars().count() + 1)
}

/// Cuts ` at line 5 column 11`, which stands in front already.
fn strip_location(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(start) => message[..start].to_owned(),
        None => message.to_owned(),
    }
}

/// A list of all keys that are right is for the suggestion, not for the message.
fn shorten(message: &str) -> &str {
    message
        .find(", expected ")
        .filter(|_| message.contains("unknown "))
        .map_or(message, |end| &message[..end])
}

/// The wrong name and the right ones of serde's "unknown field `x`, expected one of `a`, `b`".
fn names_in(message: &str) -> (Option<&str>, Vec<&str>) {
    if !message.contains("unknown field `") && !message.contains("unknown variant `") {
        return (None, Vec::new());
    }
    let mut quoted = message[message.find("unknown ").unwrap_or(0)..].split('`').skip(1).step_by(2);
    (quoted.next(), quoted.collect())
}

fn refuse_duplicates(text: &str, file: &str) -> Result<()> {
    if is_empty(text) {
        return Ok(());
    }
    serde_yaml::Deserializer::from_str(text)
        .deserialize_any(Distinct)
        .map_err(|error| explain(&error, text, file))
}

/// Walks a document and fails at the second of two equal keys of one map.
struct Distinct;

impl<'de> DeserializeSeed<'de> for Distinct {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }

    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while sequence.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while map.next_key_seed(NewKey(&mut seen))?.is_some() {
            map.next_value_seed(Self)?;
        }
        Ok(())
    }
}

/// A key that must not have been seen. It fails inside the key, where the parser knows the line.
struct NewKey<'a>(&'a mut BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<(), E> {
        if self.0.insert(key.to_owned()) {
            Ok(())
        } else {
            Err(E::custom(format!("the key `{key}` stands here a second time")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
    #[allow(dead_code)]
    enum Inner {
        First { memory_mib: u64 },
    }

    fn failure(text: &str) -> Error {
        parse::<Outer>(text, "x.yml").unwrap_err()
    }

    #[test]
    fn names_line_and_nearest_key() {
        let error = failure("name: a\ninnner: {}\n");
        assert_eq!(error.message, "x.yml:2:1: unknown field `innner`");
        assert_eq!(error.hints, ["did you mean `inner`?"]);
        assert_eq!(error.kind, ErrorKind::Config);
    }

    #[test]
    fn finds_the_line_behind_a_tagged_enum() {
        let error = failure("name: a\ninner:\n  b:\n    kind: first\n    memory_mb: 1\n");
        assert!(error.message.starts_with("x.yml:"), "{}", error.message);
        assert!(error.message.contains("unknown field `memory_mb`"), "{}", error.message);
        assert_eq!(error.hints, ["did you mean `memory_mib`?"]);
    }

    #[test]
    fn a_wrong_variant_names_the_right_ones() {
        let error = failure("name: a\ninner:\n  b:\n    kind: frist\n    memory_mib: 1\n");
        assert_eq!(error.hints, ["did you mean `first`?"], "{}", error.message);
    }

    #[test]
    fn a_second_equal_key_is_an_error_with_its_line() {
        let error = failure(
            "name: a\ninner:\n  b: {kind: first, memory_mib: 1}\n  c: {kind: first, memory_mib: 1}\n  b: {kind: first, memory_mib: 2}\n",
        );
        assert_eq!(error.message, "x.yml:5:3: inner: the key `b` stands here a second time");
    }

    #[test]
    fn broken_yaml_says_where() {
        let error = failure("name: a\ninner: [\n");
        assert!(error.message.starts_with("x.yml:3:1: "), "{}", error.message);
    }

    #[test]
    fn an_empty_file_is_an_empty_map() {
        let map: BTreeMap<String, u32> = parse("# nothing\n---\n", "x.yml").unwrap();
        assert!(map.is_empty());
    }

    #[test]
    fn keys_are_found_by_line() {
        let text = "# a: 1\n a: 1\n\"a\": 1\nb_a: 2\na: 3\n";
        assert_eq!(top_level_line(text, "a"), Some(3));
        assert_eq!(top_level_line(text, "b_a"), Some(4));
        assert_eq!(top_level_line(text, "c"), None);
        assert_eq!(line_of_word("heat_engine\nheat\n", "heat"), Some(2));
    }
}
