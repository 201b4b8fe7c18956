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
    /// How many seconds it may take from its start until its container is healthy;
    /// [`PATIENCE_SECS`] unless said.
    #[serde(default = "patience_secs")]
    pub timeout_secs: u64,
}

/// After a power cut all containers start at once: on two cores, with forty of them, an API that
/// takes 8 s by itself took 66 s.
pub const PATIENCE_SECS: u64 = 120;

const fn patience_secs() -> u64 {
    PATIENCE_SECS
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
