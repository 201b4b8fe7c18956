//! A file that is rendered into a container.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file rendered into a container.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Absolute path in the container (*template*).
    pub path: String,
    /// Below `profiles/templates/`: `heat/heat.conf`.
    pub template: String,
    /// `user:group`, looked up in the layers' own `/etc/passwd`.
    #[serde(default = "root_root")]
    pub owner: String,
    /// Octal: `"0640"`. A file that holds a secret must not be readable by others.
    #[serde(default = "mode_0644")]
    pub mode: String,
    /// Whether it goes on where the image's file of that path ends: what is rendered is added to it.
    #[serde(default)]
    pub extends_image: bool,
    /// Where OpenStack's programs must come from for it to be there; wherever they do unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Origin>,
    /// The first series of OpenStack that has it: `"2026.1"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The last series of OpenStack that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How files of `overrides/` are merged into it.
    #[serde(default)]
    pub merge: Merge,
    /// The unit of the same kind that it is about, which templates then see as `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Units to restart when it changes; all units of the container unless said.
    #[serde(default)]
    pub restarts: Option<Vec<String>>,
    /// What to do instead of a restart: a shell script run in the container.
    #[serde(default)]
    pub apply: Option<String>,
    /// Run `apply` in the first member only (its effect reaches the whole cluster).
    #[serde(default)]
    pub apply_once: bool,
}

impl File {
    /// A file about one unit, which it restarts.
    pub(super) fn of_unit(unit: &str, path: String, template: &str) -> Self {
        Self {
            path,
            template: template.to_owned(),
            owner: root_root(),
            mode: mode_0644(),
            extends_image: false,
            only: None,
            since: None,
            until: None,
            merge: Merge::None,
            unit: Some(unit.to_owned()),
            restarts: Some(vec![unit.to_owned()]),
            apply: None,
            apply_once: false,
        }
    }
}

/// Where a release's OpenStack programs come from.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The distribution's packages, with their users, units and files.
    Packages,
    /// Wheels of a Python index, which bring none of these.
    Wheels,
}

/// The owner of what nobody names an owner for.
pub(super) fn root_root() -> String {
    "root:root".to_owned()
}

fn mode_0644() -> String {
    "0644".to_owned()
}

/// How overrides reach a file.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// It takes none.
    #[default]
    None,
    /// An oslo.config INI file: `overrides/global.conf`, `<service>.conf`,
    /// `<service>/<unit>.conf`, `<kind>/<member>/<service>.conf` are merged into it in that order.
    Ini,
}
