//! How the members of a kind form one cluster.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::File;

/// How the members of a kind become and stay one cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The unit that forms it.
    pub unit: String,
    /// Files written before the first start, only while no member has data yet.
    #[serde(default)]
    pub seed: Vec<File>,
    /// How long all members, started together, may take to form the cluster, in seconds.
    pub form_timeout_secs: u64,
    /// Script that prints with whom a stopped member was together last. Members that print the same
    /// are given time to find one another; others are not waited for.
    #[serde(default)]
    pub view: Option<String>,
    /// Script that prints how advanced a stopped member's data is, as one integer.
    #[serde(default)]
    pub position: Option<String>,
    /// Script that starts the most advanced member as the cluster's first.
    #[serde(default)]
    pub promote: Option<String>,
    /// Script, run in another member, that makes the cluster forget the one whose data was dropped
    /// and whose unit does not run (*template*, `departing` is that member). Safe to run again.
    #[serde(default)]
    pub forget: Option<String>,
    /// Script, run in the member that came back forgotten, that gives it its share again.
    #[serde(default)]
    pub grow: Option<String>,
    /// What its members speak to one another. Those that differ in it cannot understand each other: where
    /// it changes they are restarted together.
    #[serde(default)]
    pub speech: Option<Speech>,
    /// How the number of members in the cluster is observed from one member.
    pub size: ClusterSize,
}

/// Where a member says what it speaks to the others. What stands there is compared, without comments; a
/// file that is not there says nothing.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Speech {
    /// One of the kind's `files`: what it will speak once it is started again.
    pub file: String,
    /// What the unit makes of that as it starts: what it speaks while it runs.
    pub running: String,
}

impl Speech {
    /// What a file says.
    pub fn said(content: &[u8]) -> String {
        let text = String::from_utf8_lossy(content);
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// How a cluster's size is observed.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, tag = "from", rename_all = "snake_case")]
pub enum ClusterSize {
    /// First column of the first row is the number.
    Sql {
        /// One statement.
        query: String,
    },
    /// Number of elements of the JSON array at `path` for which every field of `filter` is equal.
    Http {
        /// Port on the member's management address.
        port: u16,
        /// With its leading slash.
        path: String,
        /// Basic authentication: user name.
        user: String,
        /// Basic authentication: the secret's name.
        secret: String,
        /// Fields that an element must have to count.
        #[serde(default)]
        filter: BTreeMap<String, serde_json::Value>,
    },
}
