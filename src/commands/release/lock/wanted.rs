//! What somebody wants who calls `aio release lock`.

use std::path::PathBuf;

use time::Date;

use crate::commands::release::place::TreePlace;
use crate::error::Error;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub release: String,
    /// Where checkouts are that its projects are built of.
    pub from: Vec<TreePlace>,
    /// Instead of the release's own day, or of today where something is built.
    pub as_of: Option<Date>,
    /// Instead of a file in the configuration directory.
    pub file: Option<PathBuf>,
}

/// What failed, when the lock of a release could not be made.
pub(super) fn doing(name: &str) -> Error {
    Error::failed(format!("make the lock of release `{name}`"))
}
