//! The state of a git work tree, looked at without a change to it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository, RepositoryState, Status, StatusOptions};
use serde::{Deserialize, Serialize};

use super::open;
use crate::error::{Error, Result, ResultExt};

/// How many names a message lists.
const NAMED: usize = 5;

/// A work tree that code can be run from.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Checkout {
    /// Canonical root of the work tree.
    pub root: PathBuf,
    /// The branch; none when the head is detached.
    pub branch: Option<String>,
    /// The commit; none before the first one.
    pub commit: Option<Commit>,
    /// Whether tracked files differ from the commit, or files are untracked that are not ignored.
    pub dirty: bool,
    pub owner_uid: u32,
    pub owner_gid: u32,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// 40 hexadecimal digits.
    pub id: String,
    /// First line of its message.
    pub subject: String,
}

impl Checkout {
    /// Looks at the work tree that `path` is, or is in.
    ///
    /// # Errors
    /// When there is none, when it cannot be read, and while a merge, rebase or the like is in
    /// progress or files have conflicts: such a tree is no state to run.
    pub fn inspect(path: &Path) -> Result<Self> {
        let (repository, root) = open::open(path)?;
        let doing = || format!("look at the checkout {}", root.display());
        refuse_unfinished(&repository, &root)?;
        let owner = root.metadata().doing(doing)?;
        Ok(Self {
            branch: branch(&repository).doing(doing)?,
            commit: commit(&repository).doing(doing)?,
            dirty: !changes(&repository, false).doing(doing)?.is_empty(),
            owner_uid: owner.uid(),
            owner_gid: owner.gid(),
            root,
        })
    }

    /// The Python files that differ from the commit or are untracked, relative to the root, sorted.
    /// Deleted ones are not among them.
    pub fn changed_python_files(&self) -> Result<Vec<PathBuf>> {
        let (repository, _) = open::open(&self.root)?;
        let changes = changes(&repository, true)
            .doing(|| format!("look for changes in {}", self.root.display()))?;
        let mut files: Vec<PathBuf> = changes.into_iter().map(|change| change.path).collect();
        files.retain(|file| {
            file.extension() == Some(OsStr::new("py")) && self.root.join(file).is_file()
        });
        files.sort();
        Ok(files)
    }
}

/// What git knows of a path.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Tracked,
    Untracked,
    Ignored,
}

/// Tells a checkout's own files from what merely lies in its tree.
pub struct IgnoreTest {
    repository: Repository,
    root: PathBuf,
}

impl IgnoreTest {
    /// Opens the test for the work tree at or above `path`.
    pub fn at(path: &Path) -> Result<Self> {
        let (repository, root) = open::open(path)?;
        Ok(Self { repository, root })
    }

    /// What git knows of a path (absolute, or relative to the root), which need not exist any more. Git's
    /// own files and everything outside the root count as ignored; files that are tracked although a
    /// pattern matches them do not. Changes of `.gitignore` are seen.
    pub fn standing(&self, path: &Path) -> Standing {
        let Ok(inside) = self.root.join(path).strip_prefix(&self.root).map(Path::to_owned) else {
            return Standing::Ignored;
        };
        if inside.components().any(|part| part.as_os_str() == ".git") {
            return Standing::Ignored;
        }
        if inside.as_os_str().is_empty() {
            return Standing::Untracked;
        }
        if self.is_tracked(&inside) {
            return Standing::Tracked;
        }
        let ignored = self.repository.is_path_ignored(&inside).unwrap_or(false);
        if ignored { Standing::Ignored } else { Standing::Untracked }
    }

