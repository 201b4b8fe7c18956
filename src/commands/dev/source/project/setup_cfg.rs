//! `setup.cfg`, as pbr and as setuptools read it.

use std::path::Path;

use indexmap::IndexMap;

use super::declared::{Declared, EntryPoints, malformed};
use super::requirements;
use crate::commands::dev::source::tree::Tree;
use crate::error::Result;
use crate::host::python::ini::{Ini, value_lines};
use crate::model::requirement::Conditional;

const FILE: &str = "setup.cfg";

/// What the file declares; nothing when it is missing.
pub(super) fn read(tree: &Tree) -> Result<Declared> {
    let Some(text) = tree.read(Path::new(FILE))? else { return Ok(Declared::default()) };
    let ini = Ini::parse(&text).map_err(|reason| malformed(tree, FILE, reason))?;
    let version = ini.get("metadata", "version");
    let requires_python = ini
        .get("options", "python_requires")
        .or_else(|| ini.get("metadata", "python_requires"))
        .or_else(|| ini.get("metadata", "requires_python"));
    Ok(Declared {
        name: ini.get("metadata", "name").map(str::to_owned),
        // It may be taken from a file or from an attribute of the code, which is not run here.
        version: version.filter(|it| !it.contains(':')).map(str::to_owned),
        requires_python: requires_python.map(str::to_owned),
        requirements: required(tree, &ini)?,
        extras: extras(tree, &ini)?,
        entry_points: entry_points(&ini),
        script_files: script_files(&ini),
        packages: packages(&ini),
        package_roots: package_roots(&ini),
    })
}

fn required(tree: &Tree, ini: &Ini) -> Result<Option<Vec<Conditional>>> {
    let lines = ini.lines("options", "install_requires");
    if lines.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for line in lines {
        match line.strip_prefix("file:") {
            Some(files) => {
                for file in files.split(',') {
                    let file = requirements::included(tree, Path::new(file.trim()), FILE)?;
                    found.extend(file.unwrap_or_default());
                }
            }
            None => found.extend(named(tree, &line, "install_requires")?),
        }
    }
    Ok(Some(found))
}

fn extras(tree: &Tree, ini: &Ini) -> Result<IndexMap<String, Vec<Conditional>>> {
    let mut extras = IndexMap::new();
    for section in ["extras", "options.extras_require"] {
        for (extra, value) in ini.entries(section) {
            let mut required = Vec::new();
            for line in value_lines(value) {
                required.extend(named(
                    tree,
                    &with_marker(requirements::without_comment(&line)),
                    extra,
                )?);
            }
            extras.insert(extra.to_owned(), required);
        }
    }
    Ok(extras)
}

/// What a line below a key requires.
fn named(tree: &Tree, line: &str, key: &str) -> Result<Option<Conditional>> {
    requirements::requirement(line)
        .map_err(|reason| malformed(tree, FILE, format!("below `{key}`: {reason}")))
}

/// pbr's old way to give a marker, `NAME:(MARKER)`.
fn with_marker(requirement: &str) -> String {
    match requirement.split_once(':') {
        Some((name, marker)) if marker.starts_with('(') => format!("{name}; {marker}"),
        _ => requirement.to_owned(),
    }
}

fn entry_points(ini: &Ini) -> EntryPoints {
    let mut groups = EntryPoints::new();
    for section in ["entry_points", "options.entry_points"] {
        for (group, value) in ini.entries(section) {
            let lines = value_lines(value);
            let pairs = lines.iter().filter_map(|line| line.split_once('='));
            let entries: IndexMap<String, String> = pairs
                .map(|(name, target)| (name.trim().to_owned(), target.trim().to_owned()))
                .collect();
            if !entries.is_empty() {
                groups.entry(group.to_owned()).or_default().extend(entries);
            }
        }
    }
    groups
}

/// What pbr and setuptools copy among the programs.
fn script_files(ini: &Ini) -> Vec<String> {
    let listed = [ini.lines("files", "scripts"), ini.lines("options", "scripts")].concat();
    let paths = listed.iter().flat_map(|line| line.split(','));
    paths.map(|path| path.trim().to_owned()).filter(|path| !path.is_empty()).collect()
}

/// Returns those that are named: `find:` leaves it to what is there.
fn packages(ini: &Ini) -> Vec<String> {
    let keys = [
        ("files", "packages"),
        ("files", "modules"),
        ("options", "packages"),
        ("options", "py_modules"),
    ];
    let listed = keys.iter().flat_map(|(section, key)| ini.lines(section, key));
    let names = listed
        .flat_map(|line| line.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
    names.filter(|name| !name.is_empty() && !name.contains(':')).collect()
}

fn package_roots(ini: &Ini) -> Vec<String> {
    let all = ini.lines("options", "package_dir");
    let by_option = all.iter().filter_map(|line| line.strip_prefix('=')).map(str::trim);
    let found = ini.get("options.packages.find", "where");
    let by_pbr = ini.get("files", "packages_root");
    let mut roots: Vec<String> = by_option.chain(found).chain(by_pbr).map(str::to_owned).collect();
    roots.dedup();
    roots
}
