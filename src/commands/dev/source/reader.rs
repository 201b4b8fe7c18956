//! Checkouts, looked at from outside: each look is a process without rights that has nothing but the
//! checkout ([`crate::commands::dev::confined`]).
//!
//! What is opened there is found here: the work tree, the repository that its `.git` may lead to, and
//! the repositories from which that one borrows objects. A stranger may have written both, so they
//! count only where git's own layout is.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use serde::de::DeserializeOwned;

use super::checkout::{Checkout, Standing};
use super::look;
use super::look::{Modules, Python, Question, RepositoryInfo};
use super::open::{make_one, unusable};
use super::project::{Project, is_dotted};
use super::user::User;
use crate::commands::dev::confined;
use crate::error::{Result, ResultExt};
use crate::lxc::rooted;
use crate::lxc::sandbox::{Copied, Lent, Sandbox};

/// The longest of the files by which a repository leads to another.
const LONGEST_POINTER: u64 = 16 << 10;
/// What a look may map: packs of a large history, and a great deal more.
const MEMORY: u64 = 16 << 30;

/// A checkout that was found, and what a look at it is given.
#[derive(Clone, Debug)]
pub struct CheckoutReader {
    /// What the user named, canonical: the work tree or a directory in it.
    path: PathBuf,
    owner: (u32, u32),
    lent: Vec<Lent>,
}

impl CheckoutReader {
    /// Finds the work tree at or above `path`.
    pub fn find(path: &Path) -> Result<Self> {
        let path = super::open::directory(path)?;
        let with_git = |directory: &&Path| directory.join(".git").symlink_metadata().is_ok();
        let top = path.ancestors().find(with_git);
        let bare = || path.join("HEAD").exists() && path.join("objects").exists();
        let Some(top) = top.or_else(|| bare().then_some(&*path)) else {
            return Err(unusable(&path)
                .because("neither it nor a directory above is a git work tree")
                .hint(make_one(&path)));
        };
        let owner = owner(top)?;
        let mut lent = vec![lend(top.to_owned(), owner.0)];
        for elsewhere in repositories(top) {
            let there = self::owner(&elsewhere)?.0;
            // What the checkout's owner says leads to nothing of others.
            let is_own = owner.0 == 0 || there == owner.0;
            if is_own && !lent.iter().any(|it| elsewhere.starts_with(&it.source)) {
                lent.push(lend(elsewhere, there));
            }
        }
        Ok(Self { path, owner, lent })
    }

    fn ask<T: DeserializeOwned>(&self, question: Question) -> Result<T> {
        let user = User::invoking()?;
        let sandbox = Sandbox {
            // As its owner could: git's index knows files by their owners, too, and reads again
            // whatever seems to be another's.
            user: Some(self.owner),
            lent: self.lent.clone(),
            copied: settings(&user),
            memory: MEMORY,
            ..Sandbox::default()
        };
        // A test's own binary has no hidden commands.
        let answer = if cfg!(test) {
            look::answer(&self.path, &question)?
        } else {
            confined::look(sandbox, self.path.clone(), question, user.home)?
        };
        serde_json::from_value(answer).doing(|| format!("look at {}", self.path.display()))
    }

    /// What is lent to who looks at it: the work tree first, then repositories that it leads to.
    pub fn lent(&self) -> &[Lent] {
        &self.lent
    }

    pub fn state(&self) -> Result<Checkout> {
        let (owner_uid, owner_gid) = self.owner;
        let found: Checkout = self.ask(Question::State)?;
        // In there its owner has another number; and what it runs from is found here.
        let root = self.lent.first().map_or(found.root, |top| top.source.clone());
        Ok(Checkout { root, owner_uid, owner_gid, ..found })
    }

    pub fn project(&self) -> Result<Project> {
        self.ask::<Project>(Question::Project)?.checked()
    }

    /// Its Python files that differ from the commit, and those below directories.
    pub fn python(&self, directories: Vec<PathBuf>) -> Result<Python> {
        self.ask(Question::Python { directories })
    }

