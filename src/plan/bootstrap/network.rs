//! What the host's network should be for a cloud.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::model::cloud::{Cloud, Outside};
use crate::model::host_network::{Exposed, HostNetworkSpec, Port};
use crate::model::ranges;
use crate::model::topology::{Container, Interface};
use crate::steps::site::Site;

pub fn network_spec(site: &Site) -> HostNetworkSpec {
    let cloud = &site.cloud;
    let tls = cloud.outside.as_ref().is_some_and(Outside::tls);
    let exposed = match (cloud.networks.exposed_address, cloud.outside_door()) {
        (Some(address), Some(door)) => cloud
            .frontends()
            .filter(|(_, frontend)| frontend.expose)
            .map(|(_, frontend)| frontend.port_by(tls))
            .map(|port| Exposed { address, port, door })
            .collect(),
        _ => Vec::new(),
    };
    HostNetworkSpec {
        exposed,
        guest_ports: guest_ports(cloud),
        resolvers: cloud.resolvers.clone(),
        ports: ports(cloud),
        ..HostNetworkSpec::closed(&cloud.name, &cloud.networks)
    }
}

/// What is plugged into the cloud's bridges.
fn ports(cloud: &Cloud) -> Vec<Port> {
    let of = |container: &Container| -> Vec<Port> {
        let all = container.interfaces.iter().flat_map(|it| &it.addresses);
        let all: BTreeSet<Ipv4Addr> = all.map(|(address, _)| *address).collect();
        let port = |interface: &Interface| {
            let switch = !interface.configured;
            let own = interface.addresses.iter().map(|(address, _)| *address);
            let range = cloud.networks.get(interface.role).map(|network| network.range);
            Port {
                name: interface.host_name.clone(),
                mac: interface.mac.clone(),
                addresses: if switch { own.collect() } else { all.clone() },
                switch,
                pool: range.filter(|_| switch).and_then(|it| ranges::pool(interface.role, it)),
            }
        };
        container.interfaces.iter().map(port).collect()
    };
    cloud.containers.iter().flat_map(of).collect()
}

/// Ports of the virtual address for users' servers: what is for the world, and what a service says
/// that its own servers need.
pub(super) fn guest_ports(cloud: &Cloud) -> BTreeSet<u16> {
    let needed = |name: &String| cloud.services.iter().any(|it| it.guests_reach.contains(name));
    cloud
        .frontends()
        .filter(|(_, frontend)| frontend.expose || needed(&frontend.name))
        .filter(|(_, frontend)| cloud.members(&frontend.backend).next().is_some())
        .map(|(_, frontend)| cloud.port(frontend))
        .collect()
}
