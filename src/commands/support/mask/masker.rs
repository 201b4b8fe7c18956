//! What must not be shown, and how it is found and replaced.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use regex::bytes::Regex;
use secrecy::{ExposeSecret as _, SecretString};

use super::label::Label;
use super::looks::Look;
use super::{ANYWHERE, WORD};
use crate::error::{Result, ResultExt as _};

/// A secret that must not be shown.
pub struct Known {
    /// What is written in its place.
    pub name: String,
    pub value: SecretString,
    /// What is made of it: hashes that servers are given in its place.
    pub derived: Vec<String>,
}

/// Masks secrets. Holds their values: it has no `Debug`.
pub struct Masker {
    literals: AhoCorasick,
    /// Of each literal.
    found: Vec<Found>,
    spellings: Vec<(Regex, Found)>,
    looks: Vec<Look>,
    setting_looks: Vec<Look>,
    short: Vec<String>,
}

/// What a match means.
#[derive(Clone)]
struct Found {
    name: String,
    reach: Reach,
}

/// How far a match goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Match,
    /// Nothing, unless it stands as a word of its own.
    Word,
    /// Over all that is encoded together with it.
    Encoded,
}

/// Bytes to be masked.
struct Span {
    start: usize,
    end: usize,
    /// Of what covers the same bytes, the highest rank gives the name.
    rank: (bool, usize),
    name: String,
}

impl Masker {
    /// For these secrets; without any it finds what looks like one.
    ///
    /// # Errors
    /// When the expressions cannot be made, which does not quote a value.
    pub fn new(known: &[Known]) -> Result<Self> {
        let doing = || "prepare the masking of secrets".to_owned();
        let mut masker = Self {
            literals: AhoCorasick::new([""; 0]).doing(doing)?,
            found: Vec::new(),
            spellings: Vec::new(),
            looks: super::looks::all().doing(doing)?,
            setting_looks: super::looks::of_settings().doing(doing)?,
            short: Vec::new(),
        };
        let mut literals = Vec::new();
        for secret in known {
            masker.add(secret, &mut literals)?;
        }
        masker.literals = AhoCorasick::new(literals).doing(doing)?;
        // A name that a user gave may say what it must not.
        let says_more = |it: &Found| !masker.known_spans(it.name.as_bytes()).is_empty();
        let literal: Vec<bool> = masker.found.iter().map(says_more).collect();
        let spelled: Vec<bool> = masker.spellings.iter().map(|(_, it)| says_more(it)).collect();
        let all = masker.found.iter_mut().chain(masker.spellings.iter_mut().map(|(_, it)| it));
        for (found, _) in all.zip(literal.into_iter().chain(spelled)).filter(|(_, more)| *more) {
            "secret".clone_into(&mut found.name);
        }
        Ok(masker)
    }

    /// Names of secrets that are too short to be masked wherever they stand.
    pub fn short(&self) -> &[String] {
        &self.short
    }

    fn add(&mut self, secret: &Known, literals: &mut Vec<String>) -> Result<()> {
        let value = secret.value.expose_secret();
        let length = value.chars().count();
        if (1..ANYWHERE).contains(&length) {
            self.short.push(secret.name.clone());
        }
        let reach = if length < ANYWHERE { Reach::Word } else { Reach::Match };
        if length >= WORD {
            self.add_text(&secret.name, value, reach, literals)?;
        }
        if length >= ANYWHERE {
            for line in value.lines().filter(|line| *line != value) {
                if line.trim().chars().count() >= ANYWHERE {
                    self.add_text(&secret.name, line.trim(), Reach::Match, literals)?;
                }
            }
            for text in super::encoded::as_part_of_base64(value) {
                self.add_text(&secret.name, &text, Reach::Encoded, literals)?;
            }
            for text in super::encoded::otherwise(value) {
                self.add_text(&secret.name, &text, Reach::Match, literals)?;
            }
        }
        for text in secret.derived.iter().filter(|text| text.len() >= ANYWHERE) {
            self.add_text(&secret.name, text, Reach::Match, literals)?;
        }
        Ok(())
    }