    /// Whether it has the module `wanted` below where Python imports from, and which others a WSGI server
    /// could serve.
    pub fn modules(&self, import_roots: &[String], wanted: &str) -> Result<Modules> {
        let (import_roots, wanted) = (import_roots.to_vec(), wanted.to_owned());
        let mut found: Modules = self.ask(Question::Modules { import_roots, wanted })?;
        // They are shown, and a stranger chose them.
        found.wsgi.retain(|name| is_dotted(name));
        Ok(found)
    }

    /// Returns what git knows of these paths.
    pub fn standing(&self, paths: Vec<PathBuf>) -> Result<Vec<Standing>> {
        self.ask(Question::Standing(paths))
    }

    /// What it shares with other work trees, and its remotes.
    pub fn repository(&self) -> Result<RepositoryInfo> {
        self.ask(Question::Repository)
    }

    /// Asks what is used in one place only.
    pub(super) fn answer<T: DeserializeOwned>(&self, question: Question) -> Result<T> {
        self.ask(question)
    }

    /// The user that git runs as on it: only its owner can change it, and git works for nobody else.
    pub(super) fn owner(&self) -> Result<User> {
        User::by_id(self.owner.0)
    }

    /// Sentences about all that only this checkout has.
    ///
    /// # Errors
    /// When it cannot be read; then nobody knows.
    pub fn unsaved(&self) -> Result<Vec<String>> {
        self.ask(Question::Unsaved)
    }
}

fn lend(directory: PathBuf, owner: u32) -> Lent {
    Lent { source: directory.clone(), target: directory, owner, writable: false }
}

fn owner(directory: &Path) -> Result<(u32, u32)> {
    let doing = || format!("look at {}", directory.display());
    let opened = rooted::open_without_links(directory).doing(doing)?;
    let found = rustix::fs::fstat(opened.as_fd()).doing(doing)?;
    Ok((found.st_uid, found.st_gid))
}

/// Directories elsewhere that belong to the repository of a work tree: its own one, the one that it
/// is linked to, and those whose objects it borrows.
fn repositories(top: &Path) -> Vec<PathBuf> {
    let git = top.join(".git");
    let mut found = Vec::new();
    let mut common = git.clone();
    if let Some(pointer) = short_text(&git) {
        let Some(own) = pointer.trim().strip_prefix("gitdir:").and_then(|it| joined(top, it))
        else {
            return found;
        };
        if !own.join("HEAD").is_file() {
            return found;
        }
        common = match short_text(&own.join("commondir")) {
            Some(text) => joined(&own, &text).unwrap_or(own.clone()),
            None => own.clone(),
        };
        if !is_repository(&common) {
            return found;
        }
        found.extend([common.clone(), own]);
    }
    let borrowed = short_text(&common.join("objects/info/alternates")).unwrap_or_default();
    let borrowed = borrowed.lines().filter_map(|line| joined(&common.join("objects"), line));
    found.extend(borrowed.filter(|objects| objects.join("pack").is_dir()));
    found.sort();
    found
}

fn is_repository(directory: &Path) -> bool {
    directory.join("HEAD").is_file() && directory.join("objects").is_dir()
}

/// Returns where a pointer leads from a directory.
fn joined(from: &Path, pointer: &str) -> Option<PathBuf> {
    let pointer = pointer.trim();
    if pointer.is_empty() || pointer.contains(char::is_control) {
        return None;
    }
    from.join(pointer).canonicalize().ok()
}

/// A short text, if there is a regular file: a stranger may have put anything there.
fn short_text(file: &Path) -> Option<String> {
    short_text_by(file, ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS)
}

fn short_text_by(file: &Path, resolve: ResolveFlags) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = openat2(rustix::fs::CWD, file, flags, Mode::empty(), resolve).ok()?;
    if !FileType::from_raw_mode(rustix::fs::fstat(&opened).ok()?.st_mode).is_file() {
        return None;
    }
    let mut text = String::new();
    File::from(opened).take(LONGEST_POINTER).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The settings of the user's own git: what it ignores (an editor's directory, say) must not make the
