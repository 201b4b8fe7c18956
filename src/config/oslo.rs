//! Configuration files as oslo.config reads them, and merging one into another.
//!
//! Not every INI dialect: a key may stand several times (several values), an indented line goes on
//! with the value above, comments start in the first column. Comments, order and spacing survive.
//! An override replaces all values that a key has in its section; a key that stands several times
//! in the override then has several values.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ini {
    /// What stands before the first section has no header.
    sections: Vec<Section>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Section {
    name: Option<String>,
    header: Option<Line>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// One value, with the lines that continue it.
    Assignment { key: String, lines: Vec<Line> },
    /// A comment or an empty line.
    Other(Line),
}

/// One line of a file, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Without its line break.
    pub text: String,
    pub source: LineSource,
}

/// Where a line of a merged file came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineSource {
    /// That line (from 1) of the file into which others were merged.
    Base(usize),
    /// That line (from 1) of an override.
    Override(Arc<str>, usize),
    /// Made by the merge: the empty line before a new section.
    Merge,
}

/// Why a text is not such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// From 1.
    pub line: usize,
    /// A fragment without a final period.
    pub reason: &'static str,
}

impl Ini {
    /// Parses the file into which others are merged.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        Self::parse_as(text, LineSource::Base)
    }

    /// Parses an override; `file` is what explanations call it.
    pub fn parse_override(text: &str, file: &str) -> Result<Self, Malformed> {
        let file: Arc<str> = Arc::from(file);
        Self::parse_as(text, |line| LineSource::Override(Arc::clone(&file), line))
    }

    fn parse_as(text: &str, source: impl Fn(usize) -> LineSource) -> Result<Self, Malformed> {
        let mut parser = Parser { ini: Self { sections: vec![Section::default()] }, open: false };
        for (index, text) in text.lines().enumerate() {
            let line = Line { text: text.to_owned(), source: source(index + 1) };
            parser.line(line).map_err(|reason| Malformed { line: index + 1, reason })?;
        }
        Ok(parser.ini)
    }

    /// The values of a key, in order; continuation lines joined by line breaks, as oslo.config does.
    pub fn values(&self, section: &str, key: &str) -> Vec<String> {
        let assignments = self.sections.iter().filter(|found| found.is(section));
        let entries = assignments.flat_map(|section| &section.entries);
        entries.filter_map(|entry| entry.value_of(key)).collect()
    }

    /// Every section's name and key that is set, in order.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sections.iter().flat_map(|section| {
            let name = section.name.as_deref().unwrap_or_default();
            section.entries.iter().filter_map(move |entry| match entry {
                Entry::Assignment { key, .. } => Some((name, key.as_str())),
                Entry::Other(_) => None,
            })
        })
    }

    /// Merges an override into this file.
    pub fn merge(&mut self, over: &Self) {
        for (name, keys) in over.by_section() {
            for (key, lines) in keys {
                self.set(name, key, lines);
            }
        }
    }

    /// The lines of every key by section: what an override says.
    fn by_section(&self) -> IndexMap<&str, IndexMap<&str, Vec<Vec<Line>>>> {
        let mut sections: IndexMap<&str, IndexMap<&str, Vec<Vec<Line>>>> = IndexMap::new();
        for section in &self.sections {
            let Some(name) = section.name.as_deref() else { continue };
            // Two that are one to oslo.config add up; the later must not replace the former.
            let known = sections.keys().copied().find(|known| same_section(known, name));
            let name = known.unwrap_or(name);
            for entry in &section.entries {
                if let Entry::Assignment { key, lines } = entry {
                    let keys = sections.entry(name).or_default();
                    keys.entry(key).or_default().push(lines.clone());
                }
            }
        }
        sections
    }

    /// Replaces all values of a key: in the place of the first, else at its section's end, else in
    /// a new section at the end of the file.
    fn set(&mut self, name: &str, key: &str, values: Vec<Vec<Line>>) {
        let mut new: Vec<Entry> = values
            .into_iter()
            .map(|lines| Entry::Assignment { key: key.to_owned(), lines })
            .collect();
        let mut last = None;
        for (index, section) in self.sections.iter_mut().enumerate() {
            if section.is(name) {
                last = Some(index);
                section.replace(key, &mut new);
            }
        }
        if new.is_empty() {
            return;
        }
        match last {
            Some(index) => self.sections[index].append(new),
            None => self.add_section(name, new),
        }
    }

    fn add_section(&mut self, name: &str, entries: Vec<Entry>) {
        let source = match entries.first() {
            Some(Entry::Assignment { lines, .. }) if !lines.is_empty() => lines[0].source.clone(),
            _ => LineSource::Merge,
        };
        if let Some(before) = self.sections.last_mut()
            && !before.ends_with_blank()
        {
            let blank = Line { text: String::new(), source: LineSource::Merge };
            before.entries.push(Entry::Other(blank));
        }
        let header = Some(Line { text: format!("[{name}]"), source });
        self.sections.push(Section { name: Some(name.to_owned()), header, entries });
    }

    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.sections.iter().flat_map(|section| {
            let entries = section.entries.iter().flat_map(|entry| match entry {
                Entry::Assignment { lines, .. } => lines.as_slice(),
                Entry::Other(line) => std::slice::from_ref(line),
            });
            section.header.iter().chain(entries)
        })
    }
}

