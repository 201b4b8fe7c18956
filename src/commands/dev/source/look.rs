//! What is asked about a checkout, and the answers: carried out where there is nothing but the
//! checkout ([`crate::lxc::sandbox`]), asked from outside ([`super::reader`]).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checkout::{Checkout, IgnoreTest};
use super::project::Project;
use super::tree::{Kind, LONGEST_FILE, Tree};
use super::unsaved::{self, unsaved_work};
use super::{open, reference};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::python::ini::Ini;

/// How deep directories of Python files are.
const DEEPEST: usize = 32;
/// How many bytes of Python files are read for one checkout.
const MOST_BYTES: u64 = 48 << 20;

/// A question about a checkout.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Its state: a [`Checkout`].
    State,
    /// What project stands in it: a [`Project`].
    Project,
    /// Python files: [`Python`].
    Python {
        /// Those below these directories, besides those that differ from the commit.
        directories: Vec<PathBuf>,
    },
    /// Modules that it has: [`Modules`].
    Modules {
        /// Where Python imports from, relative to the root.
        import_roots: Vec<String>,
        /// The one that is asked for: `heat.wsgi.api`.
        wanted: String,
    },
    /// What git knows of these paths: a [`Standing`] for each.
    Standing(Vec<PathBuf>),
    /// What would be lost with it: sentences.
    Unsaved,
    /// Its repository, which other work trees may share: a [`RepositoryInfo`].
    Repository,
    /// Local branches that have commits from nowhere else.
    OwnBranches,
    /// Commits that nothing but a detached head leads to, newest first.
    OnlyInHead,
    /// The commit of a reference, if it is there.
    Commit(String),
    /// The branch that a remote itself has checked out, as a [`Target`].
    DefaultBranch(String),
    /// What a name means, best where a remote has it: a [`Target`].
    Find {
        remote: String,
        /// A branch, a tag or a commit.
        name: String,
    },
    RemoteBranches,
    /// Whether the history of a commit has another one in it.
    LeadsTo {
        /// The later one.
        from: String,
        /// The earlier one.
        to: String,
    },
    /// Where the project says that it is reviewed.
    ReviewAddress,
}

/// What a work tree shares with others of the same repository.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct RepositoryInfo {
    /// Root of the work tree that was asked.
    pub root: PathBuf,
    /// The repository.
    pub common: PathBuf,
    /// Its remotes: name, and URL as it is written.
    pub remotes: Vec<(String, String)>,
}

/// Modules of a checkout.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Modules {
    /// Whether it has the one that was asked for.
    pub has_wanted: bool,
    /// Those that stand where OpenStack's projects keep what a WSGI server serves: `heat.wsgi.api`.
    pub wsgi: Vec<String>,
}

/// Python files of a checkout as texts, by their paths below its root.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Python {
    /// Python files that differ from the commit or are untracked.
    pub changed: BTreeMap<String, String>,
    /// Those below the directories that were named.
    pub below: BTreeMap<String, String>,
}

/// Answers a question, in this process.
pub fn answer(path: &Path, question: &Question) -> Result<Value> {
    match question {
        Question::State => value(&Checkout::inspect(path)?),
        Question::Project => value(&Project::read(path)?),
        Question::Python { directories } => value(&python(path, directories)?),
        Question::Modules { import_roots, wanted } => value(&modules(path, import_roots, wanted)?),
        Question::Standing(paths) => {
            let test = IgnoreTest::at(path)?;
            value(&paths.iter().map(|path| test.standing(path)).collect::<Vec<_>>())
        }
        Question::Unsaved => value(&unsaved_work(path)?),
        question => {
            let (repository, root) = open::open(path)?;
            answer_of_repository(&repository, root, question)
                .doing(|| format!("look into {}", path.display()))
        }
    }
}

