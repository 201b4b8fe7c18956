//! Which directories of a tree Python can import from, and what.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Declared, normalize};
use crate::error::{Error, ErrorKind, Result};

/// Directories beside the packages that are packages for other ends (setuptools leaves them out,
/// too).
const BESIDE: [&str; 12] = [
    "api-ref",
    "build",
    "ci",
    "devstack",
    "dist",
    "doc",
    "docs",
    "examples",
    "releasenotes",
    "test",
    "tests",
    "tools",
];

/// Where packages are, and their names.
pub(super) struct Found {
    pub import_roots: Vec<String>,
    pub packages: Vec<String>,
}

/// Finds the packages that are declared, else the one that is named as the project is, else all.
pub(super) fn find(root: &Path, name: &str, declared: &Declared) -> Result<Found> {
    let roots: Vec<String> = if declared.package_roots.is_empty() {
        vec![String::new(), "src".to_owned()]
    } else {
        declared.package_roots.iter().map(|root| plain(root)).collect()
    };
    let named: BTreeSet<String> = declared.packages.iter().map(|it| top_level(it)).collect();
    let own = normalize(name).replace('-', "_");
    let found = in_all(root, &roots, |directory| {
        named.iter().filter(|package| importable(directory, package)).cloned().collect()
    });
    let found = found.or_else(|| {
        in_all(root, &roots, |directory| {
            if importable(directory, &own) { vec![own.clone()] } else { Vec::new() }
        })
    });
    found.or_else(|| in_all(root, &roots, everything_in)).ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("find the packages of `{name}`"))
            .because(format!("{} has none that Python could import", root.display()))
    })
}

/// What `packages_in` finds below each of `roots`; none when it finds nothing at all.
fn in_all(
    root: &Path,
    roots: &[String],
    packages_in: impl Fn(&Path) -> Vec<String>,
) -> Option<Found> {
    let mut found = Found { import_roots: Vec::new(), packages: Vec::new() };
    for import_root in roots {
        let packages = packages_in(&root.join(import_root));
        if !packages.is_empty() {
            found.import_roots.push(import_root.clone());
            found.packages.extend(packages);
        }
    }
    found.packages.sort();
    found.packages.dedup();
    (!found.packages.is_empty()).then_some(found)
}

/// A directory below the root without what says nothing: `.` is the root itself.
fn plain(import_root: &str) -> String {
    import_root.trim_start_matches("./").trim_end_matches('/').trim_matches('.').to_owned()
}

/// `a` of `a.b` and of `a/b`.
fn top_level(package: &str) -> String {
    package.split(['.', '/']).next().unwrap_or(package).to_owned()
}

fn importable(directory: &Path, name: &str) -> bool {
    !name.is_empty()
        && (directory.join(name).is_dir() || directory.join(format!("{name}.py")).is_file())
}

fn everything_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.path().join("__init__.py").is_file());
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !BESIDE.contains(&name.as_str())).collect()
}
