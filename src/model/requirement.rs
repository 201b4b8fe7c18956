//! What a checkout or a container may ask for: `NAME[EXTRAS] SPECIFIER`, as PEP 508 and PEP 440 write
//! it, and nothing else.
//!
//! pip takes more than that: addresses, paths, archives and options, each of which makes it run what
//! it finds there. So what reaches it is of one type, which nothing but [`Requirement::parse`] makes.

mod cursor;
mod marker;
mod version;

use std::fmt;

use serde::{Deserialize, Serialize};

use self::cursor::Cursor;
pub use self::version::{is_specifier, is_version};

/// Longer than any that was ever written.
const LONGEST: usize = 1000;
/// A distribution's name, or an extra's.
const LONGEST_NAME: usize = 128;

/// What pip takes for a file in the working directory, whatever stands before it.
const ARCHIVES: [&str; 12] = [
    ".zip",
    ".whl",
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz",
    ".tar.xz",
    ".txz",
    ".tlz",
    ".tar.lz",
    ".tar.lzma",
];

/// A distribution by its name, with extras and the versions that fit: what an index is asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requirement {
    text: String,
    name_length: usize,
}

/// A requirement that may hold only somewhere: `NAME[EXTRAS] SPECIFIER; MARKER`. The marker is checked
/// here and evaluated by the container's own Python.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Conditional {
    requirement: Requirement,
    marker: Option<String>,
}

impl Requirement {
    /// Reads one. The error is a fragment that says what is wrong with it.
    ///
    /// # Errors
    /// When it is anything else: an address, a path, an option, or no requirement at all.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut cursor = start(text)?;
        let requirement = Self::read(&mut cursor, text)?;
        cursor.end().map_err(|_| foreign(text))?;
        Ok(requirement)
    }

    fn read(cursor: &mut Cursor<'_>, text: &str) -> Result<Self, String> {
        let name = cursor.name().filter(|name| is_name(name)).ok_or_else(|| foreign(text))?;
        let mut own = name.to_owned();
        let extras = extras(cursor).ok_or_else(|| foreign(text))?;
        if !extras.is_empty() {
            own += &format!("[{}]", extras.join(","));
        }
        let specifier = specifier(cursor).ok_or_else(|| foreign(text))?;
        own += &specifier.join(",");
        let looks_like_a_file = |text: &str| {
            let text = text.to_ascii_lowercase();
            ARCHIVES.iter().any(|ending| text.ends_with(ending))
        };
        if looks_like_a_file(name) || looks_like_a_file(&own) {
            return Err("it is the name of a file".to_owned());
        }
        Ok(Self { text: own, name_length: name.len() })
    }

    /// `oslo.service[threading]>=4.2.2`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `oslo.service`.
    pub fn name(&self) -> &str {
        &self.text[..self.name_length]
    }

    /// `oslo.service[threading]`: whatever version there is.
    pub fn without_version(&self) -> &str {
        let rest = &self.text[self.name_length..];
        let extras = rest.split_once(']').filter(|_| rest.starts_with('['));
        &self.text[..self.name_length + extras.map_or(0, |(extras, _)| extras.len() + 1)]
    }
}

impl Conditional {
    /// Reads one. The error is a fragment that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut cursor = start(text)?;
        let requirement = Requirement::read(&mut cursor, text)?;
        if cursor.end().is_ok() {
            return Ok(Self { requirement, marker: None });
        }
        if !cursor.take(';') {
            return Err(foreign(text));
        }
        let marker = cursor.rest().trim();
        marker::check(marker)?;
        Ok(Self { requirement, marker: Some(marker.replace('\t', " ")) })
    }

    /// What is required where it holds.
    pub fn requirement(&self) -> &Requirement {
        &self.requirement
    }

    /// The same, where one more condition holds.
    #[must_use]
    pub fn and_extra(&self, extra: &str) -> String {
        let requirement = self.requirement.as_str();
        match &self.marker {
            Some(marker) => format!("{requirement}; ({marker}) and extra == \"{extra}\""),
            None => format!("{requirement}; extra == \"{extra}\""),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Display for Conditional {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.requirement)?;
        self.marker.as_ref().map_or(Ok(()), |marker| write!(formatter, "; {marker}"))
    }
}

impl TryFrom<String> for Requirement {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|reason| not_taken(&text, &reason))
    }
}

impl TryFrom<String> for Conditional {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|reason| not_taken(&text, &reason))
    }
}

impl From<Requirement> for String {
    fn from(requirement: Requirement) -> Self {
        requirement.text
    }
}

impl From<Conditional> for String {
    fn from(conditional: Conditional) -> Self {
        conditional.to_string()
    }
}

/// Whether a text is the name of a distribution, or of an extra (PEP 508).
pub fn is_name(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    text.len() <= LONGEST_NAME
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// A sentence about a requirement that is not taken.
pub fn not_taken(text: &str, reason: &str) -> String {
    let shown: String = text.chars().filter(|letter| !letter.is_control()).take(120).collect();
    format!("`{shown}` is not taken: {reason}")
}

fn start(text: &str) -> Result<Cursor<'_>, String> {
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} characters"));
    }
    if !text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return Err("it has characters that no requirement has".to_owned());
    }
    Ok(Cursor::new(text))
}

/// What a text is that is no requirement.
fn foreign(text: &str) -> String {
    let text = text.trim();
    let before_marker = text.split(';').next().unwrap_or(text);
    let what = if text.starts_with('-') {
        "options"
    } else if text.contains("${") {
        "environment variables"
    } else if before_marker.contains("://") || before_marker.contains('@') {
        "addresses"
    } else if before_marker.contains('/') || before_marker.starts_with('.') {
        "paths"
    } else {
        return "it is not NAME[EXTRAS] SPECIFIER, as in `oslo.service[threading]>=4.2`".to_owned();
    };
    format!("{what} are not followed, only NAME[EXTRAS] SPECIFIER")
}

/// `[a, b]`, or nothing; none when it is malformed.
fn extras<'a>(cursor: &mut Cursor<'a>) -> Option<Vec<&'a str>> {
    let mut extras = Vec::new();
    if !cursor.take('[') {
        return Some(extras);
    }
    while !cursor.take(']') {
        extras.push(cursor.name().filter(|name| is_name(name))?);
        if !cursor.take(',') && !cursor.peeks(']') {
            return None;
        }
    }
    Some(extras)
}

/// `>=1, <2`, in parentheses or not; none when it is malformed.
fn specifier(cursor: &mut Cursor<'_>) -> Option<Vec<String>> {
    let parenthesised = cursor.take('(');
    let mut clauses = Vec::new();
    while let Some(operator) = cursor.operator() {
        let version = cursor.version();
        if !version::fits(operator, version) {
            return None;
        }
        clauses.push(format!("{operator}{version}"));
        if !cursor.take(',') {
            break;
        }
    }
    (!parenthesised || cursor.take(')')).then_some(clauses)
}

#[cfg(test)]
mod tests;
