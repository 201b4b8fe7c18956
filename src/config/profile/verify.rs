//! Whether a service does what it is there for: checks of its own, and test suites that come with
//! the software.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The container kind that holds clients and the administrator's credentials.
pub const CLIENT_KIND: &str = "utility";

fn client_kind() -> String {
    CLIENT_KIND.to_owned()
}

/// A check of a service's functional round: does what a user would do, and takes it away again.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Unique in the profile: `token`.
    pub name: String,
    /// What it proves, for the table.
    pub title: String,
    /// The container kind in whose first member it runs.
    #[serde(default = "client_kind")]
    pub container: String,
    /// Run it in every member of the kind, each a check of its own.
    #[serde(default)]
    pub everywhere: bool,
    /// Each of its scripts is asked to end after this; it then has half a minute to clean up.
    #[serde(default = "two_minutes")]
    pub timeout_secs: u64,
    /// Services without which it is left out.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Environment of its scripts (*template*: secrets allowed). `VERIFY_ID` is always there: eight
    /// hexadecimal digits that no other check and no other run has.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// A script for `bash -euo pipefail` (*template*), run as root. It passes when it exits with 0.
    /// Its last line says why when it fails. It cleans up after itself, also when it is told to
    /// end: `trap … EXIT`. Secrets come by `environment`, never here.
    pub script: String,
    /// Scripts that go on elsewhere, in order, when it has ended well: what was sent in one
    /// container arrives in another.
    #[serde(default)]
    pub then: Vec<Part>,
}

/// A part of a check that runs in another container.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The container kind in whose first member it runs.
    #[serde(default = "client_kind")]
    pub container: String,
    /// As that of the check.
    pub script: String,
}

fn two_minutes() -> u64 {
    120
}

/// Something that a user makes and that outlasts what is done to the cloud: an upgrade, say.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lasting {
    /// Unique in the profile: `server`.
    pub name: String,
    /// What it proves, for the table.
    pub title: String,
    /// The container kind in whose first member it runs.
    #[serde(default = "client_kind")]
    pub container: String,
    /// Its script is asked to end after this; it then has half a minute to clean up.
    #[serde(default = "two_minutes")]
    pub timeout_secs: u64,
    /// Services without which it is left out.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Environment of its script (*template*: secrets allowed).
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// A script as that of a check. `ACTION` tells it what to do: `make` it, with `VERIFY_ID` in its
    /// name, and print what is needed to find it again; `prove` that it is there and as it was, by what
    /// was printed (`MADE`); `remove` what there is of it. What was half made has no `MADE`.
    pub script: String,
}

/// A test suite that comes with the deployed software, run by the command of its name.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Unique among all services: `tempest`.
    pub name: String,
    /// One line: what it is.
    pub title: String,
    /// The container kind in whose first member it runs.
    #[serde(default = "client_kind")]
    pub container: String,
    /// Environment of the script (*template*: secrets allowed).
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// A script for `bash -euo pipefail` (*template*), run as root, that prints its results to
    /// standard output as they come, in the Test Anything Protocol: `1..N`, `ok`, `not ok`,
    /// `# SKIP`, `# time=SECONDS`, and what a failed test said as a block between `---` and `...`.
    /// What it prints to standard error belongs into the log. It is told what to run by
    /// `SUITE_REGEX` (which tests; empty: all), `SUITE_SMOKE` (`1`: only the basic ones) and
    /// `SUITE_JOBS` (how many at a time). Secrets come by `environment`, never here.
    pub script: String,
}
