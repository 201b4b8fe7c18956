//! What `--from` names: where a repository is, and which state of it.
//!
//! The state, a branch, a tag or a commit, stands behind the first `#`, as `docker build` and npm take it.
//! pip and uv have an `@` there, which is also in `git@HOST:PATH`, in `https://USER@HOST/`, and may be in
//! paths and in names of branches: what is meant could only be guessed. A URL has a `#` nowhere but before
//! its fragment (RFC 3986), so nothing is guessed here. What exists as a path is one, `#` or not: the longest
//! that does, where the name of a directory above has one.

use std::fmt;
use std::path::{Path, PathBuf};

use git2::Reference;

use crate::commands::dev::source::clone::{Address, without_password};

/// One `--from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreePlace {
    /// A directory of this host, or anything that git fetches from.
    pub from: String,
    /// A branch, a tag or a commit of it; without, what is checked out there.
    pub reference: Option<String>,
}

/// What a place is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A repository: what [`crate::commands::dev::source::clone::Wanted::from`] takes.
    Repository(String),
    /// A directory that is no checkout.
    Directory(PathBuf),
    /// A path at which nothing is.
    Nothing,
}

impl TreePlace {
    /// Reads what stands behind `--from`.
    ///
    /// # Errors
    /// A sentence about a reference that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = || Ok(Self { from: text.to_owned(), reference: None });
        if Path::new(text).exists() {
            return whole();
        }
        let mut splits = text.rmatch_indices('#').map(|(at, _)| (&text[..at], &text[at + 1..]));
        let of_path = splits.find(|(from, _)| Path::new(from).exists());
        let Some((from, reference)) = of_path.or_else(|| text.split_once('#')) else {
            return whole();
        };
        check(reference)?;
        Ok(Self { from: from.to_owned(), reference: Some(reference.to_owned()) })
    }

    /// Looks at what it is.
    pub fn kind(&self) -> PlaceKind {
        match Address::parse(&self.from) {
            Address::Path(path) if !path.exists() => PlaceKind::Nothing,
            Address::Path(path) if is_checkout(&path) => PlaceKind::Repository(self.from.clone()),
            Address::Path(path) if is_bare(&path) => PlaceKind::Repository(url(&path)),
            Address::Path(path) => PlaceKind::Directory(path),
            Address::Url(url) => PlaceKind::Repository(url),
        }
    }

    /// What to try where there is nothing, if it is written as pip and uv take it.
    pub fn hint(&self) -> Option<String> {
        let path = match self.from.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?.1,
            None => self.from.split_once(':').map_or(self.from.as_str(), |(_, path)| path),
        };
        let (_, reference) = path.rsplit_once('@').filter(|_| self.reference.is_none())?;
        check(reference).ok()?;
        Some(format!(
            "A branch, a tag or a commit stands behind a `#`: `#{reference}` in place of `@{reference}`."
        ))
    }
}

/// As it may be shown: without a password.
impl fmt::Display for TreePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&without_password(&self.from))?;
        self.reference.iter().try_for_each(|it| write!(formatter, "#{it}"))
    }
}

/// Refuses what git could take for something other than a name.
fn check(reference: &str) -> Result<(), String> {
    if reference.is_empty() {
        return Err("nothing stands behind `#`: write a branch, a tag or a commit there".to_owned());
    }
    if reference.starts_with('-') || !Reference::is_valid_name(&format!("refs/heads/{reference}")) {
        return Err(format!(
            "`{reference}` is the name of no branch, tag or commit, as `git check-ref-format` has it"
        ));
    }
    Ok(())
}

/// Whether a work tree of git begins here.
pub fn is_checkout(path: &Path) -> bool {
    path.join(".git").symlink_metadata().is_ok()
}

fn is_bare(path: &Path) -> bool {
    path.join("HEAD").is_file() && ["objects", "refs"].iter().all(|it| path.join(it).is_dir())
}

/// A path as git fetches from it: there is no work tree to look at.
fn url(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("file://{}", whole.display().to_string().replace('%', "%25"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Option<String>) {
        let place = TreePlace::parse(text).unwrap();
        assert_eq!(place.to_string(), text.replace("p@ss", "***"));
        (place.from, place.reference)
    }

    #[test]
    fn a_reference_stands_behind_a_hash_whatever_else_is_there() {
        for from in [
            "https://git.example/openstack/nova",
            "https://ann:p@ss@git.example:8443/@team/nova.git",
            "ssh://git@review.example:29418/openstack/nova",
            "git@git.example:openstack/nova",
            "./nova",
            "/srv/git/nova@2",
        ] {
            assert_eq!(read(from), (from.to_owned(), None));
            for reference in
                ["stable/2026.2", "34.0.0", "0123abc", "refs/changes/07/1207/1", "a#b", "types@1"]
            {
                let wanted = (from.to_owned(), Some(reference.to_owned()));
                assert_eq!(read(&format!("{from}#{reference}")), wanted);
            }
        }
    }

    #[test]
    fn what_exists_is_a_path_whatever_it_is_called() {
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("nova#2").display().to_string();
        assert_eq!(read(&odd).1.as_deref(), Some("2"));
        std::fs::create_dir(&odd).unwrap();
        assert_eq!(read(&odd), (odd.clone(), None));
        for reference in ["main", "a#b"] {
            let wanted = (odd.clone(), Some(reference.to_owned()));
            assert_eq!(read(&format!("{odd}#{reference}")), wanted);
        }
        let inside = format!("{odd}/none");
        let (from, reference) = inside.split_once('#').unwrap();
        assert_eq!(read(&inside), (from.to_owned(), Some(reference.to_owned())));
    }

    #[test]
    fn a_password_is_not_shown() {
        let place = TreePlace::parse("https://ann:s3cret@git.example/nova#types@1").unwrap();
        assert_eq!(place.to_string(), "https://ann:***@git.example/nova#types@1");
        assert_eq!(place.from, "https://ann:s3cret@git.example/nova");
    }

    #[test]
    fn what_git_could_take_for_another_thing_is_refused() {
        for reference in [
            "-x",
            "--upload-pack=touch /x",
            "a b",
            "main:refs/heads/x",
            "+main:x",
            "^main",
            "HEAD~1",
            "main@{1}",
            "a..b",
            "*",
            "a\nb",
            "/main",
            "x.lock",
        ] {
            let said = TreePlace::parse(&format!("./nova#{reference}")).unwrap_err();
            assert!(said.starts_with(&format!("`{reference}` is the name of no branch")), "{said}");
        }
        assert!(TreePlace::parse("./nova#").unwrap_err().starts_with("nothing stands behind `#`"));
    }

    #[test]
    fn who_writes_it_as_pip_takes_it_is_told() {
        let hint = |text: &str| TreePlace::parse(text).unwrap().hint();
        for from in ["git+https://ann@git.example/nova", "git@git.example:nova", "./nova", "nova"] {
            let said = hint(&format!("{from}@stable/2026.2")).unwrap();
            assert!(said.ends_with("`#stable/2026.2` in place of `@stable/2026.2`."), "{said}");
            assert_eq!(hint(from), None);
            assert_eq!(hint(&format!("{from}@2#main")), None);
        }
    }
}
