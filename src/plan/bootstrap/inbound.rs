//! What a container lets in, as rules of its own network namespace. Pure.
//!
//! It follows from the profiles: the load balancer reaches what stands behind a frontend, and whoever
//! a kind names what else it listens on. The host is let in everywhere: it looks after health, and can
//! enter the namespace anyway. The rest is refused, so that a client that a profile forgot says so at
//! once and does not wait.
//!
//! TCP is judged by the packet that opens a connection: what is open stays so when rules come to a
//! container that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::config::network::NetworkRole;
use crate::config::profile::{EVERYONE, Ports, Protocol};
use crate::model::cloud::Cloud;
use crate::model::topology::Container;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    /// Everybody that the host's own table lets through.
    Anybody,
    /// Members of a kind, or [`EVERYONE`].
    Kind(String),
}

/// The rules of all containers, by full name: input for `nft -f`. None where the cloud was recorded by
/// an `aio` whose profiles do not say who listens to whom.
pub fn filters(cloud: &Cloud) -> BTreeMap<String, String> {
    if cloud.resolvers.is_none() {
        return BTreeMap::new();
    }
    let filter = |container: &Container| (container.name.clone(), filter(cloud, container));
    cloud.containers.iter().map(filter).collect()
}

fn filter(cloud: &Cloud, container: &Container) -> String {
    let mut text = String::from(
        "table inet aio { }\n\
         delete table inet aio\n\
         table inet aio {\n\
         \tchain inbound {\n\
         \t\ttype filter hook input priority filter; policy accept;\n\
         \t\tiifname \"lo\" accept\n\
         \t\ttcp flags & (syn | ack) != syn accept\n\
         \t\tct state established,related accept\n",
    );
    let host = cloud.networks.networks.iter().map(|network| network.host_address);
    let _ = writeln!(text, "\t\tip saddr {} accept comment \"host\"", set(host));
    text.push_str("\t\ticmp type echo-request accept\n");
    for ((client, protocol), ports) in listeners(cloud, &container.kind) {
        let protocol = protocol.name();
        let ports = set(ports);
        let _ = match client {
            Client::Anybody => writeln!(text, "\t\t{protocol} dport {ports} accept"),
            Client::Kind(kind) => {
                let from = addresses(cloud, &kind);
                if from.is_empty() {
                    continue;
                }
                let from = set(from);
                writeln!(
                    text,
                    "\t\tip saddr {from} {protocol} dport {ports} accept comment \"{kind}\""
                )
            }
        };
    }
    text.push_str("\t\tmeta l4proto tcp reject with tcp reset\n\t\tdrop\n\t}\n}\n");
    text
}

/// Returns who may come to which ports of a kind.
fn listeners(cloud: &Cloud, kind: &str) -> BTreeMap<(Client, Protocol), BTreeSet<Ports>> {
    let mut all: BTreeMap<(Client, Protocol), BTreeSet<Ports>> = BTreeMap::new();
    let mut add = |client: Client, protocol: Protocol, ports: Ports| {
        all.entry((client, protocol)).or_default().insert(ports);
    };
    let balancer = cloud.load_balancer().map(|balancer| balancer.kind.as_str());
    let for_guests = super::network::guest_ports(cloud);
    for (_, frontend) in cloud.frontends() {
        if frontend.backend == kind {
            let port = Ports::one(frontend.backend_port.unwrap_or(frontend.port));
            if let Some(balancer) = balancer {
                add(Client::Kind(balancer.to_owned()), Protocol::Tcp, port);
            }
        }
        if balancer == Some(kind) {
            let everyone = Client::Kind(EVERYONE.to_owned());
            let port = cloud.port(frontend);
            let public = for_guests.contains(&port);
            let client = if public { Client::Anybody } else { everyone };
            add(client, Protocol::Tcp, Ports::one(port));
            if let Some(outside) = cloud.outside.as_ref().filter(|_| frontend.expose) {
                let port = frontend.port_by(outside.tls());
                add(Client::Anybody, Protocol::Tcp, Ports::one(port));
            }
        }
    }
    for service in &cloud.services {
        if let Some(server) = service.sql_server.as_ref().filter(|server| server.kind == kind) {
            let direct = cloud.services.iter().flat_map(|service| &service.databases);
            for client in direct.flat_map(|database| &database.direct_from) {
                add(Client::Kind(client.clone()), Protocol::Tcp, Ports::one(server.port));
            }
        }
    }
    let Some((_, definition)) = cloud.kind(kind) else { return all };
    let others = || cloud.services.iter().flat_map(|service| &service.containers);
    for listener in &definition.listens {
        let said = others().filter(|(_, it)| it.client_of.iter().any(|server| server == kind));
        for client in listener.from.iter().chain(said.map(|(name, _)| name)) {
            for ports in &listener.ports {
                add(Client::Kind(client.clone()), listener.protocol, *ports);
            }
        }
    }
    all
}

