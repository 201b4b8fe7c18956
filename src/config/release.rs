//! Releases: an OpenStack release on a Debian suite, and what every container of it has
//! (`profiles/releases/*.yml`).

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::profile::{File, Unit};

/// One file of `profiles/releases/`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its name, equal to the file's stem: `2025.1`.
    pub release: String,
    /// One line for tables.
    pub summary: String,
    /// Debian suite of the containers: `trixie`.
    pub suite: String,
    /// The base layer.
    pub base: LayerDefinition,
    /// Named layers on top of the base that several container kinds share. A layer's parent is the
    /// one before it in a kind's `layers`, or the base.
    #[serde(default)]
    pub layers: IndexMap<String, LayerDefinition>,
    /// WSGI applications that the release has no module for, only a script: `aodh.wsgi.api:application:
    /// /usr/bin/aodh-api`.
    #[serde(default)]
    pub wsgi_scripts: BTreeMap<String, String>,
    /// Files rendered into every container.
    #[serde(default)]
    pub files: Vec<File>,
    /// Units that run in every container.
    #[serde(default)]
    pub units: Vec<Unit>,
    /// Environment of the container's init on a host whose control groups are not unified (v1 or
    /// hybrid).
    #[serde(default)]
    pub legacy_cgroup_environment: BTreeMap<String, String>,
    /// Kernel settings that containers need beside those that are counted for them: name and least
    /// value.
    #[serde(default)]
    pub kernel_settings: BTreeMap<String, u64>,
    /// Python requirements that the suite's packages meet without a distribution of that name.
    #[serde(default)]
    pub met_by_packages: Vec<String>,
}

/// What a shared layer is made of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LayerDefinition {
    /// Packages.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Units that packages of this layer bring and that stay as the packages left them.
    #[serde(default)]
    pub keep_units: Vec<String>,
    /// Units that are masked although they are kept by `keep_units` patterns or by the base.
    #[serde(default)]
    pub mask_units: Vec<String>,
    /// Paths that are emptied at the end.
    #[serde(default)]
    pub drop: Vec<String>,
}
