//! What would be lost if a clone went away.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid, Repository};

use super::checkout::{changes, list, subject};
use super::open;
use crate::error::{Result, ResultExt};

/// Where what came from elsewhere lies: the remotes' branches, and what else `aio` fetched.
const FROM_ELSEWHERE: [&str; 2] = ["refs/remotes/*", "refs/aio/*"];

/// Sentences about all that only this clone has: changes that are not committed, untracked files,
/// stashes, commits that no remote has, work trees linked to it. Empty when it can be removed
/// without loss.
///
/// # Errors
/// When the clone cannot be read; then nobody knows.
pub fn unsaved_work(clone: &Path) -> Result<Vec<String>> {
    let (mut repository, _) = open::open(clone)?;
    look(&mut repository).doing(|| format!("look for unsaved work in {}", clone.display()))
}

fn look(repository: &mut Repository) -> Result<Vec<String>, git2::Error> {
    let mut sentences = Vec::new();
    let mut changes = changes(repository, true)?;
    if !repository.path().join("index").exists() {
        // Nothing was ever checked out: all that is missing is no change of anybody's.
        let root = repository.workdir().unwrap_or(repository.path());
        changes.retain(|change| root.join(&change.path).symlink_metadata().is_ok());
    }
    let (untracked, changed): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| change.untracked);
    for (files, what) in [(changed, "changed but not committed"), (untracked, "untracked")] {
        let paths: Vec<PathBuf> = files.into_iter().map(|change| change.path).collect();
        if !paths.is_empty() {
            let are = counted(paths.len(), "file is", "files are");
            sentences.push(format!("{are} {what}: {}.", list(&paths)));
        }
    }
    let mut stashes: usize = 0;
    repository.stash_foreach(|_, _, _| {
        stashes += 1;
        true
    })?;
    if stashes > 0 {
        sentences.push(format!("{}.", counted(stashes, "stash is there", "stashes are there")));
    }
    for (tip, what) in tips(repository)? {
        let own = own_commits(repository, tip, &FROM_ELSEWHERE)?;
        if let Some(newest) = own.first() {
            let newest = subject(&repository.find_commit(*newest)?);
            let are = counted(own.len(), "commit", "commits");
            sentences.push(format!("{are} of {what} on no remote; the newest: {newest}."));
        }
    }
    for name in repository.worktrees()?.iter_bytes() {
        let name = String::from_utf8_lossy(name);
        let path = repository.find_worktree(&name)?.path().to_owned();
        if path.exists() {
            sentences.push(format!("The work tree {} is linked to it.", path.display()));
        }
    }
    Ok(sentences)
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Every local branch and tag, and a head on none of them, with what a sentence calls it.
fn tips(repository: &Repository) -> Result<Vec<(Oid, String)>, git2::Error> {
    let mut tips = Vec::new();
    for (pattern, what) in [("refs/heads/*", "branch"), ("refs/tags/*", "tag")] {
        for reference in repository.references_glob(pattern)? {
            let reference = reference?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            let name = name.splitn(3, '/').nth(2).unwrap_or(&name).to_owned();
            // A tag may name something else than a commit.
            if let Ok(commit) = reference.peel_to_commit() {
                tips.push((commit.id(), format!("{what} `{name}` are")));
            }
        }
    }
    tips.extend(detached_head(repository)?.map(|head| (head, "the detached head are".to_owned())));
    Ok(tips)
}

/// The commit of a head that is on no branch.
fn detached_head(repository: &Repository) -> Result<Option<Oid>, git2::Error> {
    match repository.head_detached() {
        Ok(true) => Ok(repository.head()?.target()),
        Ok(false) => Ok(None),
        Err(error) if error.code() == ErrorCode::UnbornBranch => Ok(None),
        Err(error) => Err(error),
    }
}

/// The commits of a detached head that nothing but it leads to.
pub(super) fn only_in_head(repository: &Repository) -> Result<Vec<Oid>, git2::Error> {
    let Some(head) = detached_head(repository)? else { return Ok(Vec::new()) };
    own_commits(repository, head, &["refs/heads/*", "refs/tags/*", "refs/remotes/*", "refs/aio/*"])
}

/// Whether a local branch has commits that came from nowhere else.
pub(super) fn has_own_commits(repository: &Repository, tip: Oid) -> Result<bool, git2::Error> {
    Ok(!own_commits(repository, tip, &FROM_ELSEWHERE)?.is_empty())
}

/// What `tip` leads to and no reference that matches `known` does, newest first.
fn own_commits(repository: &Repository, tip: Oid, known: &[&str]) -> Result<Vec<Oid>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(tip)?;
    for pattern in known {
        walk.hide_glob(pattern)?;
    }
    walk.collect()
}

#[cfg(test)]
mod tests;
