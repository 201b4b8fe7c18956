//! An upgrade that came to its end, for people and programs.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::model::duration::seconds;

/// An upgrade that came to its end.
#[derive(Clone, Debug, Serialize)]
pub struct Upgraded {
    pub cloud: String,
    pub from: String,
    pub to: String,
    /// All of it: layers, checks and the copy of the databases too.
    #[serde(serialize_with = "seconds")]
    pub seconds: Duration,
    /// What came along in this run, in order.
    pub services: Vec<UpgradedService>,
    /// Kinds that stay of the former release.
    pub left: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpgradedService {
    pub service: String,
    /// Its kinds that came along.
    pub kinds: Vec<String>,
    /// Its version before and after; releases where there is none.
    pub from: String,
    pub to: String,
    /// From the first change to the last.
    #[serde(serialize_with = "seconds")]
    pub seconds: Duration,
    /// How often its frontends were asked while the cloud was upgraded.
    pub requests: usize,
    pub refused: usize,
    /// The longest time without an answer.
    #[serde(serialize_with = "seconds")]
    pub longest_seconds: Duration,
}
