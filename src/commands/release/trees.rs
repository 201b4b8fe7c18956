//! The checkouts that a release's projects are built of.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::place::{self, PlaceKind, TreePlace};
use crate::commands::dev::source::clone::{self, Wanted};
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
    /// The branch, tag or commit that was asked for.
    pub reference: Option<String>,
}

impl fmt::Display for Tree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, commit, reference, .. } = self;
        write!(formatter, "{name} {version} of {commit:.9}")?;
        reference.iter().try_for_each(|it| write!(formatter, " ({it})"))
    }
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
/// What has a reference comes from a clone below `clones`, as what has an address does. `known` are the
/// distributions of the release, with the version that each had last, if it had one. Blocks, so it is for a
/// thread that may.
///
/// # Errors
/// When a place has no checkout or not the reference, one that was named is no part of the release, two are
/// of one project, or a tree is no state to build.
pub fn find(
    places: &[TreePlace],
    clones: &Path,
    known: &BTreeMap<String, Option<String>>,
    progress: &mut dyn FnMut(&str),
) -> Result<Found> {
    let mut found = Found::default();
    for place in places {
        match place.kind() {
            PlaceKind::Nothing => {
                let error = no_use(place).because("there is nothing of that name");
                return Err(error.hints(place.hint()));
            }
            PlaceKind::Directory(path) => found.add_all(place, &path, known)?,
            PlaceKind::Repository(from) => {
                let reference = place.reference.clone();
                let naming = "--from ADDRESS#REF";
                let wanted = Wanted { from, reference, change: None, naming };
                let mut watch = Watch { progress: &mut *progress, cancelled: &|| false };
                let provided = clone::provide(&wanted, clones, &mut watch);
                let path = provided.map_err(|error| error.hints(place.hint()))?.path;
                if let Some(reason) = found.add(&path, place.reference.as_deref(), known)? {
                    return Err(no_use(place).because(reason));
                }
            }
        }
    }
    if found.trees.is_empty() {
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        let error = no_use(places.join(", ")).because("no checkout there is part of the release");
        return Err(found.notes.into_iter().fold(error, Error::because));
    }
    found.trees.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

impl Found {
    /// Adds the trees of the checkouts in a directory, and notes what is no part of the release.
    fn add_all(
        &mut self,
        place: &TreePlace,
        directory: &Path,
        known: &BTreeMap<String, Option<String>>,
    ) -> Result<()> {
        if place.reference.is_some() {
            return Err(no_use(place)
                .because("a directory of checkouts has no branch, tag or commit")
                .hint("Give each checkout with its own: --from DIR/nova#REF."));
        }
        let inside = files::entries(directory)?;
        let checkouts: Vec<&PathBuf> = inside.iter().filter(|it| place::is_checkout(it)).collect();
        if checkouts.is_empty() {
            return Err(no_use(place)
                .because("there is no git checkout in it")
                .hint("Give a checkout, a directory of checkouts, or an address to clone from."));
        }
        for checkout in checkouts {
            if let Some(reason) = self.add(checkout, None, known)? {
                self.notes.push(format!("left out: {reason}"));
            }
        }
        Ok(())
    }

    /// Adds the tree of a checkout, or says why it is no part of the release.
    fn add(
        &mut self,
        path: &Path,
        reference: Option<&str>,
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
        let commit = state.commit.ok_or_else(|| {
            no_use(&shown).because("it has no commit to build").hint("Commit first.")
        })?;
        if self.trees.iter().any(|it| it.root == state.root && it.commit == commit.id) {
            return Ok(None);
        }
        if let Some(other) = self.trees.iter().find(|it| it.name == name) {
            let both = [(other.root.as_path(), other.reference.as_deref()), (path, reference)];
            let [one, another] = both.map(|(path, reference)| {
                let reference = reference.map(|it| format!("#{it}")).unwrap_or_default();
                format!("{}{reference}", path.display())
            });
            return Err(no_use(format!("{one} and {another}"))
                .because(format!("both are `{name}`"))
                .hint("Leave one of them out."));
        }
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
        let reference = reference.map(str::to_owned);
        self.trees.push(Tree {
            reader,
            root: state.root,
            name,
            version,
            commit: commit.id,
            reference,
        });
        Ok(None)
    }
}

fn no_use(place: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Usage, format!("build the release of {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::source::testing::{
        commit, git, listing, open_directory, repository, write,
    };

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
        look_at(&places, Path::new("/nowhere"))
    }

    fn look_at(places: &[String], clones: &Path) -> Result<Found> {
        let places: Vec<TreePlace> =
            places.iter().map(|it| TreePlace::parse(it).unwrap()).collect();
        find(&places, clones, &known(), &mut |_| {})
    }

    /// A repository with the tag `34.0.0`, one commit more on `stable/2` and another on `main`: the commits.
    fn branches(root: &Path) -> [String; 3] {
        project(root, "nova");
        git(root, &["tag", "34.0.0"]);
        let tagged = git(root, &["rev-parse", "HEAD"]);
        git(root, &["checkout", "--quiet", "-b", "stable/2"]);
        let stable = commit(root, &[("app/stable.py", "")], "stable");
        git(root, &["checkout", "--quiet", "main"]);
        [tagged, stable, commit(root, &[("app/main.py", "")], "main")]
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
    #[test]
    fn a_branch_a_tag_or_a_commit_is_taken_of_an_address_a_checkout_and_a_bare_repository() {
        let place = open_directory();
        let path = |name: &str| place.path().join(name).display().to_string();
        let (root, clones) = (place.path().join("nova"), place.path().join("clones"));
        let [tagged, stable, main] = branches(&root);
        git(place.path(), &["clone", "--quiet", "--bare", "nova", "bare/nova.git"]);
        write(&root, &[("app/main.py", "being edited")]);
        let before = listing(&root);
        for from in [path("nova"), format!("file://{}", path("nova")), path("bare/nova.git")] {
            for (reference, wanted) in [
                ("stable/2", &stable),
                ("34.0.0", &tagged),
                (&tagged[..9], &tagged),
                (&stable, &stable),
                ("main", &main),
            ] {
                let found = look_at(&[format!("{from}#{reference}")], &clones).unwrap();
                let [tree] = &found.trees[..] else { panic!("{:?}", found.trees) };
                assert_eq!((&tree.commit, tree.reference.as_deref()), (wanted, Some(reference)));
                let shown = tree.to_string();
                assert!(shown.ends_with(&format!(" of {wanted:.9} ({reference})")), "{shown}");
                assert_eq!(found.notes, [""; 0]);
            }
        }
        assert_eq!(listing(&root), before);
        let bare = look_at(&[path("bare/nova.git")], &clones).unwrap();
        assert_eq!((&bare.trees[0].commit, &bare.trees[0].reference), (&main, &None));
        let tag = look_at(&[format!("{}#34.0.0", path("nova"))], &clones).unwrap();
        assert_eq!(tag.trees[0].version, "34.0.0");
    }

    #[test]
    fn a_reference_that_is_not_there_is_named_with_the_one_that_it_is_most_like() {
        let place = open_directory();
        let path = |name: &str| place.path().join(name).display().to_string();
        branches(&place.path().join("nova"));
        let clones = place.path().join("clones");
        let refused = |text: String| look_at(&[text], &clones).unwrap_err();
        for from in [path("nova"), format!("file://{}", path("nova"))] {
            let error = refused(format!("{from}#stabel/2"));
            assert_eq!(error.kind, ErrorKind::Usage);
            assert_eq!(error.causes, ["there is no such branch, tag or commit"]);
            assert_eq!(error.hints, ["did you mean `stable/2`?"]);
            // As pip and uv take it.
            let error = refused(format!("{from}@stable/2"));
            let hint = error.hints.last().unwrap();
            assert!(hint.ends_with("`#stable/2` in place of `@stable/2`."), "{error:?}");
        }
        let error = refused(format!("{}#main", place.path().display()));
        assert_eq!(error.causes, ["a directory of checkouts has no branch, tag or commit"]);
    }

    #[test]
    fn of_an_address_that_names_no_branch_one_is_to_be_named_behind_a_hash() {
        let place = open_directory();
        let root = place.path().join("nova");
        branches(&root);
        git(&root, &["symbolic-ref", "HEAD", "refs/heads/none"]);
        let from = format!("file://{}", root.display());
        let error = look_at(&[from], &place.path().join("clones")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert_eq!(error.causes, ["it names none"]);
        assert_eq!(error.hints, ["Name a branch, a tag or a commit: --from ADDRESS#REF."]);
    }

    #[test]
    fn two_states_of_one_project_are_refused() {
        let place = open_directory();
        let path = |name: &str| place.path().join(name).display().to_string();
        branches(&place.path().join("nova"));
        let clones = place.path().join("clones");
        let (nova, other) = (path("nova"), format!("file://{}", path("nova")));
        for [one, two] in [
            [format!("{nova}#main"), format!("{nova}#stable/2")],
            [nova.clone(), format!("{nova}#stable/2")],
            [format!("{other}#34.0.0"), other.clone()],
        ] {
            let error = look_at(&[one, two], &clones).unwrap_err();
            assert_eq!(error.causes, ["both are `nova`"], "{error:?}");
        }
        let twice = format!("{other}#stable/2");
        assert_eq!(look_at(&[twice.clone(), twice], &clones).unwrap().trees.len(), 1);
    }
}
