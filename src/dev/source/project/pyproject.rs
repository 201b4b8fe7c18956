//! `pyproject.toml`: the `[project]` table (PEP 621) and setuptools' own settings.

use std::path::Path;

use indexmap::IndexMap;
use toml::{Table, Value};

use super::{Declared, EntryPoints, malformed, requirements, text_of};
use crate::error::Result;

const FILE: &str = "pyproject.toml";

/// What the file declares; nothing when it is missing.
pub(super) fn read(root: &Path) -> Result<Declared> {
    let Some(text) = text_of(root, Path::new(FILE))? else { return Ok(Declared::default()) };
    let table: Table = text.parse().map_err(|error| malformed(root, FILE, error))?;
    let file = Value::Table(table);
    let project = at(&file, &["project"]);
    let string = |key: &str| Some(project?.get(key)?.as_str()?.to_owned());
    Ok(Declared {
        name: string("name"),
        version: string("version"),
        requires_python: string("requires-python"),
        requirements: required(root, &file)?,
        extras: extras(root, &file)?,
        entry_points: entry_points(project),
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
fn required(root: &Path, file: &Value) -> Result<Option<Vec<String>>> {
    let Some(project) = at(file, &["project"]) else { return Ok(None) };
    if project.get("dependencies").is_some() {
        return Ok(Some(strings(project.get("dependencies"))));
    }
    if !strings(project.get("dynamic")).iter().any(|it| it == "dependencies") {
        return Ok(Some(Vec::new()));
    }
    let files = at(file, &["tool", "setuptools", "dynamic", "dependencies", "file"]);
    from_files(root, &strings(files))
}

fn from_files(root: &Path, files: &[String]) -> Result<Option<Vec<String>>> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for file in files {
        found.extend(requirements::file(root, Path::new(file))?.unwrap_or_default());
    }
    Ok(Some(found))
}

fn extras(root: &Path, file: &Value) -> Result<IndexMap<String, Vec<String>>> {
    let mut extras = IndexMap::new();
    let listed = at(file, &["project", "optional-dependencies"]).and_then(Value::as_table);
    for (extra, required) in listed.into_iter().flatten() {
        extras.insert(extra.clone(), strings(Some(required)));
    }
    let dynamic = at(file, &["tool", "setuptools", "dynamic", "optional-dependencies"]);
    for (extra, from) in dynamic.and_then(Value::as_table).into_iter().flatten() {
        if let Some(required) = from_files(root, &strings(from.get("file")))? {
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
