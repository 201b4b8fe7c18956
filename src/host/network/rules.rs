//! The nftables table of one cloud, as text. Pure.
//!
//! One table, replaced as a whole in one transaction: there is no moment without it. It holds no
//! policy of its own: packets that are none of the cloud's pass it untouched.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::config::network::NetworkRole;
use crate::model::host_network::{Exposed, HostNetworkSpec};
use crate::model::ranges;
use crate::model::topology::Network;

/// The table's name: `aio_aio1`.
pub fn table_name(cloud: &str) -> String {
    format!("aio_{cloud}")
}

/// Input for `nft -f -` that makes the table anew, whatever it was before.
pub fn ruleset(spec: &HostNetworkSpec) -> String {
    let table = table_name(&spec.cloud);
    let mut text = format!("{}table inet {table} {{\n", deletion(&spec.cloud));
    for chain in [guard(spec), inward(spec), outward(spec), forwarded(spec), translated(spec)] {
        text.push_str(&chain);
    }
    if !spec.exposed.is_empty() {
        text.push_str(&exposed(spec, "exposed", "prerouting"));
        text.push_str(&exposed(spec, "exposed_here", "output"));
    }
    text.push_str("}\n");
    text
}

/// Input for `nft -f -` that removes the table, whether it is there or not.
pub fn deletion(cloud: &str) -> String {
    let table = table_name(cloud);
    format!("table inet {table} {{ }}\ndelete table inet {table}\n")
}

/// An anonymous set.
pub(super) fn set<T: std::fmt::Display>(elements: impl IntoIterator<Item = T>) -> String {
    let elements: Vec<String> = elements.into_iter().map(|element| element.to_string()).collect();
    format!("{{ {} }}", elements.join(", "))
}

/// A name as an element of a set.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The cloud's bridges.
fn bridges(spec: &HostNetworkSpec) -> String {
    set(spec.networks.iter().map(|network| quoted(&network.bridge)))
}

fn network_ranges(spec: &HostNetworkSpec, roles: &[NetworkRole]) -> String {
    let of_them = spec.networks.iter().filter(|network| roles.contains(&network.role));
    set(of_them.map(|network| network.range))
}

/// Networks whose members may reach the world, under the host's address.
const OUTWARD: [NetworkRole; 2] = [NetworkRole::Nat, NetworkRole::Provider];

/// Nobody but this host gets in: connections into the ranges must come from the cloud's own bridges.
/// Before routing, so that it also covers the host's own addresses in the ranges, and before
/// addresses are translated, so that exposed ports are not concerned. The networks are IPv4 alone:
/// whatever else arrives is not for this host to believe.
fn guard(spec: &HostNetworkSpec) -> String {
    let bridges = bridges(spec);
    let ours = bridges.replace("{ ", "{ \"lo\", ");
    format!(
        "\tchain guard {{\n\
         \t\ttype filter hook prerouting priority mangle; policy accept;\n\
         \t\tiifname {bridges} meta nfproto ipv6 drop\n\
         \t\tiifname != {ours} ip daddr {} ct state new,invalid,untracked drop\n\
         \t}}\n",
        network_ranges(spec, &NetworkRole::ALL)
    )
}

/// Nothing inside opens a connection to the host itself, on whatever address: its services are not
/// the cloud's, and answers are all that the cloud needs of it. But for names, where the host runs
/// the resolver itself. A ping opens nothing and tells a user whether the way is there.
fn inward(spec: &HostNetworkSpec) -> String {
    let Some(resolvers) = &spec.resolvers else { return String::new() };
    let mut text = format!(
        "\tchain inward {{\n\
         \t\ttype filter hook input priority filter; policy accept;\n\
         \t\tiifname != {} accept\n\
         \t\tct state established,related accept\n\
         \t\ticmp type echo-request accept\n",
        bridges(spec)
    );
    if !resolvers.is_empty() {
        let _ = writeln!(
            text,
            "\t\tip daddr {} meta l4proto {{ tcp, udp }} th dport 53 accept \
             comment \"containers ask the resolver of the host\"",
            set(resolvers)
        );
    }
    text.push_str("\t\tdrop\n\t}\n");
    text
}

