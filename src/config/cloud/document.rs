//! Line edits of a small YAML file: what is not changed keeps its bytes, comments included.
//!
//! It knows as much of YAML as such a file needs: keys in the first column, and below some of them
//! a map with one key a line. A map in braces is rewritten a key a line when one of its keys is set.
//! Whoever edits reads the result again: a file that is written in a way that is not understood
//! here is then noticed.

use std::ops::Range;

use crate::config::yaml::key_of;

/// The lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    lines: Vec<String>,
}

/// A value as it is written, and why it is what it is.
#[derive(Clone, Copy, Debug)]
pub struct Scalar<'a> {
    /// YAML of one line.
    pub text: &'a str,
    /// Written as a comment beside it; may be empty.
    pub comment: &'a str,
}

impl Document {
    /// Takes a text apart.
    pub fn new(text: &str) -> Self {
        Self { lines: text.lines().map(str::to_owned).collect() }
    }

    /// The text.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The line (from 1) of a key.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        self.find(key).map(|index| index + 1)
    }

    /// The line (from 1) of a key in the map below `section`.
    pub fn line_of_child(&self, section: &str, key: &str) -> Option<usize> {
        self.find_child(section, key).map(|lines| lines.start + 1).or_else(|| self.line_of(section))
    }

    /// Sets a key of the first column.
    pub fn set(&mut self, key: &str, value: Scalar<'_>) {
        let line = entry("", key, value);
        match self.find(key) {
            Some(index) => self.lines[index] = line,
            None => self.lines.push(line),
        }
    }

    /// Sets a key in the map below `section`, which holds `present` now.
    pub fn set_child(
        &mut self,
        section: &str,
        key: &str,
        value: Scalar<'_>,
        present: &[(String, String)],
    ) {
        self.open_section(section, present);
        let Some(range) = self.section(section) else { return };
        let indent = self.indent_of(&range);
        let line = entry(&indent, key, value);
        if let Some(lines) = self.find_child(section, key) {
            self.lines.splice(lines, [line]);
        } else if let Some(index) = self.find_muted(&range, key) {
            self.lines[index] = line;
        } else {
            self.lines.insert(range.end, line);
        }
    }

    /// Makes `muted` the keys that stand commented out below `section` (`# key: value`): those that
    /// are there stay in their place.
    pub fn set_muted(&mut self, section: &str, muted: &[(String, String)]) {
        let Some(range) = self.section(section) else { return };
        let indent = self.indent_of(&range);
        let mut new: Vec<&(String, String)> = muted.iter().collect();
        let mut lines = Vec::new();
        let mut place = 0;
        for line in self.lines[range.clone()].iter() {
            let Some(key) = muted_key(line) else {
                lines.push(line.clone());
                continue;
            };
            if let Some(known) = new.iter().position(|(name, _)| name == key) {
                let (key, value) = new.remove(known);
                lines.push(format!("{indent}# {key}: {value}"));
                place = lines.len();
            }
        }
        let new = new.into_iter().map(|(key, value)| format!("{indent}# {key}: {value}"));
        lines.splice(place..place, new);
        self.lines.splice(range, lines);
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.lines.iter().position(|line| key_of(line) == Some(key))
    }

    /// The lines below a key of the first column, up to the last one that is indented.
    fn section(&self, section: &str) -> Option<Range<usize>> {
        let start = self.find(section)? + 1;
        let rest = &self.lines[start..];
        let next = rest.iter().position(|line| key_of(line).is_some()).unwrap_or(rest.len());
        let last = rest[..next].iter().rposition(|line| line.starts_with(' '));
        Some(start..start + last.map_or(0, |last| last + 1))
    }

    /// The lines of a key below `section`: its own and those of a value that goes on.
    fn find_child(&self, section: &str, key: &str) -> Option<Range<usize>> {
        let range = self.section(section)?;
        let indent = self.indent_of(&range);
        let start = range.clone().find(|index| {
            let line = self.lines[*index].strip_prefix(indent.as_str());
            line.and_then(key_of) == Some(key)
        })?;
        let goes_on = |line: &str| {
            let inner = line.strip_prefix(indent.as_str()).unwrap_or_default();
            inner.starts_with([' ', '-'])
        };
        let mut end = start + 1;
        while end < range.end && goes_on(&self.lines[end]) {
            end += 1;
        }
        Some(start..end)
    }

    fn find_muted(&self, range: &Range<usize>, key: &str) -> Option<usize> {
        range.clone().find(|index| muted_key(&self.lines[*index]) == Some(key))
    }

    /// How far the keys of a section are indented.
    fn indent_of(&self, range: &Range<usize>) -> String {
        let keys = self.lines[range.clone()].iter();
        let mut keys = keys.filter(|line| !line.trim_start().starts_with('#'));
        let first = keys.find(|line| !line.trim().is_empty());
        first
            .map_or("  ".to_owned(), |line| line[..line.len() - line.trim_start().len()].to_owned())
    }

    /// Makes sure that `section` is there as a map with one key a line.
    fn open_section(&mut self, section: &str, present: &[(String, String)]) {
        let Some(index) = self.find(section) else {
            self.lines.push(format!("{section}:"));
            return;
        };
        let line = &self.lines[index];
        let value = line.split_once(':').map(|(_, value)| value.trim()).unwrap_or_default();
        if value.is_empty() || value.starts_with('#') {
            return;
        }
        let comment = value.split_once(" #").map(|(_, comment)| format!("  #{comment}"));
        self.lines[index] = format!("{section}:{}", comment.unwrap_or_default());
        let lines = present.iter().map(|(key, value)| format!("  {key}: {value}"));
        self.lines.splice(index + 1..index + 1, lines);
    }
}

