//! How a graph is run.

use std::path::PathBuf;

use super::event::Resource;
use super::interrupt::Interrupt;

/// How many steps may act at the same time, by resource. [`Resource::Light`] is unbounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slots {
    pub package: usize,
    pub download: usize,
    pub start: usize,
    pub load: usize,
}

impl Slots {
    /// The number for a resource, at least one.
    pub(super) fn of(self, resource: Resource) -> usize {
        match resource {
            Resource::Light => usize::MAX,
            Resource::Package => self.package.max(1),
            Resource::Download => self.download.max(1),
            Resource::Start => self.start.max(1),
            Resource::Load => self.load.max(1),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    pub command: String,
    /// Only look: what would be done, and why.
    pub dry_run: bool,
    /// The command itself says how the run ended.
    pub told_by_command: bool,
    pub slots: Slots,
    pub interrupt: Interrupt,
    /// Where to write what is being done; not used by a dry run.
    pub journal: Option<PathBuf>,
    /// Where durations of earlier runs stand; a dry run only reads them.
    pub durations: Option<PathBuf>,
}
