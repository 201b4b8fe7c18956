//! Opens a work tree to look at it, and says what is wrong when it is none.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository, RepositoryOpenFlags};

use crate::error::{Error, ErrorKind, Result, ResultExt};

/// Git extensions that change nothing for those who only look: objects that are fetched when they
/// are needed, and work trees that are linked by relative paths.
const HARMLESS_EXTENSIONS: [&str; 2] = ["partialclone", "relativeworktrees"];

/// Lets git2 open work trees that belong to others: where it looks, its own id is nobody's. Call it
/// once, before any other thread exists, and never in a process with rights.
///
/// What the check defends against, a repository whose settings name programs to run, is none there:
/// git2 runs neither hooks nor filters. Should it fail, opening a checkout says whose it is.
#[allow(unsafe_code)]
pub fn allow_foreign_owners() {
    // SAFETY: both set variables of libgit2 without a lock; no other thread exists that could read
    // them meanwhile.
    let _ = unsafe {
        git2::opts::set_verify_owner_validation(false)
            .and_then(|()| git2::opts::set_extensions(&HARMLESS_EXTENSIONS))
    };
}

/// The repository of the work tree at or above `path`, and the work tree's canonical root.
pub(super) fn open(path: &Path) -> Result<(Repository, PathBuf)> {
    let directory = directory(path)?;
    let above: [&Path; 0] = [];
    let repository = Repository::open_ext(&directory, RepositoryOpenFlags::empty(), above)
        .map_err(|error| explain(&directory, &error))?;
    let Some(root) = repository.workdir() else {
        return Err(unusable(&directory)
            .because("it is a bare repository, which has no files to run")
            .hint(format!(
                "Give a work tree: git -C {} worktree add DIRECTORY",
                directory.display()
            )));
    };
    let root = fs::canonicalize(root).doing(|| wrong(&directory))?;
    refuse_elsewhere(&directory, &root)?;
    if directory != root && !directory.starts_with(repository.path()) {
        refuse_ignored(&repository, &root, &directory)?;
    }
    Ok((repository, root))
}

fn wrong(path: &Path) -> String {
    format!("use the checkout {}", path.display())
}

pub(super) fn unusable(path: &Path) -> Error {
    Error::new(ErrorKind::Usage, wrong(path))
}

pub(super) fn directory(path: &Path) -> Result<PathBuf> {
    let found = fs::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => unusable(path).because("there is no such directory"),
        _ => unusable(path).because(error),
    })?;
    if found.is_dir() {
        return Ok(found);
    }
    Err(unusable(path).because("it is not a directory"))
}

/// A directory that its surrounding work tree ignores has nothing to do with it: most likely an
/// unpacked archive in a directory of the user's that happens to be under git.
fn refuse_ignored(repository: &Repository, root: &Path, directory: &Path) -> Result<()> {
    let inside = directory.strip_prefix(root).unwrap_or(directory);
    let ignored = repository.is_path_ignored(inside).doing(|| wrong(directory))?;
    if !ignored {
        return Ok(());
    }
    let reason = format!("the work tree {} around it ignores it", root.display());
    Err(unusable(directory).because(reason).hint(make_one(directory)))
}

pub(super) fn make_one(directory: &Path) -> String {
    let at = directory.display();
    format!(
        "Clone the project (`git clone URL`), or make a work tree of what is there: \
         git -C {at} init && git -C {at} add --all && git -C {at} commit --message start"
    )
}

/// Turns what libgit2 says into what the user can act on.
fn explain(directory: &Path, error: &git2::Error) -> Error {
    let message = error.message().to_lowercase();
    let unsupported = |what: &str, hint: String| {
        let reason = format!("its repository {what}, which aio cannot read");
        unusable(directory).because(reason).because(error.message()).hint(hint)
    };
    if message.contains("object format") || message.contains("objectformat") {
        let hint = "Clone it from a server, or convert it, with SHA-1 objects.".to_owned();
        return unsupported("has SHA-256 objects", hint);
    }
    if message.contains("refstorage") {
        let hint = "Convert it: git refs migrate --ref-format=files".to_owned();
        return unsupported("keeps its references in the reftable format", hint);
    }
    match (error.code(), nearest_git(directory)) {
        (ErrorCode::NotFound, None) => unusable(directory)
            .because("neither it nor a directory above is a git work tree")
            .hint(make_one(directory)),
        (ErrorCode::NotFound, Some(git)) => unusable(directory)
            .because(format!(
                "{} leads to no repository, or its settings to a work tree elsewhere (core.worktree)",
                git.display()
            ))
            .hint(format!("See what git says: git -C {} status", directory.display())),
        _ => unusable(directory).because(error.message()),
    }
}

/// The first `.git` at or above a directory.
fn nearest_git(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().map(|above| above.join(".git")).find(|git| git.symlink_metadata().is_ok())
}

/// The settings of a repository can name another work tree (`core.worktree`): what is run is what
/// stands around its `.git`, whatever they say.
fn refuse_elsewhere(directory: &Path, root: &Path) -> Result<()> {
    let with_git = nearest_git(directory).and_then(|git| Some(git.parent()?.to_owned()));
    if with_git.as_deref() == Some(root) {
        return Ok(());
    }
    Err(unusable(directory)
        .because(format!("its git settings lead to {} instead (core.worktree)", root.display()))
        .hint(format!(
            "Take that out: git -C {} config --unset core.worktree",
            directory.display()
        )))
}
