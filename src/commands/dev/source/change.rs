//! Gerrit changes by number.

use std::fmt;
use std::str::FromStr;

use super::git::{Git, Watch};
use super::look::Question;
use super::reader::CheckoutReader;
use crate::error::{Error, ErrorKind, Result};

/// The remotes that may have changes, best first: what `git review` sets up, what others call it,
/// and where the clone is from.
pub(super) const REVIEW_REMOTES: [&str; 3] = ["gerrit", "review", "origin"];

/// A change of Gerrit's: `N` or `N/PS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number, as in its address.
    pub number: u32,
    /// The patch set; the newest when none is given.
    pub patch_set: Option<u32>,
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no change such as 912345 or 912345/3");
        let positive = |part: &str| match part.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(number) => Ok(number),
        };
        let (number, patch_set) = match text.split_once('/') {
            Some((number, patch_set)) => (number, Some(positive(patch_set)?)),
            None => (text, None),
        };
        Ok(Self { number: positive(number)?, patch_set })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.number)?;
        self.patch_set.map_or(Ok(()), |patch_set| write!(formatter, "/{patch_set}"))
    }
}

impl Change {
    /// Returns where Gerrit keeps its patch sets.
    fn directory(self) -> String {
        format!("refs/changes/{:02}/{}", self.number % 100, self.number)
    }
}

/// A patch set that was fetched.
pub(super) struct Fetched {
    pub reference: String,
    pub branch: String,
}

/// Fetches a change from the clone's review remote.
pub(super) fn fetch(
    change: Change,
    clone: &CheckoutReader,
    git: &Git,
    watch: &mut Watch,
) -> Result<Fetched> {
    let remote = review_remote(change, clone)?;
    let doing = format!("fetch change {change} from the remote `{remote}`");
    let patch_set = match change.patch_set {
        Some(patch_set) => patch_set,
        None => {
            let pattern = format!("{}/*", change.directory());
            let listed = git.run(&doing, &["ls-remote", remote, &pattern], watch)?;
            newest(&listed).ok_or_else(|| no_such_change(&doing, remote, clone, git))?
        }
    };
    let remote_name = format!("{}/{patch_set}", change.directory());
    // Not below `refs/remotes`, where a fetch that prunes would remove it.
    let reference = format!("refs/aio/changes/{}/{patch_set}", change.number);
    let refspec = format!("+{remote_name}:{reference}");
    let fetched = git.run(&doing, &["fetch", "--progress", "--no-tags", remote, &refspec], watch);
    fetched.map_err(|error| match &error.output {
        Some(said) if said.contains("couldn't find remote ref") => {
            no_such_change(&doing, remote, clone, git).output(said.clone())
        }
        _ => error,
    })?;
    Ok(Fetched { reference, branch: format!("change/{}/{patch_set}", change.number) })
}

/// The highest patch set in what `git ls-remote` printed; a change has other references too.
fn newest(listed: &str) -> Option<u32> {
    listed.lines().filter_map(|line| line.rsplit('/').next()?.parse().ok()).max()
}

fn review_remote(change: Change, clone: &CheckoutReader) -> Result<&'static str> {
    let known = clone.repository()?.remotes;
    let found = REVIEW_REMOTES.iter().find(|name| known.iter().any(|(it, _)| it == *name));
    found.copied().ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("fetch change {change}"))
            .because("none of the remotes gerrit, review and origin is there")
            .hint("Give the repository's URL instead: --from URL.")
    })
}

fn no_such_change(doing: &str, remote: &str, clone: &CheckoutReader, git: &Git) -> Error {
    let error = Error::new(ErrorKind::Usage, doing).because("it has no such change or patch set");
    match clone.answer::<Option<String>>(Question::ReviewAddress).ok().flatten() {
        Some(address) => error.hint(format!(
            "The project is reviewed at {address}: give that as --from, or add it as a remote: \
             git -C {} remote add gerrit {address}",
            git.directory.display()
        )),
        None => error.hint(format!(
            "Mirrors often have no changes: give the URL of the review server as --from instead \
             of that of `{remote}`."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_number_and_maybe_a_patch_set() {
        let change: Change = "912345".parse().unwrap();
        assert_eq!(change, Change { number: 912_345, patch_set: None });
        assert_eq!(change.directory(), "refs/changes/45/912345");
        let change: Change = "7/12".parse().unwrap();
        assert_eq!(change, Change { number: 7, patch_set: Some(12) });
        assert_eq!(change.directory(), "refs/changes/07/7");
        assert_eq!(change.to_string(), "7/12");
        for wrong in ["", "x", "1/", "/1", "0", "1/0", "1/2/3", "-1"] {
            assert!(wrong.parse::<Change>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_newest_patch_set_is_the_highest_number() {
        let listed = "a\trefs/changes/07/7/10\nb\trefs/changes/07/7/9\nc\trefs/changes/07/7/meta\n";
        assert_eq!(newest(listed), Some(10));
        assert_eq!(newest(""), None);
    }
}
