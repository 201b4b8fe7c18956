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

/// The directories below `root` from which the packages are imported: those that are declared, else
/// the one that is named as the project is, else all.
pub(super) fn import_roots(root: &Path, name: &str, declared: &Declared) -> Result<Vec<String>> {
    let roots: Vec<String> = if declared.package_roots.is_empty() {
        vec![String::new(), "src".to_owned()]
    } else {
        declared.package_roots.iter().map(|root| plain(root)).collect()
    };
    let with = |has: &dyn Fn(&Path) -> bool| -> Option<Vec<String>> {
        let found = roots.iter().filter(|it| has(&root.join(it))).cloned().collect::<Vec<_>>();
        (!found.is_empty()).then_some(found)
    };
    let named: BTreeSet<String> = declared.packages.iter().map(|it| top_level(it)).collect();
    let own = normalize(name).replace('-', "_");
    with(&|directory| named.iter().any(|package| importable(directory, package)))
        .or_else(|| with(&|directory| importable(directory, &own)))
        .or_else(|| with(&has_package))
        .ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("find the packages of `{name}`"))
                .because(format!("{} has none that Python could import", root.display()))
        })
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

fn has_package(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut packages = entries.filter(|entry| entry.path().join("__init__.py").is_file());
    packages.any(|entry| entry.file_name().to_str().is_some_and(|name| !BESIDE.contains(&name)))
}
