//! Opens a work tree to look at it, and says what is wrong when it is none.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{ConfigLevel, ErrorCode, Repository, RepositoryOpenFlags};

use super::user::User;
use crate::error::{Error, ErrorKind, Result, ResultExt};

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
    if let Ok(user) = User::invoking() {
        // A broken file among the user's settings is no reason to refuse the checkout.
        let _ = honour_settings_of(&user, &repository);
    }
    if directory != root && !directory.starts_with(repository.path()) {
        refuse_ignored(&repository, &root, &directory)?;
    }
    Ok((repository, root))
}

fn wrong(path: &Path) -> String {
    format!("use the checkout {}", path.display())
}

fn unusable(path: &Path) -> Error {
    Error::new(ErrorKind::Usage, wrong(path))
}

fn directory(path: &Path) -> Result<PathBuf> {
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

fn make_one(directory: &Path) -> String {
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
            .because(format!("{} leads to no repository", git.display()))
            .hint(format!("See what git says: git -C {} status", directory.display())),
        _ => unusable(directory).because(error.message()),
    }
}

/// The first `.git` at or above a directory.
fn nearest_git(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().map(|above| above.join(".git")).find(|git| git.symlink_metadata().is_ok())
}

/// Under `sudo`, libgit2 reads the settings of root; what the user's own git ignores (an editor's
/// directory, say) must not make the checkout look changed.
fn honour_settings_of(user: &User, repository: &Repository) -> Result<(), git2::Error> {
    if !user.is_another() {
        return Ok(());
    }
    let mut config = repository.config()?;
    let files = [
        (ConfigLevel::XDG, user.home.join(".config/git/config")),
        (ConfigLevel::Global, user.home.join(".gitconfig")),
    ];
    for (level, file) in files {
        if file.is_file() {
            config.add_file(&file, level, true)?;
        }
    }
    let named = config.get_string("core.excludesfile").ok();
    let file = named.map_or_else(
        || user.home.join(".config/git/ignore"),
        |named| match named.strip_prefix("~/") {
            Some(below) => user.home.join(below),
            None => PathBuf::from(named),
        },
    );
    match fs::read_to_string(file) {
        Ok(rules) => repository.add_ignore_rule(&rules),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::source::testing::{open_directory, repository, write};

    #[test]
    fn what_the_users_own_git_ignores_is_ignored() {
        let directory = open_directory();
        let root = directory.path().join("app");
        repository(&root, &[("a.py", "")]);
        write(&root, &[(".idea/x", ""), ("notes.txt", "")]);
        let home = directory.path().join("home");
        let user = User { uid: 12_345, gid: 12_345, name: "ann".to_owned(), home: home.clone() };
        let ignored = || {
            let repository = Repository::open(&root).unwrap();
            honour_settings_of(&user, &repository).unwrap();
            [".idea/x", "notes.txt"].map(|path| repository.is_path_ignored(path).unwrap())
        };
        if !user.is_another() {
            return;
        }
        assert_eq!(ignored(), [false, false]);
        write(&home, &[(".config/git/ignore", ".idea\n")]);
        assert_eq!(ignored(), [true, false]);
        write(
            &home,
            &[(".gitconfig", "[core]\n\texcludesFile = ~/.mine\n"), (".mine", "notes.txt\n")],
        );
        assert_eq!(ignored(), [false, true]);
    }
}
