//! `user_secrets.yml` as text and as values.
//!
//! The file belongs to the user, who may have brought it from OpenStack-Ansible: comments, order and
//! names that nobody uses stay as they are. So it is edited by line. What a line means is not
//! guessed: the whole file and each entry by itself are read by the YAML parser too, and a form that
//! the two understand differently is an error that names the line.

use std::collections::BTreeMap;
use std::fmt;

use indexmap::IndexMap;
use rand::CryptoRng;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::check::check;
use super::generate::generate;
use super::spec::{Rotation, Secret, SecretSpec};
use crate::error::{Error, ErrorKind, Result};

const HEADER: &str = "\
# The secrets of this cloud, under OpenStack-Ansible's names. Empty entries are filled by the next
# `aio bootstrap`; a value that you write is used as it is, in a running cloud too.
";

/// A `user_secrets.yml`.
pub struct SecretsFile {
    name: String,
    text: Zeroizing<String>,
    entries: IndexMap<String, Entry>,
    changed: bool,
}

/// One `name: value`.
struct Entry {
    /// Number of its line, counted from 1.
    line: usize,
    /// Bytes of the text that it takes, its continuation lines included.
    span: std::ops::Range<usize>,
    value: Value,
}

enum Value {
    /// Nothing: to be filled.
    Empty,
    Text(SecretString),
    /// Something that is not usable as a secret, and why.
    Unusable(&'static str),
}

/// A line, counted from 1, and what is wrong with it.
type Mistake = (usize, String);

/// Values of the secrets that the deployed services need, by name.
pub type SecretValues = BTreeMap<String, SecretString>;

/// What [`SecretsFile::complete`] did and saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// Names that were given a value, in the order of the specification.
    pub filled: Vec<String>,
    /// Names with or without a value that no deployed service uses.
    pub unused: Vec<String>,
}

