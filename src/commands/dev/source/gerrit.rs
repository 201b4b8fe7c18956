//! What a change of Gerrit's takes along: the changes below it in its own stack, and those that
//! `Depends-On:` names in other projects, as OpenStack's Zuul understands it
//! (<https://zuul-ci.org/docs/zuul/latest/gating.html#cross-project-dependencies>).
//!
//! Nothing is fetched: the review server is asked by its REST interface, without credentials. What it
//! says is a stranger's: answers, changes and time are limited, names are checked, and nothing leads
//! to another server.

use std::fmt;

use super::change::Change;
use super::git::Watch;
use crate::error::{Error, ErrorKind, Result};

mod address;
mod answers;
mod collapse;
mod footers;
mod network;
mod server;
#[cfg(test)]
mod testing;
mod walk;

use network::Network;

/// What a change needs, itself included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies {
    /// One for each project: that of the change that was asked for first, then as they were met.
    pub changes: Vec<Needed>,
    /// Sentences about what is left out, and what a user would wonder about.
    pub notes: Vec<String>,
}

/// A change that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// As the review server calls it: `openstack/nova`.
    pub project: String,
    /// Its number and its patch set.
    pub change: Change,
    pub branch: String,
    /// Its first line, without control characters.
    pub subject: String,
    /// Where it comes from: what was given for the project of the change that was asked for, and the
    /// review server's own address for the others.
    pub from: String,
    /// Why it is there, at least one reason.
    pub why: Vec<Why>,
    /// The changes below it that are on no branch yet, the nearest first. It contains them.
    pub below: Vec<Below>,
}

/// A change that another one of the same project contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// Its number, and the patch set that is contained.
    pub change: Change,
    /// Its newest patch set, which may be another one.
    pub newest: u32,
    pub subject: String,
    /// Whether it was given up: its code is contained all the same.
    pub is_abandoned: bool,
    /// Why it would be there by itself; often nothing.
    pub why: Vec<Why>,
}

/// Why a change is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Asked,
    /// Another change says so.
    DependsOn {
        number: u32,
        project: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => write!(formatter, "asked for"),
            Self::DependsOn { number, project } => {
                write!(formatter, "Depends-On of {number} ({project})")
            }
        }
    }
}

/// Finds what a change depends on. `from` is the URL of its project at the review server, or a work
/// tree whose remotes or `.gitreview` lead there. Blocks, so it is for a thread that may.
///
/// # Errors
/// When there is no review server or no such change, when one that is needed is abandoned or cannot
/// be found, and when two of one project do not go together.
pub fn dependencies(from: &str, change: Change, watch: &mut Watch) -> Result<Dependencies> {
    find(from, change, &Network::of_host(), watch)
}

fn find(from: &str, change: Change, network: &Network, watch: &mut Watch) -> Result<Dependencies> {
    let (server, project) = server::find(from, network, watch.cancelled)?;
    (watch.progress)(&format!("ask {} what change {change} depends on", server.base()));
    let (found, notes) = walk::walk(&server, &project, change, watch.cancelled)?;
    let mut changes = collapse::collapse(found, change)?;
    for needed in changes.iter_mut().filter(|needed| needed.project == project) {
        from.clone_into(&mut needed.from);
    }
    Ok(Dependencies { changes, notes })
}

/// An error about what a change depends on, with the way to do without.
fn unusable(change: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Usage, format!("find what change {change} depends on"))
        .hint("To run the change without what it depends on, leave out --with-depends.")
}

#[cfg(test)]
mod tests;
