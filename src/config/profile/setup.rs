//! Commands that prepare a service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command that prepares a service, before its units start unless `before` says otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SetupCommand {
    /// Unique in the profile: `schema`.
    pub name: String,
    /// Shown while it runs: "schema of heat".
    pub title: String,
    /// The container kind in whose first member it runs: one of the service's own, or with `before:
    /// cloud` any. Where the cloud has no member of it, the command is left out.
    pub container: String,
    /// A shell script run as root. Secrets come by `environment`, never here.
    pub script: String,
    /// Environment of the script (*template*: secrets allowed).
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How it is observed to be done already.
    pub done: Done,
    /// The service's databases that it fills. Where they were empty and it was cut off, they are
    /// emptied before it runs again: MariaDB cannot undo half of a migration, and no migration
    /// begins in the middle.
    #[serde(default)]
    pub fills: Vec<String>,
    /// Set where what it makes of empty databases is the same in every cloud. It is kept beside the
    /// image layers then, and loaded in place of running the command wherever the same software
    /// finds them empty again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// Whether it upgrades what is there (the default): then it also runs, though its result is there,
    /// when the container has other layers than those with which it last ran, or when it changed
    /// itself. A command that only makes what is missing does not.
    #[serde(default = "yes")]
    pub upgrades: bool,
    /// What waits for it: the service's units (the default), the service, or nothing of the cloud.
    #[serde(default)]
    pub before: SetupPhase,
}

/// What of filled databases is kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Tables whose rows are a cloud's own (`DATABASE.TABLE`). Where there are any, the command also
    /// runs after the rest was loaded, and finds little left to do.
    #[serde(default)]
    pub without_rows_of: Vec<String>,
}

const fn yes() -> bool {
    true
}

/// When a set-up command runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupPhase {
    /// Before the service's units start.
    #[default]
    Units,
    /// After the units are healthy, before the service counts as ready.
    Ready,
    /// After every service of the cloud is ready and the catalog is complete, before the cloud
    /// counts as built; after such commands of services that this one needs. It is tried three times.
    Cloud,
}

/// How a set-up command is observed to be done.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, tag = "observe", rename_all = "snake_case")]
pub enum Done {
    /// The query returns a row whose first column is not 0 (a missing table: not done).
    Sql {
        /// *Template*, without secrets: one statement, tables qualified by their schema.
        query: String,
    },
    /// The identity service issues a token to the user `admin` with the present secret.
    AdminToken,
    /// A shell script in the same container, with the same environment, exits with 0. Every run of
    /// `aio bootstrap` waits for it: it should take a moment only.
    Run {
        /// *Template*, without secrets.
        script: String,
    },
}
