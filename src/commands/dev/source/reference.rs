//! What a name given as `--ref` means in a clone: a branch, a tag or a commit.

use git2::{Oid, Repository};
use serde::{Deserialize, Serialize};

/// What to check out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Target {
    pub commit: String,
    /// The local branch for it; none for a tag or a commit.
    pub branch: Option<String>,
    /// The remote branch that the local one follows.
    pub upstream: Option<String>,
}

impl Target {
    /// A commit without a branch.
    fn detached(commit: Oid) -> Self {
        Self { commit: commit.to_string(), branch: None, upstream: None }
    }
}

/// Finds `name` among what the clone has. `remote` is where the clone is from; branches of other
/// remotes are found after all that is there.
pub(super) fn find(
    repository: &Repository,
    remote: &str,
    name: &str,
) -> Result<Option<Target>, git2::Error> {
    if let Some(target) = remote_branch(repository, remote, name) {
        return Ok(Some(target));
    }
    // The tags of the remote; in `refs/tags` may be ones of the user's own.
    for tag in [format!("refs/aio/tags/{name}"), format!("refs/tags/{name}")] {
        if let Some(commit) = commit_of(repository, &tag) {
            return Ok(Some(Target::detached(commit)));
        }
    }
    if let Some((remote, branch)) = name.split_once('/')
        && let Some(target) = remote_branch(repository, remote, branch)
    {
        return Ok(Some(target));
    }
    if is_commit_id(name)
        && let Ok(object) = repository.revparse_single(name)
        && let Ok(commit) = object.peel_to_commit()
    {
        return Ok(Some(Target::detached(commit.id())));
    }
    let remotes = repository.remotes()?;
    let others = remotes.iter_bytes().map(String::from_utf8_lossy);
    Ok(others.filter_map(|other| remote_branch(repository, &other, name)).next())
}

/// The branch that the remote itself has checked out.
pub(super) fn default_branch(repository: &Repository, remote: &str) -> Option<Target> {
    let head = repository.find_reference(&format!("refs/remotes/{remote}/HEAD")).ok()?;
    let target = String::from_utf8_lossy(head.symbolic_target_bytes()?).into_owned();
    let name = target.strip_prefix(&format!("refs/remotes/{remote}/"))?;
    remote_branch(repository, remote, name)
}

/// A name that can only be fetched by itself: a whole reference, or a whole commit id.
pub(super) fn is_exact(name: &str) -> bool {
    name.starts_with("refs/") || (name.len() == 40 && is_commit_id(name))
}

/// The commit of a reference, through an annotated tag.
pub(super) fn commit_of(repository: &Repository, reference: &str) -> Option<Oid> {
    let found = repository.find_reference(reference).ok()?;
    Some(found.peel_to_commit().ok()?.id())
}

/// The names of all remote branches, for a suggestion.
pub(super) fn branch_names(repository: &Repository) -> Vec<String> {
    let Ok(branches) = repository.branches(Some(git2::BranchType::Remote)) else {
        return Vec::new();
    };
    let names = branches.flatten().filter_map(|(branch, _)| {
        let name = String::from_utf8_lossy(branch.name_bytes().ok()?).into_owned();
        Some(name.split_once('/')?.1.to_owned())
    });
    names.filter(|name| name != "HEAD").collect()
}

fn remote_branch(repository: &Repository, remote: &str, name: &str) -> Option<Target> {
    // The remote's own head stands among its branches.
    if name == "HEAD" {
        return None;
    }
    let commit = commit_of(repository, &format!("refs/remotes/{remote}/{name}"))?;
    let upstream = Some(format!("{remote}/{name}"));
    Some(Target { commit: commit.to_string(), branch: Some(name.to_owned()), upstream })
}

fn is_commit_id(name: &str) -> bool {
    (7..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
