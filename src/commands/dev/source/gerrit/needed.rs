//! What a change takes along, and why.

use std::fmt;

use crate::commands::dev::source::change::Change;
use crate::error::{Error, ErrorKind};

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

/// An error about what a change depends on, with the way to do without.
pub fn unusable(change: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Usage, format!("find what change {change} depends on"))
        .hint("To run the change without what it depends on, leave out --with-depends.")
}
