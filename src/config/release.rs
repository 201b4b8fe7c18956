//! Releases: an OpenStack release on a Debian suite, and what every container of it has
//! (`profiles/releases/*.yml`).

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::profile::{File, Origin, Unit};

/// One file of `profiles/releases/`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its name, equal to the file's stem: `2025.1`.
    pub release: String,
    /// One line for tables.
    pub summary: String,
    /// Another release: each key that this file leaves out is as it stands there, and so is each key of
    /// `python`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// The series of OpenStack that it is of, if that is not its name: `2025.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// Whether a new cloud has it only when somebody asks for it by name.
    #[serde(default)]
    pub by_name: bool,
    /// Series of OpenStack from which a cloud may be upgraded to it.
    #[serde(default)]
    pub upgrades_from: Vec<String>,
    /// Debian suite of the containers: `trixie`.
    #[serde(default)]
    pub suite: String,
    /// The base layer.
    #[serde(default)]
    pub base: LayerDefinition,
    /// Named layers on top of the base that several container kinds share. A layer's parent is the
    /// one before it in a kind's `layers`, or the base.
    #[serde(default)]
    pub layers: IndexMap<String, LayerDefinition>,
    /// WSGI applications that the release has no module for, only a script: `aodh.wsgi.api:application:
    /// /usr/bin/aodh-api`.
    #[serde(default)]
    pub wsgi_scripts: BTreeMap<String, String>,
    /// Where the distributions of OpenStack come from, if not from the suite's packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonDistributions>,
    /// Where Python looks for modules that are put beside those of the release.
    #[serde(default)]
    pub python_path: String,
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
    /// A shell script that prints which lines of `$OPTIONS` (a section, a space and a key) the code of the
    /// container's release does not know as options.
    #[serde(default)]
    pub unknown_options: String,
    /// Python requirements that the suite's packages meet without a distribution of that name.
    #[serde(default)]
    pub met_by_packages: Vec<String>,
}

/// Container kinds that are of another release than the rest of their cloud: what an upgrade has not
/// come to yet, or was told to leave.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Behind {
    pub release: Release,
    pub kinds: BTreeSet<String>,
}

/// The release of each container kind of a cloud.
#[derive(Clone, Copy, Debug)]
pub struct Releases<'a> {
    /// Of all kinds that are not behind.
    pub main: &'a Release,
    pub behind: Option<&'a Behind>,
}

impl<'a> Releases<'a> {
    /// One for all kinds.
    pub fn of_all(main: &'a Release) -> Self {
        Self { main, behind: None }
    }

    pub fn is_behind(self, kind: &str) -> bool {
        self.behind.is_some_and(|behind| behind.kinds.contains(kind))
    }

    pub fn of(self, kind: &str) -> &'a Release {
        let behind = self.behind.filter(|behind| behind.kinds.contains(kind));
        behind.map_or(self.main, |behind| &behind.release)
    }
}

/// Python distributions of an index, in the versions of a lock (`profiles/releases/NAME.lock`).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PythonDistributions {
    /// The suite's Python: `3.13`.
    #[serde(default)]
    pub version: String,
    /// The directory of the containers in which they are installed. Their programs are also found in
    /// `/usr/local/bin`.
    #[serde(default)]
    pub home: String,
    /// What the lock is made for, as requirements: OpenStack's projects in the release's series, and
    /// limits of what else these versions of them work with.
    #[serde(default)]
    pub projects: Vec<String>,
    /// The same for every series, as requirements: what the projects' use in a cloud needs besides,
    /// what those are built with that have no wheel, and `uv`, which installs all of them.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// The day as of which versions are looked for: `2026-10-20`, or `today` for the day on which the lock
    /// is made.
    #[serde(default)]
    pub as_of: String,
    /// Other days for some of them.
    #[serde(default)]
    pub as_of_by_project: BTreeMap<String, String>,
    /// Distributions that need libraries of the suite and come with its packages, and the modules that
    /// each of them is. Nothing else of the suite's Python packages is seen.
    #[serde(default)]
    pub from_packages: BTreeMap<String, Vec<String>>,
    /// Packages of Python whose directory `tests` is kept, for something in it runs. All others go.
    #[serde(default)]
    pub keep_tests: Vec<String>,
    /// Files of theirs that list whom they trust, below their modules: the system's list stands in the
    /// place of each, so that they trust whom the cloud does.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// The lock. It stands in a file of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(skip)]
    pub lock: String,
}

impl Release {
    /// Where OpenStack's programs come from.
    pub fn origin(&self) -> Origin {
        if self.python.is_some() { Origin::Wheels } else { Origin::Packages }
    }

    /// The series of OpenStack that it is of.
    pub fn series(&self) -> &str {
        self.series.as_deref().unwrap_or(&self.release)
    }

    /// Whether something is there that is for some releases alone.
    pub fn has(&self, only: Option<Origin>, since: Option<&str>, until: Option<&str>) -> bool {
        let series = self.series();
        only.is_none_or(|only| only == self.origin())
            && since.is_none_or(|since| series >= since)
            && until.is_none_or(|until| series <= until)
    }
}

/// What a shared layer is made of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LayerDefinition {
    /// Packages.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Whether the release's Python distributions are installed in it.
    #[serde(default)]
    pub python: bool,
    /// Units that packages of this layer bring and that stay as the packages left them.
    #[serde(default)]
    pub keep_units: Vec<String>,
    /// Units that are masked although they are kept by `keep_units` patterns or by the base.
    #[serde(default)]
    pub mask_units: Vec<String>,
    /// Files that it has besides, by their paths, with their text.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// A shell script that finishes it once all else is there, as a kind's `layer_script` does.
    #[serde(default)]
    pub script: String,
    /// Paths that are emptied at the end.
    #[serde(default)]
    pub drop: Vec<String>,
}
