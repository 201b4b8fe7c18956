//! What the files of a project say, each for itself.

use indexmap::IndexMap;

use crate::commands::dev::source::tree::Tree;
use crate::error::{Error, ErrorKind};
use crate::model::requirement::Conditional;

/// Entry points by group, then by name: `console_scripts`, `heat.clients`, …
pub type EntryPoints = IndexMap<String, IndexMap<String, String>>;

/// What one file declares; what it is silent about may stand in another.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) requires_python: Option<String>,
    pub(super) requirements: Option<Vec<Conditional>>,
    pub(super) extras: IndexMap<String, Vec<Conditional>>,
    pub(super) entry_points: EntryPoints,
    /// Files that are programs as they stand, by their paths below the root.
    pub(super) script_files: Vec<String>,
    pub(super) packages: Vec<String>,
    pub(super) package_roots: Vec<String>,
}

impl Declared {
    /// Takes from `other` what this one lacks.
    pub(super) fn complete(&mut self, other: Self) {
        self.requires_python = self.requires_python.take().or(other.requires_python);
        self.requirements = self.requirements.take().or(other.requirements);
        for (extra, requirements) in other.extras {
            self.extras.entry(extra).or_insert(requirements);
        }
        for (group, entries) in other.entry_points {
            let group = self.entry_points.entry(group).or_default();
            for (name, target) in entries {
                group.entry(name).or_insert(target);
            }
        }
        if self.script_files.is_empty() {
            self.script_files = other.script_files;
        }
        if self.packages.is_empty() {
            self.packages = other.packages;
        }
        if self.package_roots.is_empty() {
            self.package_roots = other.package_roots;
        }
    }
}

/// A distribution's name as indexes compare it: lower case, with one `-` for each run of `-_.`.
pub fn normalize(name: &str) -> String {
    let lower = name.to_lowercase();
    let parts = lower.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

/// An error about what a file of the project says.
pub(super) fn malformed(tree: &Tree, file: &str, reason: impl std::fmt::Display) -> Error {
    let file = tree.root().join(file);
    Error::new(ErrorKind::Usage, format!("read {}", file.display())).because(reason)
}