    fn is_tracked(&self, inside: &Path) -> bool {
        let Ok(mut index) = self.repository.index() else { return false };
        // Only when the file changed since; an error leaves what was read before.
        let _ = index.read(false);
        index.get_path(inside, 0).is_some()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Relative to the root.
    pub path: PathBuf,
    /// Not known to git at all.
    pub untracked: bool,
}

/// What differs from the commit, without refreshing the index. A directory with only untracked
/// files counts as one change, unless `every_file` is asked for.
pub(super) fn changes(
    repository: &Repository,
    every_file: bool,
) -> Result<Vec<Change>, git2::Error> {
    let mut options = StatusOptions::new();
    options
        .include_untracked(true)
        .include_ignored(false)
        .recurse_untracked_dirs(every_file)
        .update_index(false);
    let statuses = repository.statuses(Some(&mut options))?;
    let changed = statuses.iter().filter(|entry| entry.status() != Status::CURRENT);
    Ok(changed
        .map(|entry| Change {
            path: PathBuf::from(OsStr::from_bytes(entry.path_bytes())),
            untracked: entry.status() == Status::WT_NEW,
        })
        .collect())
}

/// The branch that is checked out, even before its first commit.
pub(super) fn branch(repository: &Repository) -> Result<Option<String>, git2::Error> {
    let head = repository.find_reference("HEAD")?;
    let target = head.symbolic_target_bytes().map(String::from_utf8_lossy);
    Ok(target.map(|name| name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned()))
}

fn commit(repository: &Repository) -> Result<Option<Commit>, git2::Error> {
    let head = match repository.head() {
        Ok(head) => head.peel_to_commit()?,
        Err(error) if error.code() == ErrorCode::UnbornBranch => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(Commit { id: head.id().to_string(), subject: subject(&head) }))
}

/// First line of a commit's message.
pub(super) fn subject(commit: &git2::Commit) -> String {
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// Names of files for a message: the first few, then how many more.
pub(super) fn list(paths: &[PathBuf]) -> String {
    let mut names: Vec<String> =
        paths.iter().take(NAMED).map(|path| path.display().to_string()).collect();
    if paths.len() > NAMED {
        names.push(format!("and {} more", paths.len() - NAMED));
    }
    names.join(", ")
}

fn refuse_unfinished(repository: &Repository, root: &Path) -> Result<()> {
    let at = root.display();
    let failed = || Error::failed(format!("use the checkout {at}"));
    let conflicts = conflicts(repository).doing(|| format!("look for conflicts in {at}"))?;
    let unfinished = unfinished(repository.state());
    if conflicts.is_empty() && unfinished.is_none() {
        return Ok(());
    }
    let mut error = failed();
    if let Some((what, command)) = unfinished {
        error = error.because(format!("{what} is in progress")).hint(format!(
            "Finish it (git -C {at} {command} --continue) or drop it (git -C {at} {command} \
             --abort)."
        ));
    }
    if !conflicts.is_empty() {
        error = error
            .because(format!("files have conflicts: {}", list(&conflicts)))
            .hint("Resolve them and `git add` each file.");
    }
    Err(error)
}

/// What git has begun and not ended, with the command that ends it. A bisection is none: its
/// commits are there to be run.
fn unfinished(state: RepositoryState) -> Option<(&'static str, &'static str)> {
    match state {
        RepositoryState::Clean | RepositoryState::Bisect => None,
        RepositoryState::Merge => Some(("a merge", "merge")),
        RepositoryState::Revert | RepositoryState::RevertSequence => Some(("a revert", "revert")),
        RepositoryState::CherryPick | RepositoryState::CherryPickSequence => {
            Some(("a cherry-pick", "cherry-pick"))
        }
        RepositoryState::Rebase
        | RepositoryState::RebaseInteractive
        | RepositoryState::RebaseMerge => Some(("a rebase", "rebase")),
        RepositoryState::ApplyMailbox => Some(("applying patches", "am")),
        RepositoryState::ApplyMailboxOrRebase => Some(("a rebase or applying patches", "rebase")),
    }
}

fn conflicts(repository: &Repository) -> Result<Vec<PathBuf>, git2::Error> {
    let mut paths = Vec::new();
    for conflict in repository.index()?.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        paths.extend(entry.map(|entry| PathBuf::from(OsStr::from_bytes(&entry.path))));
    }
    Ok(paths)
}

#[cfg(test)]
mod tests;