/// From where members of a kind, or all containers, connect. A range stands for everyone where its
/// members are the only ones in it: the lower half of the provider network is containers' too, but
/// nobody speaks to another there.
fn addresses(cloud: &Cloud, kind: &str) -> BTreeSet<String> {
    if kind == EVERYONE {
        let networks = cloud.networks.networks.iter();
        let inner = networks.filter(|network| network.role != NetworkRole::Provider);
        return inner.map(|network| network.range.to_string()).collect();
    }
    let interfaces = cloud.members(kind).flat_map(|member| &member.interfaces);
    let own: BTreeSet<Ipv4Addr> =
        interfaces.flat_map(|it| &it.addresses).map(|(address, _)| *address).collect();
    own.iter().map(ToString::to_string).collect()
}

/// An anonymous set.
fn set<T: std::fmt::Display>(elements: impl IntoIterator<Item = T>) -> String {
    let elements: Vec<String> = elements.into_iter().map(|element| element.to_string()).collect();
    format!("{{ {} }}", elements.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Profiles;
    use crate::render::testing;

    const STORE: &str = "
service: store
summary: x
containers:
  db:
    summary: x
    memory: {idle_mib: 1, limit_mib: 2}
    listens:
      - {ports: [4567, 6800-7300], from: [db]}
      - {ports: [53], protocol: udp, from: [everyone]}
      - {ports: [11211], from: [away]}
  worker: {summary: x, memory: {idle_mib: 1, limit_mib: 2}, client_of: [db]}
  balancer: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
load_balancer: {kind: balancer, socket: /x, server_defaults: {http: a, tcp: b}}
frontends:
  - {name: inner, port: 3306, mode: tcp, backend: db, server_options: check}
  - {name: public, port: 80, backend_port: 8080, mode: http, backend: db, server_options: check,
     expose: true}
";

    #[test]
    fn the_rules_of_each_as_text() {
        let profiles = Profiles::from_texts([
            ("services/store.yml", STORE),
            ("releases/2025.1.yml", "{release: '2025.1', summary: x, suite: trixie, base: {}}"),
        ])
        .unwrap();
        let cloud = Cloud {
            services: vec![profiles.services["store"].clone()],
            resolvers: Some(Vec::new()),
            containers: vec![
                testing::container_of("store", "db", 1, 1),
                testing::container_of("store", "db", 2, 2),
                testing::container_of("store", "worker", 1, 3),
                testing::container_of("store", "balancer", 1, 4),
            ],
            ..testing::cloud(&testing::profiles(&[]))
        };
        let filters = filters(&cloud);
        let of = |kind: &str| filters[&cloud.members(kind).next().unwrap().name].clone();
        insta::assert_snapshot!([of("db"), of("worker"), of("balancer")].join("\n"));
        let of_before = Cloud { resolvers: None, ..cloud };
        assert!(super::filters(&of_before).is_empty());
    }
}
