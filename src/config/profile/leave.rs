//! What a service does about members that go for good.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::setup::Done;

/// What is done when containers are taken out of the cloud: of this service, or of any other.
///
/// Templates see those of them that the entry is about in `departed`, a list of members with `name`,
/// `hostname`, `address`, `kind` and `member`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// What may stand in the way, asked before anything is changed.
    #[serde(default)]
    pub refuse: Vec<Refusal>,
    /// What clears the records of those that went, when the cloud is whole without them.
    #[serde(default)]
    pub forget: Vec<ForgetCommand>,
}

/// A reason for which members of some kinds may not go.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The kinds that it is about.
    pub of: Vec<String>,
    /// The sentence without its end: "servers still are on it".
    pub because: String,
    /// What to do about it: a whole sentence.
    pub hint: String,
    /// How it is asked.
    pub ask: Ask,
}

/// How it is asked what stands in the way.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields, tag = "from", rename_all = "snake_case")]
pub enum Ask {
    /// The first column of each row is one such thing.
    Sql {
        /// *Template*, without secrets: one statement, tables qualified by their schema.
        query: String,
    },
    /// Each line that a shell script prints in a member that is to go is one such thing.
    Run {
        /// The script.
        script: String,
    },
}

/// A command that clears what is recorded of members that went. Safe to run again.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetCommand {
    /// Unique in the profile: `computes`.
    pub name: String,
    /// Shown while it runs: "nova forgets who went".
    pub title: String,
    /// The kinds that it is about; empty for all.
    #[serde(default)]
    pub of: Vec<String>,
    /// The container kind in whose first member it runs. Where the cloud has none, it is left out.
    pub container: String,
    /// A shell script run as root (*template*). Secrets come by `environment`, never here.
    pub script: String,
    /// Environment of the script (*template*: secrets allowed).
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How it is observed that nothing is recorded any more.
    pub done: Done,
}