/// checkout look changed.
fn settings(user: &User) -> Vec<Copied> {
    let own = [".gitconfig", ".config/git/config", ".config/git/ignore"];
    let mut files: Vec<PathBuf> = own.iter().map(|file| user.home.join(file)).collect();
    files.extend(own[..2].iter().filter_map(|file| ignore_file(&user.home, file)));
    files.push("/etc/gitconfig".into());
    files.into_iter().map(|path| Copied { path, reader: user.uid }).collect()
}

/// The file that a user's settings name for what is ignored everywhere.
fn ignore_file(home: &Path, settings: &str) -> Option<PathBuf> {
    // Many keep theirs elsewhere, with a link to it.
    let text = short_text_by(&home.join(settings), ResolveFlags::NO_MAGICLINKS)?;
    let mut values = text.lines().filter_map(|line| line.split_once('='));
    let (_, value) = values.rfind(|it| it.0.trim().eq_ignore_ascii_case("excludesfile"))?;
    let value = value.trim().trim_matches('"');
    Some(home.join(value.strip_prefix("~/").unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::source::testing::{
        git, give_away, open_directory, repository, write,
    };

    fn lent(path: &Path) -> Vec<PathBuf> {
        CheckoutReader::find(path).unwrap().lent.into_iter().map(|it| it.source).collect()
    }

    #[test]
    fn what_a_work_tree_is_made_of_is_lent_and_nothing_else() {
        let place = open_directory();
        let at = |name: &str| place.path().canonicalize().unwrap().join(name);
        repository(&at("app"), &[("a.py", ""), ("below/b.py", "")]);
        assert_eq!(lent(&at("app/below")), [at("app")]);
        git(&at("app"), &["worktree", "add", "--quiet", at("linked").to_str().unwrap()]);
        assert_eq!(lent(&at("linked")), [at("linked"), at("app/.git")]);
        git(&at(""), &["clone", "--quiet", "--shared", "app", "borrowing"]);
        assert_eq!(lent(&at("borrowing")), [at("borrowing"), at("app/.git/objects")]);
    }

    #[test]
    fn a_pointer_leads_to_no_repository_of_others_and_to_nothing_that_is_none() {
        let place = open_directory();
        let at = |name: &str| place.path().canonicalize().unwrap().join(name);
        repository(&at("private"), &[("a.py", "")]);
        write(&at("mine"), &[(".git", &format!("gitdir: {}\n", at("private/.git").display()))]);
        write(&at("odd"), &[(".git", "gitdir: /etc\n"), ("secret", "")]);
        assert_eq!(lent(&at("odd")), [at("odd")]);
        assert_eq!(lent(&at("mine")), [at("mine"), at("private/.git")]);
        if give_away(&at("mine"), 12_345) {
            assert_eq!(lent(&at("mine")), [at("mine")]);
        }
    }

    #[test]
    fn what_is_no_file_leads_nowhere_and_does_not_hang() {
        let place = open_directory();
        let git = place.path().join(".git");
        rustix::fs::mkfifoat(rustix::fs::CWD, &git, Mode::from_raw_mode(0o644)).unwrap();
        assert_eq!(CheckoutReader::find(place.path()).unwrap().lent.len(), 1);
        let nothing = tempfile::tempdir().unwrap();
        let error = CheckoutReader::find(nothing.path()).unwrap_err();
        assert!(error.causes[0].contains("is a git work tree"), "{error}");
    }

    #[test]
    fn the_users_own_settings_come_along() {
        let home = tempfile::tempdir().unwrap();
        let user =
            User { uid: 12_345, gid: 12_345, name: "ann".to_owned(), home: home.path().to_owned() };
        let files = || settings(&user).into_iter().map(|it| it.path).collect::<Vec<_>>();
        assert!(files().contains(&home.path().join(".config/git/ignore")));
        write(home.path(), &[("dotfiles/git", "[core]\n\texcludesFile = ~/.mine\n")]);
        let link = home.path().join(".gitconfig");
        std::os::unix::fs::symlink(home.path().join("dotfiles/git"), link).unwrap();
        assert!(files().contains(&home.path().join(".mine")), "{:?}", files());
        assert!(settings(&user).iter().all(|it| it.reader == 12_345));
    }
}
