//! What a user asks of `aio dev`.

use std::path::PathBuf;

use super::data::Fate;
use super::source::change::Change;

/// A unit to be swapped, and how.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub unit: String,
    /// Which member of its kind; the first without one.
    pub member: Option<u32>,
    /// A work tree or the URL of a repository.
    pub from: String,
    /// A branch, tag or commit.
    pub reference: Option<String>,
    /// A change of the repository's review.
    pub change: Option<Change>,
    /// Work trees of libraries that run together with the service.
    pub libraries: Vec<PathBuf>,
    /// Whether it outlives a restart of the container.
    pub keep: bool,
    /// How long it stays, and what happens meanwhile.
    pub mode: Mode,
    pub debug: Option<Debug>,
    /// Whether packages that the checkout needs and the container lacks may be added.
    pub packages: bool,
    /// Whether the database's schema is brought up to the checkout's.
    pub schema: bool,
    /// Whether a swap of the same unit is replaced.
    pub take_over: bool,
}

/// Swaps to be undone, and how.
#[derive(Clone, Debug)]
pub struct Undone {
    /// The unit; all that are swapped without one.
    pub unit: Option<String>,
    /// Which member of its kind; all of them without one.
    pub member: Option<u32>,
    pub fate: Fate,
    /// Whether nobody need be asked before data are lost.
    pub yes: bool,
}

/// How long a swap stays, and what happens meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Until the command ends; the unit's log is shown.
    #[default]
    Foreground,
    /// As [`Mode::Foreground`], and the unit is restarted when a file of a checkout is saved.
    Watch,
    /// Until it is undone; the command returns when the unit is healthy.
    Detached,
    /// The process runs in this terminal until it ends.
    Terminal,
}

/// A debugger in the process.
#[derive(Clone, Copy, Debug)]
pub struct Debug {
    /// The port on which it listens.
    pub port: u16,
    /// Whether the process waits for it before it serves.
    pub wait: bool,
}
