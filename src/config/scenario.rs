//! Scenarios: which container kinds a cloud has, and how many members of each
//! (`profiles/scenarios/*.yml`).

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One file of `profiles/scenarios/`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, equal to the file's stem.
    pub scenario: String,
    /// One line for tables.
    pub summary: String,
    /// Where none is named, the largest rank that fits is chosen; equal ranks by name. One with rank 0 must
    /// be named.
    pub rank: u32,
    /// Members by container kind. A kind that is not named is not deployed.
    pub members: IndexMap<String, u32>,
    /// Values of variables that differ from the profiles' defaults in this scenario.
    #[serde(default)]
    pub variables: IndexMap<String, serde_json::Value>,
}
