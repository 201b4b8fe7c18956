//! `aio release lock`: the versions of a release's Python distributions, found anew.
//!
//! What is asked for ([`wanted`]), the release that it is for ([`subject`]), where uv looks for versions
//! ([`workroom`]), what is written of them ([`written`]); here, one after another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use time::OffsetDateTime;

use self::subject::Subject;
use self::wanted::doing;
use self::workroom::Workroom;
use super::changes::{Change, changes, words};
use super::trees::{self, Tree};
use super::wheels::{self, Kept};
use crate::config::load::Profiles;
use crate::error::{Error, ErrorKind, Result};
use crate::host::blocking;
use crate::model::lock::{Built, Distribution};
use crate::model::paths::Paths;
use crate::state::files;

mod subject;
mod wanted;
mod workroom;
mod written;

pub use wanted::Wanted;

/// A lock that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    pub release: String,
    pub as_of: String,
    pub distributions: usize,
    /// What was built of checkouts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub built: Vec<Built>,
    /// What is other than in the lock before, or in that of the release that this one extends; none when
    /// neither could be read.
    pub changes: Option<Vec<Change>>,
    /// Where it was written; nowhere when the release has these distributions already.
    pub file: Option<PathBuf>,
}

/// Makes a lock, and writes it. `say` is told what takes long.
///
/// # Errors
/// When the release has no lock, what it asks for is no requirement or no day, a checkout cannot be built,
/// no versions go together, or something cannot be fetched or written.
pub async fn make(paths: &Paths, wanted: &Wanted, say: &(dyn Fn(&str) + Sync)) -> Result<Made> {
    let profiles = Profiles::load(&paths.config_dir)?;
    let subject = Subject::find(&profiles, wanted, OffsetDateTime::now_utc().date())?;
    subject.question(&[])?;
    require_root(&wanted.release)?;
    files::prepare(paths)?;
    let room = Workroom::enter(paths.locking_dir())?;
    let within = |error: Error| error.context(doing(&wanted.release).message);
    let (as_of, before) = (subject.as_of, subject.before());
    let installer = room.installer(before).await.map_err(within)?;
    let trees = trees_of(wanted, paths.release_clones_dir(), subject.known(), say).await?;
    let kept = Kept { directory: &paths.built_wheels_dir(), lock: subject.present.as_ref() };
    let wheels = wheels::build(&trees, &installer, as_of, &room.directory, &kept, say).await;
    let wheels = wheels.map_err(within)?;
    let built: Vec<Distribution> = wheels.iter().map(|it| it.distribution.clone()).collect();
    let question = subject.question(&built)?;
    say(&if built.is_empty() {
        format!("looking for the newest versions as of {as_of} that go together")
    } else {
        format!("looking for versions as of {as_of} that go together with them")
    });
    let answer = room.resolve(&installer, &question, &wheels, before).await.map_err(within)?;
    let lock = written::read(&answer, &subject, wanted, &built)?;
    subject.check(&lock)?;
    let file = written::write(&lock, &wheels, &subject, wanted, paths)?;
    Ok(Made {
        release: wanted.release.clone(),
        as_of: as_of.to_string(),
        distributions: lock.distributions.len(),
        built: lock.built().collect(),
        changes: before.map(|before| changes(before, &lock)),
        file,
    })
}

/// What was made, a line each.
pub fn sentences(made: &Made) -> Vec<String> {
    let mut lines = match &made.changes {
        None => vec!["there was no whole lock before".to_owned()],
        Some(none) if none.is_empty() => vec!["nothing changed".to_owned()],
        Some(all) => all.iter().map(words).collect(),
    };
    let Made { distributions, as_of, file, .. } = made;
    lines
        .extend(file.as_ref().map(|file| {
            format!("{distributions} distributions as of {as_of}: {}", file.display())
        }));
    lines
}

fn require_root(name: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error { kind: ErrorKind::Refused, ..doing(name) }
        .because("what is fetched is looked at without rights, which only root can arrange")
        .hint(format!("Run `sudo aio release lock {name}`.")))
}

/// The trees that something is built of.
async fn trees_of(
    wanted: &Wanted,
    clones: PathBuf,
    known: BTreeMap<String, Option<String>>,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Tree>> {
    if wanted.from.is_empty() {
        return Ok(Vec::new());
    }
    let from = wanted.from.clone();
    let found =
        blocking("look for checkouts", move || trees::find(&from, &clones, &known, &mut |_| {}));
    let found = found.await?;
    found.notes.iter().for_each(|note| say(note));
    Ok(found.trees)
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_and_where_it_stands_is_told() {
        let change =
            Change { name: "uv".to_owned(), old: Some("1".to_owned()), new: Some("2".to_owned()) };
        let made = |changes: Option<Vec<Change>>, file: Option<&str>| Made {
            release: "2.0".to_owned(),
            as_of: "2026-10-20".to_owned(),
            distributions: 3,
            built: Vec::new(),
            changes,
            file: file.map(PathBuf::from),
        };
        let written = "3 distributions as of 2026-10-20: /x";
        assert_eq!(sentences(&made(Some(vec![change]), Some("/x"))), ["uv 1 → 2", written]);
        assert_eq!(sentences(&made(None, Some("/x"))), ["there was no whole lock before", written]);
        assert_eq!(sentences(&made(Some(Vec::new()), None)), ["nothing changed"]);
    }
}
