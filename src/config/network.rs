//! Networks, ranges and addresses as values.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An IPv4 range in CIDR notation; the address part has no host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    pub base: Ipv4Addr,
    /// Length of the prefix in bits, 0 to 32.
    pub prefix: u8,
}

impl Range {
    fn mask(self) -> u32 {
        if self.prefix == 0 { 0 } else { u32::MAX << (32 - u32::from(self.prefix)) }
    }

    /// The address `offset` after the base.
    pub fn address(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base).wrapping_add(offset))
    }

    pub fn size(self) -> u64 {
        1_u64 << (32 - u32::from(self.prefix))
    }

    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask() == u32::from(self.base)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range such as 172.29.236.0/22");
        let (base, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let base: Ipv4Addr = base.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if prefix > 32 {
            return Err(wrong());
        }
        let range = Self { base, prefix };
        let network = Ipv4Addr::from(u32::from(base) & range.mask());
        if network == base {
            Ok(range)
        } else {
            Err(format!("`{text}` has host bits set: the range is {network}/{prefix}"))
        }
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a network is for. The order is the order of a container's interfaces.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkRole {
    /// Every container's way out, translated by the host (`eth0`).
    Nat,
    /// Every daemon's address (`eth1`).
    Management,
    /// Tenant networks (`eth10`).
    Tunnel,
    /// Block and object storage (`eth2`).
    Storage,
    /// Provider networks (`eth12`).
    Provider,
}

impl NetworkRole {
    pub const ALL: [Self; 5] =
        [Self::Nat, Self::Management, Self::Tunnel, Self::Storage, Self::Provider];

    /// The name in `cloud.yml` and in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Management => "management",
            Self::Tunnel => "tunnel",
            Self::Storage => "storage",
            Self::Provider => "provider",
        }
    }

    /// The interface's name in a container, as in OpenStack-Ansible's all-in-one.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Nat => "eth0",
            Self::Management => "eth1",
            Self::Storage => "eth2",
            Self::Tunnel => "eth10",
            Self::Provider => "eth12",
        }
    }
}
