//! What may stand in `cloud.yml`.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::network::{NetworkRole, Range};
use crate::config::yaml::scalar;

/// What a cloud is. What is missing, the next `bootstrap` chooses.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    /// The cloud's name.
    pub(super) name: Option<String>,
    /// The region in the catalog.
    pub(super) region: Option<String>,
    /// The release: a file of `profiles/releases/`.
    pub(super) release: Option<String>,
    /// The scenario: a file of `profiles/scenarios/`.
    pub(super) scenario: Option<String>,
    /// Members by container kind, where their number is another than the scenario's. 0 leaves a kind out.
    pub(super) members: Option<IndexMap<String, u32>>,
    /// Ranges of addresses.
    pub(super) networks: Option<WrittenNetworks>,
    /// The address in the management range at which all services are reached.
    pub(super) virtual_address: Option<Ipv4Addr>,
    /// Where the cloud is reached from outside: `off`, `host` (this host's own address) or an address.
    #[schemars(with = "Option<String>")]
    pub(super) expose: Option<Expose>,
    /// What speaks TLS: `exposed`, `everywhere` or `off`.
    #[schemars(with = "Option<String>")]
    pub(super) tls: Option<Tls>,
    /// A file with a certificate of the user's own for the outside address, in PEM.
    pub(super) tls_certificate: Option<PathBuf>,
    /// A file with the key of that certificate, in PEM.
    pub(super) tls_key: Option<PathBuf>,
    /// What every time limit is multiplied by: 1 to 100.
    #[schemars(with = "Option<u32>")]
    pub(super) patience: Option<Patience>,
    /// Values of variables. They win over `user_variables.yml`.
    pub(super) variables: Option<IndexMap<String, Value>>,
}

/// Ranges of addresses, as `172.29.236.0/22`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenNetworks {
    /// Every container's way out, translated by the host.
    #[schemars(with = "Option<String>")]
    pub(super) nat: Option<Range>,
    /// Where daemons listen.
    #[schemars(with = "Option<String>")]
    pub(super) management: Option<Range>,
    /// Tunnels between hypervisors.
    #[schemars(with = "Option<String>")]
    pub(super) tunnel: Option<Range>,
    /// Block and object storage.
    #[schemars(with = "Option<String>")]
    pub(super) storage: Option<Range>,
    /// Provider networks.
    #[schemars(with = "Option<String>")]
    pub(super) provider: Option<Range>,
}

impl WrittenNetworks {
    pub(super) fn get(&self, role: NetworkRole) -> Option<Range> {
        match role {
            NetworkRole::Nat => self.nat,
            NetworkRole::Management => self.management,
            NetworkRole::Tunnel => self.tunnel,
            NetworkRole::Storage => self.storage,
            NetworkRole::Provider => self.provider,
        }
    }
}

/// Where the cloud is reached from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expose {
    /// Nowhere.
    #[default]
    Off,
    /// On the host's own address.
    Host,
    /// On that address.
    Address(Ipv4Addr),
}

impl FromStr for Expose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" | "no" | "none" | "false" => Ok(Self::Off),
            "host" | "auto" | "on" | "yes" | "true" => Ok(Self::Host),
            _ => {
                let address: Ipv4Addr = text.parse().map_err(|_| {
                    format!("`{text}` is neither an IPv4 address nor `host` nor `off`")
                })?;
                if address.is_unspecified()
                    || address.is_loopback()
                    || address.is_multicast()
                    || address.is_broadcast()
                {
                    return Err(format!("`{text}` is no address by which others reach this host"));
                }
                Ok(Self::Address(address))
            }
        }
    }
}

impl std::fmt::Display for Expose {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::Host => formatter.write_str("host"),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

impl Serialize for Expose {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Expose {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(on) => Ok(if on { Self::Host } else { Self::Off }),
            Value::String(text) => text.parse().map_err(serde::de::Error::custom),
            other => Err(serde::de::Error::custom(format!("`{other}` is no address"))),
        }
    }
}

/// What speaks TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// What is reached from outside.
    #[default]
    Exposed,
    /// That, and whatever is reached at the virtual address, the databases and the message queue.
    Everywhere,
    /// Nothing.
    Off,
}

impl FromStr for Tls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "exposed" => Ok(Self::Exposed),
            "everywhere" => Ok(Self::Everywhere),
            "off" | "no" | "none" | "false" => Ok(Self::Off),
            _ => Err(format!("`{text}` is none of `exposed`, `everywhere`, `off`")),
        }
    }
}

impl std::fmt::Display for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Exposed => "exposed",
            Self::Everywhere => "everywhere",
            Self::Off => "off",
        })
    }
}

impl<'de> Deserialize<'de> for Tls {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(&Value::deserialize(deserializer)?).parse().map_err(serde::de::Error::custom)
    }
}

/// What every time limit is multiplied by: 1 unless said, 100 at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub u32);

impl Default for Patience {
    fn default() -> Self {
        Self(1)
    }
}

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(times @ 1..=100) => Ok(Self(times)),
            _ => Err(format!("`{text}` is not a whole number from 1 to 100")),
        }
    }
}

impl std::fmt::Display for Patience {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<'de> Deserialize<'de> for Patience {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(&Value::deserialize(deserializer)?).parse().map_err(serde::de::Error::custom)
    }
}

/// A single value of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The cloud's name.
    Name,
    /// The region in the catalog.
    Region,
    /// The release.
    Release,
    /// The scenario.
    Scenario,
    /// The range of a network.
    Network(NetworkRole),
    /// The internal virtual address.
    VirtualAddress,
    /// Where the cloud is reached from outside.
    Expose,
    /// What speaks TLS.
    Tls,
    /// The user's own certificate for the outside address.
    TlsCertificateFile,
    /// Its key.
    TlsKeyFile,
    /// What time limits are multiplied by.
    Patience,
}

impl Key {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Region => "region",
            Self::Release => "release",
            Self::Scenario => "scenario",
            Self::Network(role) => role.name(),
            Self::VirtualAddress => "virtual_address",
            Self::Expose => "expose",
            Self::Tls => "tls",
            Self::TlsCertificateFile => "tls_certificate",
            Self::TlsKeyFile => "tls_key",
            Self::Patience => "patience",
        }
    }
}

impl Written {
    /// The keys of a section and their values as they may be written.
    pub(super) fn children(&self, section: &str) -> Vec<(String, String)> {
        match section {
            "members" => {
                let members = self.members.iter().flatten();
                members.map(|(kind, members)| (kind.clone(), members.to_string())).collect()
            }
            "networks" => {
                let written = self.networks.clone().unwrap_or_default();
                let roles = NetworkRole::ALL.into_iter();
                let ranges = roles.filter_map(|role| Some((role, written.get(role)?)));
                ranges.map(|(role, range)| (role.name().to_owned(), range.to_string())).collect()
            }
            _ => {
                let variables = self.variables.iter().flatten();
                variables.map(|(name, value)| (name.clone(), scalar(value))).collect()
            }
        }
    }
}