impl fmt::Display for Ini {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(formatter, "{}", line.text))
    }
}

impl Section {
    fn is(&self, name: &str) -> bool {
        self.name.as_deref().is_some_and(|own| same_section(own, name))
    }

    fn ends_with_blank(&self) -> bool {
        match self.entries.last() {
            Some(Entry::Other(line)) => line.text.trim().is_empty(),
            Some(Entry::Assignment { .. }) => false,
            None => self.header.is_none(),
        }
    }

    /// Puts what `new` holds in the place of the first assignment of `key`, and drops the others.
    fn replace(&mut self, key: &str, new: &mut Vec<Entry>) {
        let old = std::mem::take(&mut self.entries);
        for entry in old {
            match entry {
                Entry::Assignment { key: ref found, .. } if found == key => {
                    self.entries.append(new);
                }
                entry => self.entries.push(entry),
            }
        }
    }

    /// Adds entries before the empty lines at the end.
    fn append(&mut self, new: Vec<Entry>) {
        let blank =
            |entry: &Entry| matches!(entry, Entry::Other(line) if line.text.trim().is_empty());
        let end = self.entries.iter().rposition(|entry| !blank(entry)).map_or(0, |last| last + 1);
        self.entries.splice(end..end, new);
    }
}

impl Entry {
    fn value_of(&self, wanted: &str) -> Option<String> {
        let Self::Assignment { key, lines } = self else { return None };
        if key != wanted {
            return None;
        }
        let (first, rest) = lines.split_first()?;
        let (_, value) = split_assignment(&first.text)?;
        let mut value = unquote(value.trim()).to_owned();
        for line in rest {
            value.push('\n');
            value.push_str(line.text.trim());
        }
        Some(value)
    }
}

/// oslo.config folds the case of all section names but `DEFAULT`.
fn same_section(one: &str, other: &str) -> bool {
    one == other || (one != "DEFAULT" && other != "DEFAULT" && one.eq_ignore_ascii_case(other))
}

/// At the first `=` or `:`, whichever comes first.
fn split_assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(['=', ':'])?;
    Some((key.trim(), value))
}

fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

struct Parser {
    ini: Ini,
    /// Whether the line before was an assignment or its continuation.
    open: bool,
}

impl Parser {
    fn line(&mut self, line: Line) -> Result<(), &'static str> {
        let text = line.text.trim_end();
        if text.is_empty() || text.starts_with(['#', ';']) {
            self.open = false;
            self.push(Entry::Other(line));
            return Ok(());
        }
        if text.starts_with([' ', '\t']) {
            return self.continuation(line);
        }
        if text.starts_with('[') {
            return self.section(line);
        }
        self.assignment(line)
    }

    fn push(&mut self, entry: Entry) {
        if let Some(section) = self.ini.sections.last_mut() {
            section.entries.push(entry);
        }
    }

    fn continuation(&mut self, line: Line) -> Result<(), &'static str> {
        let section = self.ini.sections.last_mut();
        match section.and_then(|section| section.entries.last_mut()) {
            Some(Entry::Assignment { lines, .. }) if self.open => {
                lines.push(line);
                Ok(())
            }
            _ => Err("an indented line continues a value, and there is none above it"),
        }
    }

    fn section(&mut self, line: Line) -> Result<(), &'static str> {
        let name = line.text.trim_end().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let name = name.ok_or("a section must end with `]`")?;
        if name.is_empty() {
            return Err("a section needs a name");
        }
        let name = Some(name.to_owned());
        self.ini.sections.push(Section { name, header: Some(line), entries: Vec::new() });
        self.open = false;
        Ok(())
    }

    fn assignment(&mut self, line: Line) -> Result<(), &'static str> {
        let (key, _) =
            split_assignment(&line.text).ok_or("neither `[section]` nor `key = value`")?;
        if key.is_empty() {
            return Err("there is no key before the `=`");
        }
        if self.ini.sections.len() == 1 {
            return Err("this stands before the first `[section]`");
        }
        let key = key.to_owned();
        self.push(Entry::Assignment { key, lines: vec![line] });
        self.open = true;
        Ok(())
    }
}

#[cfg(test)]
#[path = "oslo_tests.rs"]
mod tests;
