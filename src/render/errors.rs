//! Template errors for people: file, line, the undefined name and the nearest known one.
//!
//! The template engine's own errors are never kept as they are: what they say differs between debug
//! and release builds, and may hold values.

use std::error::Error as _;
use std::ops::Range;

use minijinja::{ErrorKind as TemplateErrorKind, Value};

use crate::config::nearest::suggestion;
use crate::error::{Error, ErrorKind};

/// What is known about a failed template.
pub struct Failed<'a> {
    /// What templates see.
    pub context: &'a Value,
    /// The text of a template by its name, and what errors call it.
    pub source: &'a dyn Fn(&str) -> Option<(&'a str, String)>,
    /// Values that no message may hold, with what to write for them.
    pub secrets: &'a [(String, String)],
}

impl Failed<'_> {
    /// Turns an error of the engine into ours.
    pub fn explain(&self, error: &minijinja::Error) -> Error {
        let (cause, place) = innermost(error);
        let (text, shown) = match place.name().and_then(self.source) {
            Some((text, shown)) => (text, shown),
            None => ("", "template".to_owned()),
        };
        let line = place.line().map(|line| format!(":{line}")).unwrap_or_default();
        let expression = place.range().and_then(|range| subject(text, range));
        let (reason, hint) = match (cause.kind(), expression) {
            (TemplateErrorKind::UndefinedError, Some(expression)) => {
                (format!("`{expression}` is not defined"), self.nearest(expression))
            }
            (kind, _) => (format!("{kind}{}", detail(cause)), None),
        };
        let message = self.without_secrets(&format!("{shown}{line}: {reason}"));
        Error::new(ErrorKind::Config, message).hints(hint)
    }

    /// The nearest known name for the first part of `secrets.heat_pasword` that is not defined.
    /// Names that a template gives itself (of a loop, say) are not known here.
    fn nearest(&self, expression: &str) -> Option<String> {
        let mut value = self.context.clone();
        for part in expression.split('.') {
            match value.get_attr(part).ok().filter(|inner| !inner.is_undefined()) {
                Some(inner) => value = inner,
                None => {
                    let known = value.try_iter().ok()?.map(|key| key.to_string());
                    let known: Vec<String> = known.collect();
                    return suggestion(part, known.iter().map(String::as_str));
                }
            }
        }
        None
    }

    fn without_secrets(&self, message: &str) -> String {
        self.secrets
            .iter()
            .filter(|(value, _)| !value.is_empty())
            .fold(message.to_owned(), |message, (value, name)| message.replace(value, name))
    }
}

/// The expression at `range`. An error about what a filter got points at the filter's name: then
/// the name that stands before it.
fn subject(text: &str, range: Range<usize>) -> Option<&str> {
    let before = text.get(..range.start)?.trim_end();
    let Some(before) = before.strip_suffix('|').map(str::trim_end) else {
        return text.get(range).map(str::trim);
    };
    let of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let start = before.trim_end_matches(of_name).len();
    Some(&before[start..]).filter(|name| !name.is_empty())
}

fn detail(error: &minijinja::Error) -> String {
    error.detail().map(|detail| format!(": {detail}")).unwrap_or_default()
}

/// The first cause of an error, and the innermost of its errors that knows its place: an error in
/// an included template stands beneath one about the include.
fn innermost(error: &minijinja::Error) -> (&minijinja::Error, &minijinja::Error) {
    let (mut cause, mut place) = (error, error);
    while let Some(inner) =
        cause.source().and_then(|source| source.downcast_ref::<minijinja::Error>())
    {
        cause = inner;
        if inner.line().is_some() {
            place = inner;
        }
    }
    (cause, place)
}
