//! What a service profile says about running a checkout in place of the packaged code: the schema of
//! its `dev` section.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a checkout runs as this service.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceDev {
    /// Names of the Python distributions whose checkouts are this service, as the packaging
    /// metadata of the checkout has them: `[openstack-heat]`.
    pub projects: Vec<String>,
    /// The user as whom the units run.
    pub user: String,
    /// How the code brings the schema of the service's databases.
    #[serde(default)]
    pub schema: Option<SchemaDev>,
    /// The units that can be swapped, by their names with suffix, in the order in which those of a
    /// checkout start: whoever asks after whoever answers.
    pub units: IndexMap<String, UnitDev>,
}

/// The schema of a service's databases.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaDev {
    /// The name of the set-up command that brings it up to date; run with the checkout's code.
    pub setup: String,
    /// Of no use any more: the databases are the service's. Recorded clouds have it.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    pub database: Option<String>,
    /// Directories of Alembic revisions, of each of the databases, below the checkout's import root and
    /// below the packaged code alike.
    pub migrations: Vec<String>,
    /// SQL: queries whose answers tell which versions the service's processes have written down, a row for
    /// each, by its first column. Where a checkout changed one, the databases go back: older code would
    /// refuse to start. Asked as the user of the service's first database.
    #[serde(default)]
    pub records: Vec<String>,
}

/// How one unit's process runs under a developer's hands.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UnitDev {
    /// A module that only the serving process imports, not its parent: a debugger listens from then
    /// on (`--debug`).
    pub debug_at: String,
    /// Environment that makes it one process with patient time-outs (`--debug`). That a WSGI
    /// application has one process and one thread need not be said.
    #[serde(default)]
    pub debug_environment: BTreeMap<String, String>,
    /// The shell command that runs it in a terminal as one process (`--pdb`), as the user and with
    /// the environment of the unit. Follows from what the unit runs: always where that is a WSGI
    /// application, else unless said.
    #[serde(default)]
    pub foreground: String,
    /// Set where no health probe of the container kind tells whether this very unit works. It counts as
    /// healthy when its process has slept for a second: one that still loads its modules computes.
    #[serde(default)]
    pub settles: bool,
}
