//! What a container lets in beside what the load balancer sends it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The word for every container of the cloud.
pub const EVERYONE: &str = "everyone";

/// Ports on which a kind listens, and which kinds connect to them.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Single ports and spans of them: `[4567, 6800-7300]`.
    pub ports: Vec<Ports>,
    /// How they are spoken to.
    #[serde(default)]
    pub protocol: Protocol,
    /// Kinds whose members connect, the kind itself for the members of a cluster, or `everyone` for
    /// every container of the cloud. The host is always let in.
    pub from: Vec<String>,
}

/// A transport protocol.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As nftables and profiles spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port, or all from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last; equal to the first for a single one.
    pub last: u16,
}

impl Ports {
    /// A single port.
    pub const fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither a port nor a span of them such as 6800-7300");
        let number = |part: &str| part.parse::<u16>().ok().filter(|port| *port > 0);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = number(first).ok_or_else(wrong)?;
        let last = number(last).filter(|last| *last >= first).ok_or_else(wrong)?;
        Ok(Self { first, last })
    }
}

impl JsonSchema for Ports {
    fn schema_name() -> Cow<'static, str> {
        "Ports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A port, or all from one to another: `6800-7300`.",
            "type": ["integer", "string"],
            "pattern": "^[0-9]+(-[0-9]+)?$",
        })
    }
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Ports;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a port or a span of them such as 6800-7300")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Ports, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Ports, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_spans_and_no_nonsense() {
        let read = |text: &str| text.parse::<Ports>().map(|ports| ports.to_string());
        assert_eq!(read("4567"), Ok("4567".to_owned()));
        assert_eq!(read("6800-7300"), Ok("6800-7300".to_owned()));
        for wrong in ["0", "65536", "7300-6800", "80-", "ssh", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let both: Vec<Ports> = serde_json::from_str(r#"[80, "81-82"]"#).unwrap();
        assert_eq!(both, [Ports::one(80), Ports { first: 81, last: 82 }]);
        assert_eq!(serde_json::to_string(&both).unwrap(), r#"["80","81-82"]"#);
    }
}
