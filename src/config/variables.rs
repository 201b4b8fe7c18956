//! The values of variables: profiles' defaults, then the scenario's, then `user_variables.yml`,
//! then what `--set` wrote to `cloud.yml`. A later one wins. Each value's origin is kept.
//!
//! `user_variables.yml` may also name packages that a container kind gets besides its own:
//! `packages.KIND: [NAME…]`.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

use super::load::{Profiles, read_optional};
use super::nearest::unknown;
use super::origin::Origin;
use super::profile::Variable;
use super::scenario::Scenario;
use super::yaml;

/// The values of all variables, and where each came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    pub values: BTreeMap<String, Value>,
    pub origins: BTreeMap<String, Origin>,
    /// Packages of the distribution, by container kind, besides those of its profile.
    pub packages: BTreeMap<String, Vec<String>>,
}

/// What the names of values that are packages begin with.
const PACKAGES: &str = "packages.";

/// Values that a user wrote, not yet checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserVariables {
    entries: Vec<UserValue>,
}

#[derive(Clone, Debug, PartialEq)]
struct UserValue {
    name: String,
    value: Value,
    /// File and line.
    place: String,
    set: bool,
}

impl UserVariables {
    /// Reads `user_variables.yml`; a missing file has no values.
    pub fn load(path: &Path) -> Result<Self> {
        match read_optional(path)? {
            Some(text) => Self::parse(&text, &path.display().to_string()),
            None => Ok(Self::default()),
        }
    }

    /// Reads its text. `file` is what errors call it.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let values: IndexMap<String, Value> = yaml::parse(text, file)?;
        let entries = values.into_iter().map(|(name, value)| {
            let line = yaml::top_level_line(text, &name).map(|line| format!(":{line}"));
            let place = format!("{file}{}", line.unwrap_or_default());
            UserValue { name, value, place, set: false }
        });
        Ok(Self { entries: entries.collect() })
    }

    /// Adds a value of `cloud.yml`, which wins over those already there.
    pub(super) fn add_set(&mut self, name: &str, value: Value, place: String) {
        self.entries.push(UserValue { name: name.to_owned(), value, place, set: true });
    }
}

pub fn resolve_variables(
    profiles: &Profiles,
    scenario: &Scenario,
    user: &UserVariables,
) -> Result<Variables> {
    let mut variables = Variables::default();
    for service in profiles.services.values() {
        for (name, variable) in &service.variables {
            let path = format!("services/{}.yml", service.service);
            let place = profiles.shown_line(&path, &format!("{name}:"));
            variables.put(name, variable.default.clone(), Origin::Profile { place });
        }
    }
    let path = format!("scenarios/{}.yml", scenario.scenario);
    for (name, value) in &scenario.variables {
        let place = profiles.shown_line(&path, &format!("{name}:"));
        check(profiles, name, value, &place)?;
        variables.put(name, value.clone(), Origin::Scenario { place });
    }
    for entry in &user.entries {
        if let Some(kind) = entry.name.strip_prefix(PACKAGES) {
            let packages = packages(profiles, kind, entry)?;
            variables.packages.insert(kind.to_owned(), packages);
            continue;
        }
        check(profiles, &entry.name, &entry.value, &entry.place)?;
        let place = entry.place.clone();
        let origin =
            if entry.set { Origin::Set { place } } else { Origin::UserVariables { place } };
        variables.put(&entry.name, entry.value.clone(), origin);
    }
    Ok(variables)
}

impl Variables {
    fn put(&mut self, name: &str, value: Value, origin: Origin) {
        self.values.insert(name.to_owned(), value);
        self.origins.insert(name.to_owned(), origin);
    }
}

/// The variable of that name, of whatever service.
pub fn find<'a>(profiles: &'a Profiles, name: &str) -> Option<&'a Variable> {
    profiles.services.values().find_map(|service| service.variables.get(name))
}

/// The packages that an entry gives to a container kind.
fn packages(profiles: &Profiles, kind: &str, entry: &UserValue) -> Result<Vec<String>> {
    let place = &entry.place;
    let wrong = |why: &str| Error::new(ErrorKind::Config, format!("{place}: {why}"));
    if profiles.kind(kind).is_none() {
        let known = profiles.kinds().map(|(kind, ..)| kind);
        return Err(unknown(place, "container kind", kind, known));
    }
    let names: Option<Vec<&str>> =
        entry.value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect());
    let complete = entry.value.as_array().map(Vec::len) == names.as_ref().map(Vec::len);
    let Some(names) = names.filter(|_| complete) else {
        return Err(wrong(&format!(
            "`{}` must be a list of packages, as [vim, gdb] is",
            entry.name
        )));
    };
    // A name as Debian's policy has it: nothing that APT would take for an option, a version or a
    // pattern.
    let is_name = |name: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        name.starts_with(plain) && name.chars().all(|c| plain(c) || "+-.".contains(c))
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(wrong(&format!("`{name}` is not a package's name"))),
        None => Ok(names.into_iter().map(str::to_owned).collect()),
    }
}

fn check(profiles: &Profiles, name: &str, value: &Value, place: &str) -> Result<()> {
    let Some(variable) = find(profiles, name) else {
        let known = profiles.services.values().flat_map(|service| service.variables.keys());
        return Err(unknown(place, "variable", name, known.map(String::as_str)));
    };
    match mismatch(variable, value) {
        Some(reason) => {
            Err(Error::new(ErrorKind::Config, format!("{place}: variable `{name}` {reason}"))
                .hint(format!("`{name}`: {}", variable.description)))
        }
        None => Ok(()),
    }
}

pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Returns why a variable cannot have that value.
pub fn mismatch(variable: &Variable, value: &Value) -> Option<String> {
    let (wanted, found) = (type_of(&variable.default), type_of(value));
    // A whole number is a number.
    if wanted != found && !(variable.default.is_f64() && value.is_number()) {
        return Some(format!("must be {wanted}, not {found}"));
    }
    if variable.choices.is_empty() || variable.choices.contains(value) {
        return None;
    }
    let choices: Vec<String> = variable.choices.iter().map(plain).collect();
    Some(format!("must be one of {}, not {}", choices.join(", "), plain(value)))
}

/// A value written on the command line, in the type of the variable.
pub fn from_text(variable: &Variable, text: &str) -> Result<Value, String> {
    let value = match &variable.default {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Bool(_) => match text {
            "true" | "yes" | "on" => Value::Bool(true),
            "false" | "no" | "off" => Value::Bool(false),
            _ => return Err(format!("must be true or false, not `{text}`")),
        },
        default => serde_yaml::from_str(text)
            .map_err(|_| format!("must be {}, not `{text}`", type_of(default)))?,
    };
    mismatch(variable, &value).map_or(Ok(value), Err)
}

/// A value as a user would write it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
#[path = "variables_tests.rs"]
mod tests;