fn answer_of_repository(
    repository: &Repository,
    root: PathBuf,
    question: &Question,
) -> Result<Value, Box<dyn std::error::Error>> {
    Ok(match question {
        Question::Repository => {
            let common = std::fs::canonicalize(repository.commondir())?;
            serde_json::to_value(RepositoryInfo { root, common, remotes: remotes(repository)? })?
        }
        Question::OwnBranches => serde_json::to_value(own_branches(repository)?)?,
        Question::OnlyInHead => {
            let only = unsaved::only_in_head(repository)?;
            serde_json::to_value(only.iter().map(ToString::to_string).collect::<Vec<_>>())?
        }
        Question::Commit(name) => serde_json::to_value(
            reference::commit_of(repository, name).map(|commit| commit.to_string()),
        )?,
        Question::DefaultBranch(remote) => {
            serde_json::to_value(reference::default_branch(repository, remote))?
        }
        Question::Find { remote, name } => {
            serde_json::to_value(reference::find(repository, remote, name)?)?
        }
        Question::RemoteBranches => serde_json::to_value(reference::branch_names(repository))?,
        Question::LeadsTo { from, to } => serde_json::to_value(
            repository.graph_descendant_of(Oid::from_str(from)?, Oid::from_str(to)?)?,
        )?,
        Question::ReviewAddress => serde_json::to_value(review_address(repository))?,
        _ => return Err("this is no question about a repository".into()),
    })
}

/// Not from the remotes themselves, where `insteadOf` is applied already.
fn remotes(repository: &Repository) -> Result<Vec<(String, String)>, git2::Error> {
    let config = repository.config()?.snapshot()?;
    let names = repository.remotes()?;
    let names = names.iter_bytes().map(|name| String::from_utf8_lossy(name).into_owned());
    let with_url =
        |name: String| Some((name.clone(), config.get_string(&format!("remote.{name}.url")).ok()?));
    Ok(names.filter_map(with_url).collect())
}

fn own_branches(repository: &Repository) -> Result<Vec<String>, git2::Error> {
    let mut found = Vec::new();
    for branch in repository.branches(Some(git2::BranchType::Local))? {
        let (branch, _) = branch?;
        let Some(tip) = branch.get().target() else { continue };
        if unsaved::has_own_commits(repository, tip)? {
            found.push(String::from_utf8_lossy(branch.name_bytes()?).into_owned());
        }
    }
    Ok(found)
}

fn value(answer: &impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).doing(|| "write the answer".to_owned())
}

fn python(path: &Path, directories: &[PathBuf]) -> Result<Python> {
    let checkout = Checkout::inspect(path)?;
    let mut texts = Texts { tree: Tree::open(&checkout.root)?, left: MOST_BYTES };
    let mut found = Python::default();
    for file in checkout.changed_python_files()? {
        texts.add(&file, &mut found.changed)?;
    }
    for directory in directories {
        texts.add_below(directory, 0, &mut found.below)?;
    }
    Ok(found)
}

fn modules(path: &Path, import_roots: &[String], wanted: &str) -> Result<Modules> {
    let tree = Tree::open(&Checkout::inspect(path)?.root)?;
    let mut found = Modules::default();
    for root in import_roots.iter().map(Path::new) {
        let file = root.join(wanted.replace('.', "/"));
        found.has_wanted |=
            tree.is_file(&file.with_extension("py")) || tree.is_file(&file.join("__init__.py"));
        for (package, _) in tree.entries(root) {
            let Some(package) = package.to_str() else { continue };
            let modules = tree.entries(&root.join(package).join("wsgi"));
            let names = modules.iter().filter_map(|(name, _)| name.to_str()?.strip_suffix(".py"));
            let names = names.filter(|name| *name != "__init__");
            found.wsgi.extend(names.map(|name| format!("{package}.wsgi.{name}")));
        }
    }
    Ok(found)
}

fn is_python(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "py")
}

/// Reads Python files, as many as there may be.
struct Texts {
    tree: Tree,
    left: u64,
}

impl Texts {
    fn add(&mut self, file: &Path, found: &mut BTreeMap<String, String>) -> Result<()> {
        let Some(text) = self.tree.read(file)? else { return Ok(()) };
        self.left = self.left.checked_sub(text.len() as u64).ok_or_else(|| self.too_many())?;
        found.insert(file.display().to_string(), text);
        Ok(())
    }

