//! `PKG-INFO`, which only source archives have: what the project declared when one was made.

use std::path::Path;

use super::declared::{Declared, malformed};
use crate::commands::dev::source::tree::Tree;
use crate::error::Result;
use crate::model::requirement::{Conditional, not_taken};

const FILE: &str = "PKG-INFO";

/// What the file declares; nothing when it is missing.
pub(super) fn read(tree: &Tree) -> Result<Declared> {
    let Some(text) = tree.read(Path::new(FILE))? else { return Ok(Declared::default()) };
    let mut declared = Declared::default();
    let mut requirements = Vec::new();
    // The description comes after the first empty line.
    for (index, line) in text.lines().enumerate().take_while(|(_, line)| !line.is_empty()) {
        let Some((key, value)) = line.split_once(": ") else { continue };
        let value = value.trim().to_owned();
        match key {
            "Name" => declared.name = Some(value),
            "Version" => declared.version = Some(value),
            "Requires-Python" => declared.requires_python = Some(value),
            "Provides-Extra" => {
                declared.extras.entry(value).or_default();
            }
            "Requires-Dist" => {
                let (extra, required) = match of_extra(&value) {
                    Some((extra, required)) => (Some(extra), required),
                    None => (None, value),
                };
                let required = Conditional::parse(&required).map_err(|reason| {
                    let reason = not_taken(&required, &reason);
                    malformed(tree, FILE, format!("line {}: {reason}", index + 1))
                })?;
                match extra {
                    Some(extra) => declared.extras.entry(extra).or_default().push(required),
                    None => requirements.push(required),
                }
            }
            _ => {}
        }
    }
    if !requirements.is_empty() {
        declared.requirements = Some(requirements);
    }
    Ok(declared)
}

/// The extra that a requirement is for, and the requirement without that condition.
fn of_extra(requirement: &str) -> Option<(String, String)> {
    let (required, marker) = requirement.split_once(';')?;
    let mut extra = None;
    let others: Vec<&str> = marker
        .split(" and ")
        .map(str::trim)
        .filter(|condition| match condition.strip_prefix("extra") {
            Some(rest) => {
                let name = rest.trim_start_matches([' ', '=']).trim_matches(['"', '\'']);
                extra = Some(name.to_owned());
                false
            }
            None => true,
        })
        .collect();
    let required = required.trim();
    let rest = if others.is_empty() {
        required.to_owned()
    } else {
        format!("{required}; {}", others.join(" and "))
    };
    extra.map(|extra| (extra, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_on_an_extra_is_taken_out() {
        let of = |text| of_extra(text).unwrap();
        assert_eq!(of("a>=1; extra == \"ldap\""), ("ldap".to_owned(), "a>=1".to_owned()));
        let (extra, rest) = of("b; python_version < '3.12' and extra == 'test'");
        assert_eq!((extra.as_str(), rest.as_str()), ("test", "b; python_version < '3.12'"));
        assert_eq!(of_extra("c; python_version < '3.12'"), None);
        assert_eq!(of_extra("d>=1"), None);
    }
}
