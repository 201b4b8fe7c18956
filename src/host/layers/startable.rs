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

/// Sentences that name what is missing; none where all is there.
pub(super) fn problems(layers: &[PathBuf], startup: &Startup) -> io::Result<Vec<String>> {
    let view = View { layers, startup };
    let mut check = Check { view: &view, seen: BTreeSet::new(), problems: Vec::new() };
    for unit in &startup.units {
        check.follow(unit, None)?;
    }
    let mut problems = check.problems;
    for file in &startup.files {
        problems.extend(wsgi::problem(&view, file)?);
    }
    Ok(problems)
}

/// The instance that a name is of; empty where it is none's.
fn instance(name: &str) -> &str {
    name.split_once('@').and_then(|(_, rest)| rest.rsplit_once('.')).map_or("", |(it, _)| it)
}

struct Check<'a> {
    view: &'a View<'a>,
    seen: BTreeSet<String>,
    problems: Vec<String>,
}

impl Check<'_> {
    /// Looks at a unit and all that it requires.
    fn follow(&mut self, name: &str, required_by: Option<&str>) -> io::Result<()> {
        if IMPLICIT.iter().any(|suffix| name.ends_with(suffix))
            || !self.seen.insert(name.to_owned())
        {
            return Ok(());
        }
        let what = match required_by {
            Some(other) => format!("{other} requires {name}, which"),
            None => name.to_owned(),
        };
        let settings = match self.view.unit(name)? {
            Unit::There(settings) => settings,
            Unit::Masked => {
                self.problems.push(format!("{what} is masked"));
                return Ok(());
            }
            Unit::Missing => {
                self.problems.push(format!("{what} is not there"));
                return Ok(());
            }
        };
        if required_by.is_none() {
            self.passed_over(name, &settings)?;
        }
        self.problems.extend(programs::problems(self.view, name, &settings)?);
        let mut required: Vec<String> = REQUIRING
            .iter()
            .flat_map(|setting| settings.values(setting))
            .flat_map(|value| value.split_whitespace())
            .map(|other| other.replace("%i", instance(name)))
            .filter(|other| !other.contains('%'))
            .collect();
        for directory in DIRECTORIES {
            required.extend(self.view.names(&format!("{directory}/{name}.requires"))?);
        }
        for other in required {
            self.follow(&other, Some(name))?;
        }
        Ok(())
    }

    /// A unit whose condition does not hold is not started, and nothing says so.
    fn passed_over(&mut self, name: &str, settings: &Settings) -> io::Result<()> {
        for setting in ["Unit.ConditionPathExists", "Unit.AssertPathExists"] {
            for path in settings.values(setting).iter().filter(|path| stays(path)) {
                if !self.view.exists(path)? {
                    let key = setting.trim_start_matches("Unit.");
                    self.problems.push(format!("{name} has {key}={path}, which is not there"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