    /// Links to directories are not followed: what they lead to is met where it stands.
    fn add_below(
        &mut self,
        directory: &Path,
        depth: usize,
        found: &mut BTreeMap<String, String>,
    ) -> Result<()> {
        for (name, kind) in self.tree.entries(directory) {
            let path = directory.join(name);
            match kind {
                Kind::Directory if depth < DEEPEST => self.add_below(&path, depth + 1, found)?,
                Kind::File if is_python(&path) && !self.tree.is_directory(&path) => {
                    self.add(&path, found)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn too_many(&self) -> Error {
        Error::new(
            ErrorKind::Usage,
            format!("read the Python files of {}", self.tree.root().display()),
        )
        .because(format!(
            "those that are asked for have more than {} MiB; one may have {} MiB",
            MOST_BYTES >> 20,
            LONGEST_FILE >> 20
        ))
    }
}

/// Returns where the project says, in its `.gitreview`, that it is reviewed.
fn review_address(repository: &Repository) -> Option<String> {
    let head = repository.head().ok()?.peel_to_tree().ok()?;
    let entry = head.get_name(".gitreview")?.to_object(repository).ok()?;
    let ini = Ini::parse(&String::from_utf8_lossy(entry.as_blob()?.content())).ok()?;
    let project = ini.get("gerrit", "project")?.trim_end_matches(".git");
    Some(format!("https://{}/{project}", ini.get("gerrit", "host")?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::commands::dev::source::testing::{open_directory, repository, write};

    #[test]
    fn python_files_are_those_of_the_tree() {
        let place = open_directory();
        let root = place.path().join("app");
        repository(&root, &[("app/versions/a.py", "a"), ("app/versions/b.txt", "")]);
        write(&root, &[("new.py", "new"), ("app/versions/deep/c.py", "c")]);
        symlink("a.py", root.join("app/versions/d.py")).unwrap();
        symlink("../..", root.join("app/versions/circle")).unwrap();
        let found = python(&root, &["app/versions".into(), "none".into()]).unwrap();
        let names = |found: &BTreeMap<String, String>| found.keys().cloned().collect::<Vec<_>>();
        let below = ["app/versions/a.py", "app/versions/d.py", "app/versions/deep/c.py"];
        assert_eq!(names(&found.below), below);
        assert!(found.changed.contains_key("new.py"), "{:?}", found.changed.keys());

        symlink("/etc/hostname", root.join("app/versions/e.py")).unwrap();
        let error = python(&root, &["app/versions".into()]).unwrap_err();
        assert!(error.message.ends_with("e.py"), "{error}");
    }

    #[test]
    fn modules_are_found_below_each_import_root() {
        let place = open_directory();
        let root = place.path().join("app");
        repository(&root, &[("src/app/wsgi/__init__.py", ""), ("src/app/wsgi/api.py", "")]);
        write(&root, &[("src/app/cmd/__init__.py", ""), ("app.py", "")]);
        let has = |roots: &[&str], wanted: &str| {
            let roots: Vec<String> = roots.iter().map(ToString::to_string).collect();
            modules(&root, &roots, wanted).unwrap()
        };
        let both = ["", "src"];
        assert_eq!(has(&both, "app.wsgi.api").wsgi, ["app.wsgi.api"]);
        assert!(has(&both, "app.wsgi.api").has_wanted && has(&both, "app.cmd").has_wanted);
        assert!(has(&both, "app").has_wanted);
        for (roots, none) in [(&both[..], "app.wsgi.other"), (&both[..1], "app.wsgi.api")] {
            assert!(!has(roots, none).has_wanted, "{none}");
        }
    }

    #[test]
    fn settings_that_lead_to_another_work_tree_are_refused() {
        let place = open_directory();
        let root = place.path().join("app");
        repository(&root, &[("a.py", "")]);
        let elsewhere = place.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        let settings = format!("[core]\n worktree = {}\n", elsewhere.display());
        write(&root, &[(".git/config", &settings)]);
        let error = answer(&root, &Question::State).unwrap_err();
        assert!(error.causes.join(" ").contains("core.worktree"), "{error}");
    }
}