/// The host is let in by every container, and that is root. Its other users reach what is meant for
/// users: the virtual address, what is exposed, servers of the cloud's users. Answers are everybody's,
/// so that a resolver that gave up its rights is heard, and so is a ping. A connection whose owner
/// nobody knows is not root's: some kinds of sockets (SMC) have the kernel open one for anybody.
fn outward(spec: &HostNetworkSpec) -> String {
    let pools = spec.networks.iter().filter_map(|it| ranges::pool(it.role, it.range));
    let pools = pools.map(|(first, last)| format!("{first}-{last}"));
    let meant = set(std::iter::once(spec.virtual_address.to_string()).chain(pools));
    let mut text = format!(
        "\tchain outward {{\n\
         \t\ttype filter hook output priority filter; policy accept;\n\
         \t\toifname \"lo\" accept\n\
         \t\tct state established,related accept\n\
         \t\tmeta skuid 0 accept\n\
         \t\tip daddr {meant} accept\n\
         \t\ticmp type echo-request accept\n"
    );
    for door in doors(spec) {
        let _ = writeln!(text, "\t\tct status dnat ip daddr {door} accept");
    }
    let _ = writeln!(
        text,
        "\t\tip daddr {} reject with icmpx type admin-prohibited\n\t}}",
        network_ranges(spec, &NetworkRole::ALL)
    );
    text
}

/// What leaves does so under the host's address or not at all, and in packets that fit. A new
/// connection comes from an address of the network from which it seems to come, and those of users'
/// servers reach of the cloud what is meant for them.
fn forwarded(spec: &HostNetworkSpec) -> String {
    let bridges = bridges(spec);
    let mut text = format!(
        "\tchain forwarded {{\n\
         \t\ttype filter hook forward priority filter; policy accept;\n\
         \t\tiifname {bridges} oifname != {bridges} tcp flags syn / syn,rst \
         tcp option maxseg size set rt mtu\n\
         \t\tct state established,related accept\n\
         \t\tiifname {bridges} oifname != {bridges} ip saddr != {} drop\n",
        network_ranges(spec, &OUTWARD)
    );
    for Network { bridge, range, .. } in &spec.networks {
        let _ = writeln!(text, "\t\tiifname \"{bridge}\" ip saddr != {range} drop");
    }
    let (guests, others): (Vec<&Network>, Vec<&Network>) =
        spec.networks.iter().partition(|network| network.role == NetworkRole::Provider);
    let guests = set(guests.iter().map(|network| quoted(&network.bridge)));
    let others = set(others.iter().map(|network| quoted(&network.bridge)));
    if !spec.guest_ports.is_empty() {
        let _ = writeln!(
            text,
            "\t\tiifname {guests} ip daddr {} tcp dport {} accept",
            spec.virtual_address,
            set(&spec.guest_ports)
        );
    }
    for door in doors(spec) {
        let _ = writeln!(text, "\t\tiifname {guests} ct status dnat ip daddr {door} accept");
    }
    let _ = writeln!(text, "\t\tiifname {guests} oifname {others} drop\n\t}}");
    text
}

/// Outgoing connections get the host's address. Those to exposed ports keep their own, which is in the
/// logs then: who answers them does so by its default route, back through the same translation. Not so
/// what would be answered directly: containers on the same bridge, and the host at its loopback.
fn translated(spec: &HostNetworkSpec) -> String {
    let bridges = bridges(spec);
    let mut text = format!(
        "\tchain translated {{\n\
         \t\ttype nat hook postrouting priority srcnat; policy accept;\n\
         \t\tip saddr {} oifname != {bridges} masquerade\n",
        network_ranges(spec, &OUTWARD)
    );
    let near = network_ranges(spec, &[NetworkRole::Nat]).replace("{ ", "{ 127.0.0.0/8, ");
    for door in doors(spec) {
        let _ = writeln!(text, "\t\tct status dnat ip daddr {door} ip saddr {near} masquerade");
    }
    text.push_str("\t}\n");
    text
}

/// Who answers at exposed ports.
fn doors(spec: &HostNetworkSpec) -> BTreeSet<Ipv4Addr> {
    spec.exposed.iter().map(|exposed| exposed.door).collect()
}

/// Exposed ports of the host lead to who answers there.
fn exposed(spec: &HostNetworkSpec, name: &str, hook: &str) -> String {
    // The name `dstnat` for this priority is only known at the prerouting hook.
    let mut text =
        format!("\tchain {name} {{\n\t\ttype nat hook {hook} priority -100; policy accept;\n");
    for Exposed { address, port, door } in &spec.exposed {
        let _ = writeln!(text, "\t\tip daddr {address} tcp dport {port} dnat ip to {door}:{port}");
    }
    text.push_str("\t}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::NetworkFacts;

    #[test]
    fn the_table_as_text() {
        let choice = ranges::choose("aio1", &[].into(), &NetworkFacts::default()).unwrap();
        let spec = HostNetworkSpec {
            exposed: vec![Exposed {
                address: [192, 0, 2, 7].into(),
                port: 80,
                door: [10, 0, 3, 7].into(),
            }],
            guest_ports: [5000, 80].into(),
            resolvers: Some(vec![[192, 0, 2, 7].into()]),
            ..HostNetworkSpec::closed("aio1", &choice.networks)
        };
        insta::assert_snapshot!(ruleset(&spec));
    }
}
