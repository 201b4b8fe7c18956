//! A systemd unit that runs in a container.

use serde::{Deserialize, Serialize};

/// A systemd unit that runs in a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// With its suffix: `heat-engine.service`.
    pub name: String,
    /// Who starts it.
    #[serde(default)]
    pub start: UnitStart,
    /// How many seconds it may take from its start until its container is healthy.
    #[serde(default = "sixty")]
    pub timeout_secs: u64,
}

fn sixty() -> u64 {
    60
}

/// Who starts a unit.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitStart {
    /// Enabled: systemd starts it with the container (after the first run set it up).
    #[default]
    Boot,
    /// Never enabled: `aio` starts all members of the cluster together (see [`Cluster`]).
    Cluster,
}
