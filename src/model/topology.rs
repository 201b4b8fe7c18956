//! The cloud as it should be: which containers there are, with which names, addresses, layers and
//! files. A pure value, made from profiles, the user's files and the host's facts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::config::network::{NetworkRole, Range};
use crate::error::{Error, Result};
use crate::model::hash::sha256_hex;

/// The longest name of an interface, in bytes (the kernel's IFNAMSIZ without its end mark).
const INTERFACE_NAME_BYTES: usize = 15;

/// One container as it should be, in words of LXC and the file system alone: what
/// [`crate::host::Containers`] needs to make it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Container {
    /// `aio1_heat_engine_container-36e270c9`.
    pub name: String,
    pub kind: String,
    /// The service that owns the kind: `heat`.
    pub service: String,
    pub member: u32,
    /// Host name inside: the name with `_` as `-` (RFC 1123 has no underscore).
    pub hostname: String,
    /// 32 hex digits, derived from the name, so that a rebuilt container goes on in its journal.
    pub machine_id: String,
    /// Ids of its layers, topmost first.
    pub layers: Vec<String>,
    /// What it would be made of now, where it was renewed while it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed: Option<Renewed>,
    /// Why it is privileged; absent for an unprivileged one.
    pub privileged: Option<String>,
    /// Which ids of the host stand for its own, out of the cloud's: the first 65536, the second, …
    /// A privileged container's are the host's own.
    #[serde(default)]
    pub id_slot: u32,
    /// Network interfaces, `eth0` first.
    pub interfaces: Vec<Interface>,
    /// Devices of the host that appear in it, if the host has them: absolute paths.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Whether it may make network namespaces and mount file systems of the kernel's.
    #[serde(default)]
    pub nesting: bool,
    pub memory_limit_mib: u64,
    /// Its share of the processors beside the 100 of any other; absent for an ordinary one, and where
    /// the host has no such shares.
    #[serde(default)]
    pub cpu_weight: Option<u16>,
    /// Directories that outlive a rebuild.
    pub data: Vec<Data>,
    /// Directories of the host that it may read.
    #[serde(default)]
    pub shared: Vec<SharedDirectory>,
    /// Environment of commands run in it.
    pub environment: BTreeMap<String, String>,
    /// Units that may run; every other unit that packages bring is masked in the layers.
    pub units: Vec<String>,
    /// Fully rendered small files that are in place before the first start (host name, resolver,
    /// machine id, network): path to text. Root's, mode 0644.
    pub identity_files: BTreeMap<String, String>,
}

/// What a container would be made of now, where it was made of other layers and renewed while it ran.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Renewed {
    /// Ids of layers, topmost first.
    pub layers: Vec<String>,
    /// The one of them whose Python lies over the container's own.
    pub python: String,
    /// Where it lies.
    pub home: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// The network's role; its `interface()` is the name inside.
    pub role: NetworkRole,
    pub bridge: String,
    /// The name of the host's end of the veth pair, at most 15 bytes, stable.
    pub host_name: String,
    /// `00:16:3e:…`, derived from the name.
    pub mac: String,
    /// Addresses with the prefix length of the network; the first is the member's own.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// Whether the interface comes with them. Else the service takes the interface over, and the
    /// addresses are reserved for it.
    #[serde(default = "yes")]
    pub configured: bool,
    /// Default gateway, on one interface only.
    pub gateway: Option<Ipv4Addr>,
}

fn yes() -> bool {
    true
}

/// A directory bind-mounted into a container.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Data {
    pub path: String,
    pub owner: String,
    pub mode: String,
    /// Whether it starts as a copy of what the layers have at that path.
    pub from_image: bool,
    /// Whether losing it loses what users made.
    pub precious: bool,
    /// Whether `rebuild --data` leaves it alone.
    pub keep: bool,
    /// The directory on the host, absolute.
    pub source: String,
}

/// A directory of the host that a container sees, read-only.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct SharedDirectory {
    pub path: String,
    pub source: String,
}

/// How people call a container, and `aio` them: `heat_engine/1`.
pub fn label(kind: &str, member: u32) -> String {
    format!("{kind}/{member}")
}

impl Container {
    /// `heat_engine/1`.
    pub fn label(&self) -> String {
        label(&self.kind, self.member)
    }

    /// Made of one piece the next time: of what it would be made of now.
    pub fn make_whole(&mut self) {
        if let Some(renewed) = self.renewed.take() {
            self.layers = renewed.layers;
        }
    }

    /// Ids of the layers of which what it runs is: topmost first.
    pub fn software(&self) -> &[String] {
        self.renewed.as_ref().map_or(&self.layers, |renewed| &renewed.layers)
    }

    /// The address on the network of that role.
    pub fn address(&self, role: NetworkRole) -> Option<Ipv4Addr> {
        let interface = self.interfaces.iter().find(|interface| interface.role == role)?;
        interface.addresses.first().map(|(address, _)| *address)
    }

    /// The address that its daemons bind: management, or NAT for a container without it.
    pub fn management_address(&self) -> Option<Ipv4Addr> {
        self.address(NetworkRole::Management).or_else(|| self.address(NetworkRole::Nat))
    }

    /// The same, where it must have one.
    pub fn daemon_address(&self) -> Result<Ipv4Addr> {
        self.management_address().ok_or_else(|| {
            Error::failed(format!("find the address of `{}`", self.name)).because("it has none")
        })
    }
}

/// One bridge on the host and the range behind it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Network {
    /// What it is for.
    pub role: NetworkRole,
    pub range: Range,
    /// The bridge's name on the host, at most 15 bytes.
    pub bridge: String,
    /// The host's own address on the bridge.
    pub host_address: Ipv4Addr,
}

/// The networks of a cloud and the addresses that belong to no container.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Networks {
    /// One for each role, in the order of [`NetworkRole::ALL`].
    pub networks: Vec<Network>,
    /// The internal virtual address, in the management range.
    pub virtual_address: Ipv4Addr,
    /// Where the cloud is reachable from outside, if at all (`--expose`).
    pub exposed_address: Option<Ipv4Addr>,
}

impl Networks {
    pub fn get(&self, role: NetworkRole) -> Option<&Network> {
        self.networks.iter().find(|network| network.role == role)
    }
}

/// What all bridges of a cloud begin with, and no other interface: `aio1-`.
pub fn bridge_prefix(cloud: &str) -> String {
    // "-" and the longest suffix ("mgmt") take five bytes.
    let room = INTERFACE_NAME_BYTES - 5;
    let fits = cloud.len() < room
        && cloud.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits {
        return format!("{cloud}-");
    }
    let start: String = cloud.chars().filter(char::is_ascii_alphanumeric).take(3).collect();
    let hash = sha256_hex(cloud);
    format!("{start}{}-", &hash[..room - start.len()])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A container from `KIND/MEMBER`, with nothing in it.
    pub(crate) fn container(label: &str) -> Container {
        let (kind, member) = label.split_once('/').unwrap();
        Container {
            name: format!("test_{kind}_container-{member}"),
            kind: kind.to_owned(),
            service: kind.to_owned(),
            member: member.parse().unwrap(),
            hostname: format!("test-{kind}-{member}"),
            machine_id: "0".repeat(32),
            layers: Vec::new(),
            renewed: None,
            privileged: None,
            id_slot: 0,
            interfaces: Vec::new(),
            devices: Vec::new(),
            nesting: false,
            memory_limit_mib: 64,
            cpu_weight: None,
            data: Vec::new(),
            shared: Vec::new(),
            environment: BTreeMap::new(),
            units: Vec::new(),
            identity_files: BTreeMap::new(),
        }
    }
}
