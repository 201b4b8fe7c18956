//! Where a value came from, for `aio config --why`.

use std::fmt;

use serde::Serialize;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// The default in a service's profile.
    Profile {
        /// `profiles/services/galera.yml:12`.
        place: String,
    },
    Scenario {
        /// `profiles/scenarios/minimal.yml:15`.
        place: String,
    },
    /// `user_variables.yml`.
    UserVariables { place: String },
    /// `cloud.yml`, where `--set` writes it.
    Set { place: String },
    /// A secret; its value is not here.
    Secret {
        /// Its name in `user_secrets.yml`.
        name: String,
    },
    /// A file of `overrides/`.
    Override { place: String },
    /// What sizing decided from the host's facts.
    Sizing {
        /// `sizing.api_workers`.
        name: String,
    },
    /// Which containers, networks and services there are.
    Topology {
        /// `container.address`, `members("galera")`.
        name: String,
    },
    /// The text of a template itself.
    Template { place: String },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { name } => write!(formatter, "secret {name}"),
            Self::Sizing { name } | Self::Topology { name } => formatter.write_str(name),
            // A path says by itself what kind of file it is.
            Self::Profile { place }
            | Self::Scenario { place }
            | Self::UserVariables { place }
            | Self::Set { place }
            | Self::Override { place }
            | Self::Template { place } => formatter.write_str(place),
        }
    }
}