impl SecretsFile {
    /// Reads the text of a file. `name` is what errors call it.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut file = Self {
            name: name.to_owned(),
            text: Zeroizing::new(text.to_owned()),
            entries: IndexMap::new(),
            changed: false,
        };
        if text.starts_with("$ANSIBLE_VAULT") {
            return Err(file
                .error("the file is encrypted with ansible-vault")
                .hint("Decrypt it first: `ansible-vault decrypt user_secrets.yml`."));
        }
        file.scan()?;
        file.compare_with_parser()?;
        Ok(file)
    }

    /// The text, changes included.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Checks names and values, and fills what the deployed `services` need and the file does not
    /// have. Nothing is filled when something is wrong.
    pub fn complete(
        &mut self,
        spec: &SecretSpec,
        services: &[String],
        random: &mut impl CryptoRng,
    ) -> Result<Completed> {
        let unused = self.check_names(spec, services)?;
        self.check_values(spec, services)?;
        let missing: Vec<(&str, &Secret)> = spec
            .needed_by(services)
            .filter(|(name, _)| {
                !matches!(self.entries.get(*name), Some(Entry { value: Value::Text(_), .. }))
            })
            .collect();
        let filled = missing.iter().map(|(name, _)| (*name).to_owned()).collect();
        self.fill(&missing, random)?;
        Ok(Completed { filled, unused })
    }

    /// The values that the deployed `services` need. An empty or missing one is an error.
    pub fn values(&self, spec: &SecretSpec, services: &[String]) -> Result<SecretValues> {
        self.check_values(spec, services)?;
        let mut values = SecretValues::new();
        for (name, _) in spec.needed_by(services) {
            match self.entries.get(name).map(|entry| &entry.value) {
                Some(Value::Text(value)) => values.insert(name.to_owned(), value.clone()),
                _ => {
                    return Err(self
                        .error(&format!("`{name}` has no value"))
                        .hint("`aio bootstrap --prepare-only` fills what is empty."));
                }
            };
        }
        Ok(values)
    }

    /// Names in the file, in its order, with whether they have a value.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        let is_set = |entry: &Entry| !matches!(entry.value, Value::Empty);
        self.entries.iter().map(move |(name, entry)| (name.as_str(), is_set(entry)))
    }

    /// Every value in the file, whether anything uses it or not: for those who must not show one. Of
    /// a list or mapping, which no secret may be, everything that stands in it.
    pub fn every_value(&self) -> Vec<(String, SecretString)> {
        let mut values = Vec::new();
        for (name, entry) in &self.entries {
            match &entry.value {
                Value::Empty => {}
                Value::Text(value) => values.push((name.clone(), value.clone())),
                Value::Unusable(_) => {
                    let chunk = &self.text[entry.span.clone()];
                    let rest = chunk.split_once(':').map_or("", |(_, rest)| rest);
                    let words = rest.lines().flat_map(str::split_whitespace);
                    let words =
                        words.map(|word| word.trim_matches(['"', '\'', ',', '[', ']', ':']));
                    let words = words.filter(|word| !word.is_empty());
                    values.extend(words.map(|word| (name.clone(), word.into())));
                }
            }
        }
        values
    }

    /// Refuses unknown names; returns those that are known and unused.
    fn check_names(&self, spec: &SecretSpec, services: &[String]) -> Result<Vec<String>> {
        let mut mistakes = Vec::new();
        for (name, entry) in &self.entries {
            if !spec.accepts(name) {
                let hint = spec
                    .nearest(name)
                    .map(|nearest| format!("; did you mean `{nearest}`?"))
                    .unwrap_or_default();
                mistakes.push((entry.line, format!("there is no secret `{name}`{hint}")));
            }
        }
        self.report(mistakes)?;
        let needed: Vec<&str> = spec.needed_by(services).map(|(name, _)| name).collect();
        let unused = self.entries.keys().filter(|name| !needed.contains(&name.as_str()));
        Ok(unused.cloned().collect())
    }

    fn check_values(&self, spec: &SecretSpec, services: &[String]) -> Result<()> {
        let mut mistakes = Vec::new();
        for (name, secret) in spec.needed_by(services) {
            let Some(entry) = self.entries.get(name) else { continue };
            let mistake = match &entry.value {
                Value::Empty => None,
                Value::Unusable(why) => Some((*why).to_owned()),
                Value::Text(value) => check(secret, value.expose_secret()),
            };
            if let Some(why) = mistake {
                mistakes.push((entry.line, format!("`{name}` {why}")));
            }
        }
        self.report(mistakes)
    }

    /// One mistake is the error; of several, each is a cause.
    fn report(&self, mut mistakes: Vec<Mistake>) -> Result<()> {
        mistakes.sort();
        match mistakes.as_slice() {
            [] => Ok(()),
            [(line, why)] => Err(self.error_at(*line, why)),
            several => {
                let message = format!("{} has {} mistakes", self.name, several.len());
                let causes = several.iter().map(|(line, why)| format!("line {line}: {why}"));
                Err(causes.fold(Error::new(ErrorKind::Config, message), Error::because))
            }
        }
    }

    fn error_at(&self, line: usize, why: &str) -> Error {
        Error::new(ErrorKind::Config, format!("{}:{line}: {why}", self.name))
    }

    fn error(&self, why: &str) -> Error {
        Error::new(ErrorKind::Config, format!("{}: {why}", self.name))
    }

    /// Finds the entries: lines that begin with a name. Everything else at the beginning of a line
    /// must be a comment, or `---` before the first entry.
    fn scan(&mut self) -> Result<()> {
        let text = self.text.clone();
        let mut starts: Vec<(String, usize, usize)> = Vec::new();
        let mut offset = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let number = index + 1;
            let content = line.trim_end();
            if let Some(name) = entry_name(content) {
                if let Some((_, first, _)) = starts.iter().find(|(known, ..)| known == name) {
                    let why = format!("`{name}` is there already, on line {first}");
                    return Err(self.error_at(number, &why));
                }
                starts.push((name.to_owned(), number, offset));
            } else if !may_stand_between(content, starts.is_empty()) {
                return Err(self
                    .error_at(number, "this is not of the form `name: value`")
                    .hint("Put a value with special characters into single quotes, on one line."));
            }
            offset += line.len();
        }
        let ends: Vec<usize> =
            starts.iter().skip(1).map(|start| start.2).chain([text.len()]).collect();
        for ((name, line, start), end) in starts.into_iter().zip(ends) {
            let span = start..end;
            let value = read_value(&name, &text[span.clone()]);
            self.entries.insert(name, Entry { line, span, value });
        }
        Ok(())
    }

    /// The parser must see the same names. Its own words are not shown: they may quote a value.
    fn compare_with_parser(&self) -> Result<()> {
        let document: serde_yaml::Value = serde_yaml::from_str(&self.text).map_err(|error| {
            let place = error.location().map_or_else(String::new, |at| {
                format!(" near line {}, column {}", at.line(), at.column())
            });
            self.error(&format!("this is not valid YAML{place}"))
                .hint("Put a value with special characters into single quotes.")
        })?;
        let names: Vec<&str> = match &document {
            serde_yaml::Value::Null => Vec::new(),
            serde_yaml::Value::Mapping(entries) => {
                entries.keys().filter_map(serde_yaml::Value::as_str).collect()
            }
            _ => return Err(self.error("the file is not a list of `name: value` lines")),
        };
        if names.iter().copied().eq(self.entries.keys().map(String::as_str)) {
            Ok(())
        } else {
            Err(self.error("the file is not a list of `name: value` lines, one line each"))
        }
    }

    /// Writes new values into the text: in place where the name stands, at the end where it does not.
    fn fill(&mut self, missing: &[(&str, &Secret)], random: &mut impl CryptoRng) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let line_end = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut text = Zeroizing::new(String::with_capacity(self.text.len() + 256 * missing.len()));
        let mut copied = 0;
        for (name, entry) in &self.entries {
            if let Some((_, secret)) = missing.iter().find(|(missing, _)| missing == name) {
                text.push_str(&self.text[copied..entry.span.start]);
                let value = generate(secret, random);
                fill_entry(&self.text[entry.span.clone()], &value, &mut text);
                copied = entry.span.end;
            }
        }
        text.push_str(&self.text[copied..]);
        if text.is_empty() {
            text.push_str(HEADER);
        } else if !text.ends_with('\n') {
            text.push_str(line_end);
        }
        let mut service = "";
        for (name, secret) in missing.iter().filter(|(name, _)| !self.entries.contains_key(*name)) {
            if secret.service != service {
                service = &secret.service;
                text.push_str(&format!("{line_end}# {service}{line_end}"));
            }
            let fixed = match secret.rotation {
                Rotation::Apply => "",
                Rotation::Refuse => ". Cannot be changed once the cloud holds data",
            };
            let value = generate(secret, random);
            text.push_str(&format!("# {}{fixed}.{line_end}{name}: ", secret.purpose));
            push_scalar(&value, &mut text);
            text.push_str(line_end);
        }
        *self = Self { changed: true, ..Self::parse(&text, &self.name)? };
        Ok(())
    }
}