    fn add_text(
        &mut self,
        name: &str,
        text: &str,
        reach: Reach,
        literals: &mut Vec<String>,
    ) -> Result<()> {
        let found = Found { name: name.to_owned(), reach };
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            literals.push(text.to_owned());
            self.found.push(found);
        } else {
            // The library's words would quote the expression, and so the value.
            let regex = super::spelling::expression(text)
                .map_err(|_| "its value gives too large an expression")
                .doing(|| format!("prepare the masking of `{name}`"))?;
            self.spellings.push((regex, found));
        }
        Ok(())
    }

    /// A text without its secrets.
    pub fn mask(&self, text: &[u8]) -> Vec<u8> {
        replaced(text, self.spans(text))
    }

    /// A file of the user's settings without its secrets: there every value is masked whose name says
    /// `password`, `secret`, `key` or `token`, with all that stands below it.
    pub fn mask_settings(&self, text: &[u8]) -> Vec<u8> {
        let mut spans = self.spans(text);
        let mut looking = Vec::new();
        for look in &self.setting_looks {
            look.find(text, |place, label| looking.push((place, label)));
        }
        super::settings::lines(text, |place, label| looking.push((place, label)));
        add_unknown(text, looking, &mut spans);
        replaced(text, spans)
    }

    fn spans(&self, text: &[u8]) -> Vec<Span> {
        let mut spans = self.known_spans(text);
        let mut looking = Vec::new();
        for look in &self.looks {
            look.find(text, |place, label| looking.push((place, label)));
        }
        add_unknown(text, looking, &mut spans);
        spans
    }

    fn known_spans(&self, text: &[u8]) -> Vec<Span> {
        let mut spans = Vec::new();
        for found in self.literals.find_overlapping_iter(text) {
            let meaning = &self.found[found.pattern().as_usize()];
            spans.extend(meaning.span(text, found.start(), found.end()));
        }
        for (regex, meaning) in &self.spellings {
            for found in regex.find_iter(text) {
                spans.extend(meaning.span(text, found.start(), found.end()));
            }
        }
        spans
    }
}

/// Adds what looks like secrets. A label that stands in the text must be no part of a secret itself.
fn add_unknown(text: &[u8], looking: Vec<(Range<usize>, Label)>, spans: &mut Vec<Span>) {
    let known: Vec<Range<usize>> =
        spans.iter().filter(|span| span.rank.0).map(|span| span.start..span.end).collect();
    let all = looking.into_iter().map(|(place, label)| {
        let name = match label {
            Label::Fixed(name) => name.to_owned(),
            Label::Text(name) => {
                let is_known = known.iter().any(|it| it.start < name.end && name.start < it.end);
                let name = String::from_utf8_lossy(&text[name]);
                if is_known { "value".to_owned() } else { name.into_owned() }
            }
        };
        Span { start: place.start, end: place.end, rank: (false, place.len()), name }
    });
    spans.extend(all);
}

impl Found {
    fn span(&self, text: &[u8], mut start: usize, mut end: usize) -> Option<Span> {
        let rank = (true, end - start);
        match self.reach {
            Reach::Match => {}
            Reach::Word if !is_word(text, start, end) => return None,
            Reach::Word => {}
            Reach::Encoded => {
                start -= text[..start]
                    .iter()
                    .rev()
                    .take_while(|it| super::encoded::may_be(**it))
                    .count();
                end += text[end..].iter().take_while(|it| super::encoded::may_be(**it)).count();
            }
        }
        Some(Span { start, end, rank, name: self.name.clone() })
    }
}

/// Whether no letter, digit or `_` goes on from what is one at its ends.
fn is_word(text: &[u8], start: usize, end: usize) -> bool {
    let of_word =
        |byte: Option<&u8>| byte.is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
    let before = start.checked_sub(1).and_then(|index| text.get(index));
    let goes_on_before = of_word(before) && of_word(text.get(start));
    let goes_on_after = of_word(text.get(end)) && of_word(text.get(end - 1));
    !goes_on_before && !goes_on_after
}

/// The text with what the spans cover replaced; spans that overlap are one.
fn replaced(text: &[u8], mut spans: Vec<Span>) -> Vec<u8> {
    spans.retain(|span| span.start < span.end);
    spans.sort_by_key(|span| span.start);
    let mut result = Vec::with_capacity(text.len());
    let mut copied = 0;
    let mut spans = spans.into_iter().peekable();
    while let Some(mut span) = spans.next() {
        while let Some(next) = spans.next_if(|next| next.start < span.end) {
            span.end = span.end.max(next.end);
            if next.rank > span.rank {
                (span.rank, span.name) = (next.rank, next.name);
            }
        }
        result.extend_from_slice(&text[copied..span.start]);
        result.extend_from_slice(format!("[masked: {}]", span.name).as_bytes());
        copied = span.end;
    }
    result.extend_from_slice(&text[copied..]);
    result
}

#[cfg(test)]
pub(crate) mod tests;
