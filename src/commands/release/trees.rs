//! The checkouts that a release's projects are built of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::commands::dev::source::clone::{self, Address, Wanted};
use crate::commands::dev::source::git::Watch;
use crate::commands::dev::source::project::next_development;
use crate::commands::dev::source::reader::CheckoutReader;
use crate::error::{Error, ErrorKind, Result};
use crate::host::python::UV;
use crate::state::files;

/// What a project says of itself that has no tag to count from.
const NO_VERSION: &str = "0.0.0";

/// One project's tree.
#[derive(Clone, Debug)]
pub struct Tree {
    pub reader: CheckoutReader,
    pub root: PathBuf,
    /// Normalised: `oslo-messaging`.
    pub name: String,
    pub version: String,
    /// 40 hexadecimal digits.
    pub commit: String,
}

/// What is found beside the trees.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of their names.
    pub trees: Vec<Tree>,
    /// What a user should know, in sentences.
    pub notes: Vec<String>,
}

/// Finds the trees in these places: checkouts, directories of checkouts and addresses to clone from.
/// `known` are the distributions of the release, with the version that each had last, if it had one.
/// Blocks, so it is for a thread that may.
///
/// # Errors
/// When a place has no checkout, one that was named is no part of the release, two are of one project,
/// or a tree is no state to build.
pub fn find(
    places: &[String],
    clones: &Path,
    known: &BTreeMap<String, Option<String>>,
    progress: &mut dyn FnMut(&str),
) -> Result<Found> {
    let mut found = Found::default();
    for place in places {
        match Address::parse(place) {
            Address::Path(path) if !path.exists() => {
                return Err(no_use(place).because("there is nothing of that name"));
            }
            Address::Path(path) if !is_checkout(&path) => {
                let inside = files::entries(&path)?;
                let checkouts: Vec<&PathBuf> = inside.iter().filter(|it| is_checkout(it)).collect();
                if checkouts.is_empty() {
                    return Err(no_use(place).because("there is no git checkout in it").hint(
                        "Give a checkout, a directory of checkouts, or an address to clone from.",
                    ));
                }
                for checkout in checkouts {
                    if let Some(reason) = found.add(checkout, known)? {
                        found.notes.push(format!("left out: {reason}"));
                    }
                }
            }
            _ => {
                let wanted = Wanted { from: place.clone(), reference: None, change: None };
                let mut watch = Watch { progress: &mut *progress, cancelled: &|| false };
                let path = clone::provide(&wanted, clones, &mut watch)?.path;
                if let Some(reason) = found.add(&path, known)? {
                    return Err(no_use(place).because(reason));
                }
            }
        }
    }
    if found.trees.is_empty() {
        let error = no_use(&places.join(", ")).because("no checkout there is part of the release");
        return Err(found.notes.into_iter().fold(error, Error::because));
    }
    found.trees.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

impl Found {
    /// Adds the tree of a checkout, or says why it is no part of the release.
    fn add(
        &mut self,
        path: &Path,
        known: &BTreeMap<String, Option<String>>,
    ) -> Result<Option<String>> {
        let shown = path.display();
        let read = CheckoutReader::find(path).and_then(|reader| Ok((reader.project()?, reader)));
        let (project, reader) = match read {
            Ok(read) => read,
            Err(error) => return Ok(Some(format!("{shown}: {}", error.causes.join("; ")))),
        };
        let name = project.normalized_name;
        if name == UV {
            return Ok(Some(format!("{shown}: `{UV}` installs all others, and is the index's")));
        }
        let Some(last) = known.get(&name) else {
            return Ok(Some(format!("{shown}: the release has no `{name}`")));
        };
        let state = reader.state()?;
        if self.trees.iter().any(|it| it.root == state.root) {
            return Ok(None);
        }
        if let Some(other) = self.trees.iter().find(|it| it.name == name) {
            return Err(no_use(&format!("{} and {shown}", other.root.display()))
                .because(format!("both are `{name}`"))
                .hint("Leave one of them out."));
        }
        let commit = state.commit.ok_or_else(|| {
            no_use(&shown.to_string()).because("it has no commit to build").hint("Commit first.")
        })?;
        if state.dirty {
            self.notes.push(format!("{shown}: what is not committed is not in it"));
        }
        let mut version = project.version;
        if version == NO_VERSION
            && let Some(next) = last.as_deref().and_then(next_development)
        {
            version = next;
            self.notes.push(format!("{shown}: no tag says its version: it is called {version}"));
        }
        self.trees.push(Tree { reader, root: state.root, name, version, commit: commit.id });
        Ok(None)
    }
}

fn no_use(place: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("build the release of {place}"))
}

