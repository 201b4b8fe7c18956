//! Clones that `aio` makes, for code that is not in a work tree of the user's yet.
//!
//! Everything that talks to a server, and everything that changes a clone, is done by the host's
//! `git` as the invoking user ([`super::git`]): only git has that user's credential helpers, ssh
//! agent, proxies and `insteadOf`. All looking is done without rights ([`super::reader`]). A work
//! tree of the user's is never written to: for another state than the one it has, a clone of it is
//! made, whose files are no hard links, so that not even a link count in there changes.
//!
//! A clone belongs to that user, who may work in it: branches with commits of one's own stay as
//! they are, and nothing is checked out over changes that would be lost.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::change::Change;
use super::git::{Git, Watch};
use super::look::{Question, RepositoryInfo};
use super::reader::CheckoutReader;
use super::user::User;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::descent;
use crate::state::files::{self, open_directory};

mod address;
mod source;
mod switch;

pub use address::{Address, without_password};
#[cfg(test)]
use source::clone_name;
use source::{SOURCE, Source};

/// What the name of an unfinished clone ends with.
const PARTIAL: &str = ".partial";

/// Where code is to come from, as the command line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// A work tree or a URL.
    pub from: String,
    /// A branch, a tag or a commit.
    pub reference: Option<String>,
    /// A change of Gerrit's, instead of a reference.
    pub change: Option<Change>,
    /// How the command line names a reference, for a hint: `--ref REF`.
    pub naming: &'static str,
}

/// A work tree that has what was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    pub path: PathBuf,
    /// Whether it is a clone that `aio` made.
    pub is_clone: bool,
}

/// Finds or makes the work tree that is wanted; clones stand in the directory `clones`, one for
/// every source. Blocks, so it is for a thread that may.
///
/// # Errors
/// When there is no such repository, reference or change, when git fails, and when work in the
/// clone would be lost.
pub fn provide(wanted: &Wanted, clones: &Path, watch: &mut Watch) -> Result<Provided> {
    if wanted.reference.is_some() && wanted.change.is_some() {
        return Err(Error::new(ErrorKind::Usage, "choose what to run")
            .because("a reference and a change were given")
            .hint("Give --ref or --change, not both."));
    }
    let address = Address::parse(&wanted.from);
    if let (Address::Path(path), None, None) = (&address, &wanted.reference, wanted.change) {
        return Ok(Provided { path: path.clone(), is_clone: false });
    }
    let source = Source::of(address)?;
    let path = clones.join(&source.name);
    if path.exists() {
        let clone = OwnClone::stands(&path, &source)?;
        clone.switch(wanted, &source, false, watch)?;
    } else {
        let clone = OwnClone::make(clones, &source, watch)?;
        clone.switch(wanted, &source, true, watch)?;
    }
    Ok(Provided { path, is_clone: true })
}

/// Returns where the clone stands that [`provide`] would bring to another state; none where it takes a
/// work tree as it is, or would make one.
///
/// # Errors
/// When there is no such repository.
pub fn standing(wanted: &Wanted, clones: &Path) -> Result<Option<PathBuf>> {
    let address = Address::parse(&wanted.from);
    if matches!(address, Address::Path(_)) && wanted.reference.is_none() && wanted.change.is_none()
    {
        return Ok(None);
    }
    let path = clones.join(&Source::of(address)?.name);
    Ok(path.exists().then_some(path))
}

/// All clones in the directory `clones`, sorted.
///
/// # Errors
/// When the directory cannot be read; a missing one has none.
pub fn all(clones: &Path) -> Result<Vec<PathBuf>> {
    let partial = |path: &Path| path.as_os_str().as_bytes().ends_with(PARTIAL.as_bytes());
    let mut found = files::entries(clones)?;
    found.retain(|path| path.is_dir() && !partial(path));
    Ok(found)
}

/// A clone, and the user it belongs to.
struct OwnClone {
    path: PathBuf,
    user: User,
}

impl OwnClone {
    /// Makes one beside its final name, so that what bears that name is whole.
    fn make(clones: &Path, source: &Source, watch: &mut Watch) -> Result<Self> {
        let doing = format!("clone {}", source.shown);
        let partial = clones.join(format!("{}{PARTIAL}", source.name));
        descent::remove(&partial).doing(|| format!("remove {}", partial.display()))?;
        let prepare = || format!("make the directory {}", partial.display());
        // The user must get through.
        open_directory(clones)?;
        fs::create_dir(&partial).doing(prepare)?;
        if source.user.is_another() {
            let (uid, gid) = (source.user.uid, source.user.gid);
            std::os::unix::fs::chown(&partial, Some(uid), Some(gid)).doing(prepare)?;
        }
        let git = Git { user: &source.user, directory: &partial };
        let tags = format!("remote.{}.fetch=+refs/tags/*:refs/aio/tags/*", source.remote);
        let mut args = vec!["clone", "--progress", "--no-checkout", "--origin", source.remote];
        // The remote's tags apart from the user's own, so that `unsaved` can tell them.
        args.extend(["--config", &tags]);
        if source.remote == SOURCE {
            args.push("--no-hardlinks");
        }
        args.extend(["--", &source.url, "."]);
        if let Err(error) = git.run(&doing, &args, watch) {
            // What is left is removed before the next attempt, too.
            let _ = descent::remove(&partial);
            return Err(error);
        }
        let path = clones.join(&source.name);
        files::rename(&partial, &path)?;
        Ok(Self { path, user: source.user.clone() })
    }

    /// The clone that is there, if it is one of this source.
    fn stands(path: &Path, source: &Source) -> Result<Self> {
        let in_the_way = || {
            Error::failed(format!("use the clone {}", path.display()))
                .because(format!("it is not a clone of {}", source.shown))
                .hint("Move it away and run again.")
        };
        let reader = CheckoutReader::find(path)?;
        let RepositoryInfo { root, remotes, .. } = reader.repository()?;
        let url = remotes.iter().find(|(name, _)| name == source.remote).map(|(_, url)| url);
        let same = fs::canonicalize(path).is_ok_and(|path| path == root);
        if !same || url != Some(&source.url) {
            return Err(in_the_way());
        }
        Ok(Self { path: path.to_owned(), user: reader.owner()? })
    }

    fn git(&self) -> Git<'_> {
        Git { user: &self.user, directory: &self.path }
    }

    /// Reads it as git has left it.
    fn reader(&self) -> Result<CheckoutReader> {
        CheckoutReader::find(&self.path)
    }

    fn ask<T: DeserializeOwned>(&self, question: Question) -> Result<T> {
        self.reader()?.answer(question)
    }

    fn doing(&self) -> String {
        format!("look into the clone {}", self.path.display())
    }
}

#[cfg(test)]
mod tests;
