//! Which directories of a tree Python can import from, and what.

use std::collections::BTreeSet;
use std::path::Path;

use super::declared::{Declared, normalize};
use crate::commands::dev::source::tree::{Kind, Tree};
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
pub(super) fn import_roots(tree: &Tree, name: &str, declared: &Declared) -> Result<Vec<String>> {
    let roots: Vec<String> = if declared.package_roots.is_empty() {
        vec![String::new(), "src".to_owned()]
    } else {
        declared.package_roots.iter().map(|root| plain(root)).collect()
    };
    let with = |has: &dyn Fn(&Path) -> bool| -> Option<Vec<String>> {
        let found = roots.iter().filter(|it| has(Path::new(it))).cloned().collect::<Vec<_>>();
        (!found.is_empty()).then_some(found)
    };
    let named: BTreeSet<String> = declared.packages.iter().map(|it| top_level(it)).collect();
    let own = normalize(name).replace('-', "_");
    with(&|directory| named.iter().any(|package| importable(tree, directory, package)))
        .or_else(|| with(&|directory| importable(tree, directory, &own)))
        .or_else(|| with(&|directory| has_package(tree, directory)))
        .ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("find the packages of `{name}`"))
                .because(format!("{} has none that Python could import", tree.root().display()))
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

fn importable(tree: &Tree, directory: &Path, name: &str) -> bool {
    !name.is_empty()
        && (tree.is_directory(&directory.join(name))
            || tree.is_file(&directory.join(format!("{name}.py"))))
}

fn has_package(tree: &Tree, directory: &Path) -> bool {
    let directories = tree.entries(directory).into_iter().filter(|(_, kind)| *kind != Kind::Other);
    let mut packages =
        directories.filter(|(name, _)| tree.is_file(&directory.join(name).join("__init__.py")));
    packages.any(|(name, _)| name.to_str().is_some_and(|name| !BESIDE.contains(&name)))
}
