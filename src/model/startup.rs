//! What systemd starts in the members of a container kind.

use super::file::ContainerFile;

/// What systemd starts in a kind's members, as far as the layers below do not say it themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// The container kind: `heat_engine`.
    pub kind: String,
    /// Its units, those that every container has included. A layer masks all others of its packages.
    pub units: Vec<String>,
    /// The files that are written into its first member.
    pub files: Vec<ContainerFile>,
    /// The directories of its data, whose contents are nobody's but theirs.
    pub data: Vec<String>,
    /// What else may write files before units start: commands of its service's set-up, and those by which
    /// a file takes effect.
    pub scripts: Vec<String>,
}
