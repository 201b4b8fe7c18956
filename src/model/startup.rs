//! What systemd starts in the members of a container kind.

use super::file::ContainerFile;

/// What systemd starts in a kind's members, as far as the layers below do not say it themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// The container kind: `heat_engine`.
    pub kind: String,
    /// Its units, those that every container has included. A layer masks all others of its packages.
    pub units: Vec<String>,
    /// The files that are written into its first member.
    pub files: Vec<ContainerFile>,
}
