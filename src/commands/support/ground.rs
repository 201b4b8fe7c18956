//! What all parts of the archive share.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::findings::Findings;
use crate::cloud::files::Files;
use crate::cloud::run::Options;
use crate::model::cloud::Cloud;
use crate::model::facts::HostFacts;
use crate::model::topology::Container;

#[derive(Clone, Debug)]
pub struct Asked {
    /// Where the archive will stand.
    pub file: PathBuf,
    /// Whether it replaces a file that stands there.
    pub force: bool,
    /// How many entries of each container's journal.
    pub lines: u32,
    pub arguments: Vec<String>,
}

/// What all parts share.
pub(super) struct Ground {
    pub(super) options: Options,
    pub(super) asked: Asked,
    /// As the last `bootstrap` wanted it, if that can be read.
    pub(super) cloud: Option<Cloud>,
    pub(super) containers: Vec<Container>,
    pub(super) findings: Findings,
    pub(super) facts: OnceCell<HostFacts>,
    pub(super) files: OnceCell<Arc<Files>>,
}
