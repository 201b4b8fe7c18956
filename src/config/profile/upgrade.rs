//! What a service profile says about the way from one release to the next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How `aio upgrade` goes about a service. Its scripts run as root with the code of the release to
/// come and the environment of the set-up command; `check` and `expand` in a container that still serves
/// the former release.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceUpgrade {
    /// The set-up command that brings the databases up to date. When no member of the former release
    /// serves any more it runs whole.
    pub setup: String,
    /// What says whether the databases and the configuration are fit: a shell script that exits with 0,
    /// with 1 for a warning, or with more where they are not, as `NAME-status upgrade check` does.
    #[serde(default)]
    pub check: String,
    /// The part of the set-up command with which the former release can live: a shell script that runs
    /// before the first of its members is stopped. Without one, all of the command is.
    #[serde(default)]
    pub expand: String,
    /// What is left to do when the service is of the new release: a shell script that runs in its
    /// container and can run again.
    #[serde(default)]
    pub migrate: String,
}