/// The key of a line such as `  # galera: 3`: a value that is commented out is one word, a remark
/// is more.
fn muted_key(line: &str) -> Option<&str> {
    let inner = line.trim_start().strip_prefix("# ")?;
    let (key, value) = inner.split_once(": ")?;
    (!key.contains(' ') && !value.trim().is_empty() && !value.trim().contains(' ')).then_some(key)
}

fn entry(indent: &str, key: &str, value: Scalar<'_>) -> String {
    if value.comment.is_empty() {
        format!("{indent}{key}: {}", value.text)
    } else {
        format!("{indent}{key}: {}  # {}", value.text, value.comment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# mine
a: 1  # why

b:
  # x: 1
  # a note: keep me
  y:
    - 1
    - 2
  z: 3  # keep

# about c
c: {d: 1, e: 2}  # braces
";

    fn scalar(text: &str) -> Scalar<'_> {
        Scalar { text, comment: "" }
    }

    #[test]
    fn what_is_not_set_keeps_its_bytes() {
        let mut document = Document::new(TEXT);
        assert_eq!(document.text(), TEXT);
        document.set("a", Scalar { text: "2", comment: "--set a=2" });
        assert_eq!(document.text(), TEXT.replace("a: 1  # why", "a: 2  # --set a=2"));
    }

    #[test]
    fn a_key_below_a_section_is_replaced_or_added_at_its_end() {
        let mut document = Document::new(TEXT);
        document.set_child("b", "y", scalar("[3]"), &[]);
        document.set_child("b", "new", scalar("1"), &[]);
        let expected = TEXT
            .replace("  y:\n    - 1\n    - 2\n", "  y: [3]\n")
            .replace("  z: 3  # keep\n", "  z: 3  # keep\n  new: 1\n");
        assert_eq!(document.text(), expected);
    }

    #[test]
    fn a_key_that_is_commented_out_is_opened_in_its_place() {
        let mut document = Document::new(TEXT);
        document.set_child("b", "x", scalar("5"), &[]);
        assert_eq!(document.text(), TEXT.replace("  # x: 1", "  x: 5"));
    }

    #[test]
    fn braces_become_lines_when_a_key_is_set() {
        let mut document = Document::new(TEXT);
        let present = [("d".to_owned(), "1".to_owned()), ("e".to_owned(), "2".to_owned())];
        document.set_child("c", "d", scalar("7"), &present);
        assert_eq!(
            document.text(),
            TEXT.replace("c: {d: 1, e: 2}  # braces", "c:  # braces\n  d: 7\n  e: 2")
        );
    }

    #[test]
    fn commented_keys_are_replaced_and_notes_stay() {
        let mut document = Document::new(TEXT);
        let muted = |keys: [&str; 2]| keys.map(|key| (key.to_owned(), "2".to_owned()));
        document.set_muted("b", &muted(["x", "w"]));
        assert_eq!(document.text(), TEXT.replace("  # x: 1\n", "  # x: 2\n  # w: 2\n"));
        document.set_muted("b", &muted(["v", "w"]));
        assert_eq!(document.text(), TEXT.replace("  # x: 1\n", "  # w: 2\n  # v: 2\n"));
    }

    #[test]
    fn missing_keys_and_sections_are_added() {
        let mut document = Document::new("a: 1\n");
        document.set("b", scalar("2"));
        document.set_child("c", "d", scalar("3"), &[]);
        assert_eq!(document.text(), "a: 1\nb: 2\nc:\n  d: 3\n");
        assert_eq!(document.line_of_child("c", "d"), Some(4));
        assert_eq!(document.line_of("b"), Some(2));
    }
}
