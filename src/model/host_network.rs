//! What the host's own network should be.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::topology::{Network, Networks};

/// What the host's own network should be for one cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNetworkSpec {
    /// The cloud's name; names of tables follow from it.
    pub cloud: String,
    pub networks: Vec<Network>,
    /// The internal virtual address.
    pub virtual_address: Ipv4Addr,
    /// Ports served on an address of the host's.
    pub exposed: Vec<Exposed>,
    /// TCP ports of the virtual address that servers of the cloud's users may reach.
    pub guest_ports: BTreeSet<u16>,
    /// Addresses of the host itself whose resolver containers ask for names; absent where nobody
    /// knows, and the host is open to them as before.
    pub resolvers: Option<Vec<Ipv4Addr>>,
    /// What is plugged into the bridges, and under which addresses it may speak.
    pub ports: Vec<Port>,
}

/// The host's end of a container's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The interface's name on the host.
    pub name: String,
    /// The hardware address of the container's end.
    pub mac: String,
    /// Addresses under which it may speak.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Whether it carries others with hardware addresses of their own: a switch's port.
    pub switch: bool,
    /// The first and the last address of those that such others may have.
    pub pool: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl HostNetworkSpec {
    /// A cloud of which nothing but its networks is known.
    pub fn closed(cloud: &str, networks: &Networks) -> Self {
        Self {
            cloud: cloud.to_owned(),
            networks: networks.networks.clone(),
            virtual_address: networks.virtual_address,
            exposed: Vec::new(),
            guest_ports: BTreeSet::new(),
            resolvers: Some(Vec::new()),
            ports: Vec::new(),
        }
    }
}

/// A port of the host that leads into a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposed {
    pub address: Ipv4Addr,
    /// The port, there and behind it.
    pub port: u16,
    /// Who answers: an address on the NAT network, from where answers leave by the way that
    /// questions came.
    pub door: Ipv4Addr,
}
