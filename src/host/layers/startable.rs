//! Whether all is there that a kind's units need to start, by systemd.unit(5) and systemd.exec(5): told
//! from the layers, before a container is made of them.
//!
//! Every unit is followed through what it requires, and each of these is looked at: whether it is there
//! and not masked, whether its programs, their interpreters and the files that its start names are there,
//! and whether a condition would have systemd pass over it in silence. What is below `/etc`, `/usr` and
//! `/opt` comes from a layer or is written before the units start. What is elsewhere may be made by
//! whoever starts first, and is not asked for; nor is what a `-` makes optional, or what only systemd
//! can expand.

mod programs;
mod unit_file;
mod view;
mod wsgi;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use unit_file::Settings;
use view::{DIRECTORIES, Unit, View, stays};

use crate::model::startup::Startup;

/// Kinds of units that are there without a file.
const IMPLICIT: [&str; 6] = [".mount", ".automount", ".device", ".swap", ".slice", ".scope"];

/// Settings by which a unit does not start where another does not.
const REQUIRING: [&str; 3] = ["Unit.Requires", "Unit.BindsTo", "Unit.Requisite"];

/// No container has so many units: a template that requires others of itself has no end.
const MOST_UNITS: usize = 10_000;

/// Sentences that name what is missing; none where all is there.
pub(super) fn problems(layers: &[PathBuf], startup: &Startup) -> io::Result<Vec<String>> {
    let view = View::new(layers, startup);
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let named = |unit: &String| Start { unit: unit.clone(), required_by: None };
    let mut ahead: Vec<Start> = startup.units.iter().rev().map(named).collect();
    while let Some(start) = ahead.pop() {
        let implicit = IMPLICIT.iter().any(|suffix| start.unit.ends_with(suffix));
        if !implicit && seen.len() < MOST_UNITS && seen.insert(start.unit.clone()) {
            let required = start.look(&view, &mut problems)?;
            ahead.extend(required.into_iter().rev());
        }
    }
    for file in &startup.files {
        problems.extend(wsgi::problem(&view, file)?);
    }
    Ok(problems)
}

/// The instance that a name is of; empty where it is none's.
fn instance(name: &str) -> &str {
    name.split_once('@').and_then(|(_, rest)| rest.rsplit_once('.')).map_or("", |(it, _)| it)
}

/// A unit that starts.
struct Start {
    unit: String,
    /// The unit for which it starts, if nobody names it.
    required_by: Option<String>,
}

impl Start {
    /// Adds what it does not find; returns what it requires.
    fn look(&self, view: &View<'_>, problems: &mut Vec<String>) -> io::Result<Vec<Self>> {
        let name = &self.unit;
        let what = match &self.required_by {
            Some(other) => format!("{other} requires {name}, which"),
            None => name.clone(),
        };
        let settings = match view.unit(name)? {
            Unit::There(settings) => settings,
            Unit::Masked => {
                problems.push(format!("{what} is masked"));
                return Ok(Vec::new());
            }
            Unit::Missing => {
                problems.push(format!("{what} is not there"));
                return Ok(Vec::new());
            }
        };
        if let Some(problem) = passed_over(view, name, &settings)? {
            // What another requires is met by it.
            problems.extend(self.required_by.is_none().then_some(problem));
            return Ok(Vec::new());
        }
        problems.extend(programs::problems(view, name, &settings)?);
        let mut required: Vec<String> = REQUIRING
            .iter()
            .flat_map(|setting| settings.values(setting))
            .flat_map(|value| value.split_whitespace())
            .map(|other| other.replace("%i", instance(name)))
            .filter(|other| !other.contains('%'))
            .collect();
        for directory in DIRECTORIES {
            required.extend(view.names(&format!("{directory}/{name}.requires"))?);
        }
        let start = |unit| Self { unit, required_by: Some(name.clone()) };
        Ok(required.into_iter().map(start).collect())
    }
}

/// A unit whose condition does not hold is not started, and nothing says so.
fn passed_over(view: &View<'_>, name: &str, settings: &Settings) -> io::Result<Option<String>> {
    for setting in ["Unit.ConditionPathExists", "Unit.AssertPathExists"] {
        for path in settings.values(setting).iter().filter(|path| stays(path)) {
            if !view.exists(path)? && !view.may_be_made(path, &[]) {
                let key = setting.trim_start_matches("Unit.");
                return Ok(Some(format!("{name} has {key}={path}, which is not there")));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