impl fmt::Debug for SecretsFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.entries.keys().collect();
        formatter
            .debug_struct("SecretsFile")
            .field("name", &self.name)
            .field("names", &names)
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}

/// The name with which an entry's line begins, quoted or not.
fn entry_name(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let key = key.trim_end();
    let bare = key
        .strip_prefix('"')
        .and_then(|key| key.strip_suffix('"'))
        .or_else(|| key.strip_prefix('\'').and_then(|key| key.strip_suffix('\'')))
        .unwrap_or(key);
    let is_name = !bare.is_empty()
        && bare
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "_-".contains(character))
        && bare.starts_with(|first: char| first.is_ascii_alphabetic());
    (is_name && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(bare)
}

/// Whether a line that begins no entry may stand where it stands.
fn may_stand_between(line: &str, before_first: bool) -> bool {
    let indented = line.starts_with([' ', '\t']) && !before_first;
    let blank_or_comment = line.trim().is_empty() || line.trim_start().starts_with('#');
    let document = before_first && (line == "---" || line.starts_with("--- #"));
    indented || blank_or_comment || document
}

/// What an entry holds, its scalar taken verbatim: `0123` is a text of four characters.
fn read_value(name: &str, chunk: &str) -> Value {
    let rest = chunk.split_once(':').map_or("", |(_, rest)| rest);
    if rest.trim_start().starts_with("!vault") {
        return Value::Unusable("is encrypted with ansible-vault; decrypt it first");
    }
    if rest.trim_start().starts_with(['!', '&', '*']) {
        return Value::Unusable("has a YAML tag, anchor or alias; write the value itself");
    }
    let parsed: Result<BTreeMap<String, Option<String>>, _> = serde_yaml::from_str(chunk);
    match parsed.map(|mut entries| entries.remove(name)) {
        Ok(Some(Some(value))) if !value.is_empty() => Value::Text(value.into()),
        Ok(Some(_)) => Value::Empty,
        _ => Value::Unusable("is a list or a mapping where one value is needed"),
    }
}

/// Copies an empty entry with a value put in: comments and line ends stay, what stood for "empty"
/// (`null`, `~`, `''`, on whatever line) goes.
fn fill_entry(chunk: &str, value: &SecretString, text: &mut String) {
    for (index, line) in chunk.split_inclusive('\n').enumerate() {
        let content = line.trim_end();
        let line_end = &line[content.len()..];
        if index == 0 {
            let (key, rest) = content.split_once(':').unwrap_or((content, ""));
            text.push_str(key);
            text.push_str(": ");
            push_scalar(value, text);
            if let Some(comment) = rest.find('#') {
                let gap = rest[..comment].trim_end().len();
                text.push_str(&rest[gap..]);
            }
            text.push_str(line_end);
        } else if content.trim().is_empty() || content.trim_start().starts_with('#') {
            text.push_str(line);
        }
    }
}

/// Writes a generated value so that every YAML reader takes it for text: one that begins with a
/// digit could be a number to it.
fn push_scalar(value: &SecretString, text: &mut String) {
    let value = value.expose_secret();
    let quote = if value.starts_with(|first: char| first.is_ascii_alphabetic()) { "" } else { "'" };
    text.push_str(quote);
    text.push_str(value);
    text.push_str(quote);
}
