//! `pyproject.toml`: the `[project]` table (PEP 621) and setuptools' own settings.

use std::path::Path;

use indexmap::IndexMap;
use toml::{Table, Value};

use super::declared::{Declared, EntryPoints, malformed};
use super::requirements;
use crate::commands::dev::source::tree::Tree;
use crate::error::Result;
use crate::model::requirement::Conditional;

const FILE: &str = "pyproject.toml";

/// What the file declares; nothing when it is missing.
pub(super) fn read(tree: &Tree) -> Result<Declared> {
    let Some(text) = tree.read(Path::new(FILE))? else { return Ok(Declared::default()) };
    let table: Table = text.parse().map_err(|error| malformed(tree, FILE, error))?;
    let file = Value::Table(table);
    let project = at(&file, &["project"]);
    let string = |key: &str| Some(project?.get(key)?.as_str()?.to_owned());
    Ok(Declared {
        name: string("name"),
        version: string("version"),
        requires_python: string("requires-python"),
        requirements: required(tree, &file)?,
        extras: extras(tree, &file)?,
        entry_points: entry_points(project),
        script_files: strings(at(&file, &["tool", "setuptools", "script-files"])),
        packages: packages(&file),
        package_roots: package_roots(&file),
    })
}

fn at<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

/// A string, or a list of them.
fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// What is dynamic is found out otherwise; a project that is silent needs nothing.
fn required(tree: &Tree, file: &Value) -> Result<Option<Vec<Conditional>>> {
    let Some(project) = at(file, &["project"]) else { return Ok(None) };
    if project.get("dependencies").is_some() {
        return named(tree, project.get("dependencies"), "dependencies").map(Some);
    }
    if !strings(project.get("dynamic")).iter().any(|it| it == "dependencies") {
        return Ok(Some(Vec::new()));
    }
    let files = at(file, &["tool", "setuptools", "dynamic", "dependencies", "file"]);
    from_files(tree, &strings(files))
}

/// The requirements of a list below a key.
fn named(tree: &Tree, list: Option<&Value>, key: &str) -> Result<Vec<Conditional>> {
    let mut found = Vec::new();
    for text in strings(list) {
        let required = requirements::requirement(&text);
        let wrong = |reason| malformed(tree, FILE, format!("below `{key}`: {reason}"));
        found.extend(required.map_err(wrong)?);
    }
    Ok(found)
}

fn from_files(tree: &Tree, files: &[String]) -> Result<Option<Vec<Conditional>>> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for file in files {
        found.extend(requirements::included(tree, Path::new(file), FILE)?.unwrap_or_default());
    }
    Ok(Some(found))
}

fn extras(tree: &Tree, file: &Value) -> Result<IndexMap<String, Vec<Conditional>>> {
    let mut extras = IndexMap::new();
    let listed = at(file, &["project", "optional-dependencies"]).and_then(Value::as_table);
    for (extra, required) in listed.into_iter().flatten() {
        extras.insert(extra.clone(), named(tree, Some(required), extra)?);
    }
    let dynamic = at(file, &["tool", "setuptools", "dynamic", "optional-dependencies"]);
    for (extra, from) in dynamic.and_then(Value::as_table).into_iter().flatten() {
        if let Some(required) = from_files(tree, &strings(from.get("file")))? {
            extras.insert(extra.clone(), required);
        }
    }
    Ok(extras)
}

fn entry_points(project: Option<&Value>) -> EntryPoints {
    let mut groups = EntryPoints::new();
    let mut add = |group: &str, table: Option<&Value>| {
        let entries = table.and_then(Value::as_table).into_iter().flatten();
        let entries: IndexMap<String, String> = entries
            .filter_map(|(name, target)| Some((name.clone(), target.as_str()?.to_owned())))
            .collect();
        if !entries.is_empty() {
            groups.insert(group.to_owned(), entries);
        }
    };
    let Some(project) = project else { return groups };
    add("console_scripts", project.get("scripts"));
    add("gui_scripts", project.get("gui-scripts"));
    let named = project.get("entry-points").and_then(Value::as_table);
    for (group, table) in named.into_iter().flatten() {
        add(group, Some(table));
    }
    groups
}

fn packages(file: &Value) -> Vec<String> {
    let mut names = strings(at(file, &["tool", "setuptools", "packages"]));
    names.extend(strings(at(file, &["tool", "setuptools", "py-modules"])));
    names
}

fn package_roots(file: &Value) -> Vec<String> {
    let mut roots = strings(at(file, &["tool", "setuptools", "packages", "find", "where"]));
    roots.extend(strings(at(file, &["tool", "setuptools", "package-dir", ""])));
    roots.dedup();
    roots
}