fn is_checkout(path: &Path) -> bool {
    path.join(".git").symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::source::testing::{git, open_directory, repository, write};

    const PYPROJECT: &str = "[project]\nname = \"NAME\"\n[tool.setuptools]\npackages = [\"app\"]\n";

    fn project(root: &Path, name: &str) {
        let text = PYPROJECT.replace("NAME", name);
        repository(root, &[("pyproject.toml", &*text), ("app/__init__.py", "")]);
    }

    fn known() -> BTreeMap<String, Option<String>> {
        let known =
            |name: &str, version: Option<&str>| (name.to_owned(), version.map(str::to_owned));
        [
            known("nova", Some("34.0.0")),
            known("oslo-messaging", Some("17.3.0")),
            known("new", None),
            known("uv", Some("0.13.9")),
        ]
        .into()
    }

    fn look(places: &[&Path]) -> Result<Found> {
        let places: Vec<String> = places.iter().map(|it| it.display().to_string()).collect();
        find(&places, Path::new("/nowhere"), &known(), &mut |_| {})
    }

    #[test]
    fn a_directory_has_the_releases_projects_and_others() {
        let place = open_directory();
        let path = |name: &str| place.path().join(name);
        project(&path("nova"), "nova");
        git(&path("nova"), &["tag", "35.0.0.0rc1"]);
        project(&path("messaging"), "oslo.messaging");
        project(&path("new"), "new");
        project(&path("devstack"), "devstack");
        repository(&path("docs"), &[("README", "")]);
        write(&path("notes"), &[("x", "")]);
        project(&path("uv"), "uv");
        std::os::unix::fs::symlink("nova", path("zuul")).unwrap();
        write(&path("nova"), &[("app/more.py", "")]);
        let found = look(&[place.path()]).unwrap();
        let told: Vec<_> =
            found.trees.iter().map(|it| format!("{} {}", it.name, it.version)).collect();
        assert_eq!(told, ["new 0.0.0", "nova 35.0.0.0rc1", "oslo-messaging 17.3.1.dev0"]);
        assert!(found.trees.iter().all(|it| it.commit.len() == 40));
        let root = format!("{}/", place.path().canonicalize().unwrap().display());
        let notes = found.notes.join("\n").replace(&root, "");
        insta::assert_snapshot!(notes, @r"
        left out: devstack: the release has no `devstack`
        left out: docs: no pyproject.toml, setup.cfg or PKG-INFO there names one
        messaging: no tag says its version: it is called 17.3.1.dev0
        nova: what is not committed is not in it
        left out: uv: `uv` installs all others, and is the index's
        ");
    }

    #[test]
    fn what_was_named_and_is_no_part_is_refused() {
        let place = open_directory();
        let path = |name: &str| place.path().join(name);
        project(&path("one"), "nova");
        project(&path("two"), "nova");
        project(&path("devstack"), "devstack");
        std::fs::create_dir(path("empty")).unwrap();
        let said = |places: &[&Path]| {
            let error = look(places).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Usage);
            error.causes.join("; ")
        };
        assert!(said(&[&path("devstack")]).ends_with("devstack: the release has no `devstack`"));
        assert_eq!(said(&[&path("empty")]), "there is no git checkout in it");
        assert_eq!(said(&[&path("none")]), "there is nothing of that name");
        assert_eq!(said(&[&path("one"), &path("two")]), "both are `nova`");
        assert_eq!(look(&[&path("one")]).unwrap().trees.len(), 1);
    }
}
