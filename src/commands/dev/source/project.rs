//! What Python project stands in a work tree: what its installation would write down about it.
//!
//! Nothing is run and nothing is built: the declarations are read where each project of OpenStack
//! keeps them, `pyproject.toml` before `setup.cfg` (in the ways of pbr and of setuptools) before the
//! `PKG-INFO` of a source archive.

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::tree::Tree;
use crate::error::{Error, ErrorKind, Result};
use crate::model::requirement::Conditional;

mod check;
mod declared;
mod dist_info;
mod packages;
mod pkg_info;
mod pyproject;
mod requirements;
mod scripts;
mod setup_cfg;
mod version;

pub use declared::{EntryPoints, normalize};
pub use scripts::is_dotted;
pub use version::next_development;

/// A Python project.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Project {
    /// Distribution name as its authors write it.
    pub name: String,
    /// The same as indexes compare it (PEP 503): `oslo-messaging`.
    pub normalized_name: String,
    /// Its version: that of the nearest tag, counted on, or what an archive says, or `0.0.0`.
    pub version: String,
    /// The directories of the tree that belong on Python's path, relative to its root: `""` or `src`, mostly.
    pub import_roots: Vec<String>,
    /// What it needs, without extras.
    pub requirements: Vec<Conditional>,
    /// What each of its extras needs in addition.
    pub extras: IndexMap<String, Vec<Conditional>>,
    /// The versions of Python it is for.
    pub requires_python: Option<String>,
    /// What it registers for others to find, console scripts included.
    pub entry_points: EntryPoints,
    /// Files of it that are Python's programs as they stand, by their paths relative to its root.
    pub script_files: Vec<String>,
}

/// The files at its root in which a project declares what it is and has.
const DECLARATIONS: [&str; 3] = ["pyproject.toml", "setup.cfg", "PKG-INFO"];

/// Whether a project declares something in this file, whose path is relative to its root.
pub fn declares(file: &Path) -> bool {
    DECLARATIONS.iter().any(|it| file == Path::new(it))
}

impl Project {
    /// Reads the project in the work tree `root`.
    ///
    /// # Errors
    /// When there is none, when one of its files is malformed or leads out of the tree, when it asks
    /// for what is no requirement, and when nothing can be imported from the tree.
    pub fn read(root: &Path) -> Result<Self> {
        let tree = &Tree::open(root)?;
        let pyproject = pyproject::read(tree)?;
        let setup_cfg = setup_cfg::read(tree)?;
        let pkg_info = pkg_info::read(tree)?;
        let name = [&pyproject, &setup_cfg, &pkg_info].into_iter().find_map(|it| it.name.clone());
        let name = name.ok_or_else(|| no_project(root))?;
        let version = pyproject
            .version
            .clone()
            .or_else(|| version::from_tags(root))
            .or_else(|| setup_cfg.version.clone())
            .or_else(|| pkg_info.version.clone());
        let mut all = pyproject;
        all.complete(setup_cfg);
        if all.requirements.is_none() {
            all.requirements = requirements::file(tree, Path::new("requirements.txt"))?;
        }
        all.complete(pkg_info);
        let import_roots = packages::import_roots(tree, &name, &all)?;
        let files = all.script_files.iter().map(|file| file.trim_start_matches("./").to_owned());
        all.script_files = files.filter(|file| is_python(tree, Path::new(file))).collect();
        let project = Self {
            normalized_name: normalize(&name),
            name,
            version: version.unwrap_or_else(|| "0.0.0".to_owned()),
            import_roots,
            requirements: all.requirements.unwrap_or_default(),
            extras: all.extras,
            requires_python: all.requires_python,
            entry_points: all.entry_points,
            script_files: all.script_files,
        };
        project.checked()
    }
}

/// Whether a file says in its first line that Python runs it.
fn is_python(tree: &Tree, file: &Path) -> bool {
    let text = tree.read(file).ok().flatten().unwrap_or_default();
    text.lines().next().is_some_and(|first| first.starts_with("#!") && first.contains("python"))
}

fn no_project(root: &Path) -> Error {
    Error::new(ErrorKind::Usage, format!("read the Python project in {}", root.display()))
        .because("no pyproject.toml, setup.cfg or PKG-INFO there names one")
        .hint("Give the root of the project's work tree.")
}

#[cfg(test)]
mod tests;
