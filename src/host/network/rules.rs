//! The nftables table of one cloud, as text. Pure.
//!
//! One table, replaced as a whole in one transaction: there is no moment without it. It holds no
//! policy of its own: packets that are none of the cloud's pass it untouched.

use std::fmt::Write;

use super::super::HostNetworkSpec;
use crate::model::network::NetworkRole;

/// The table's name: `aio_aio1`.
pub fn table_name(cloud: &str) -> String {
    format!("aio_{cloud}")
}

/// Input for `nft -f -` that makes the table anew, whatever it was before.
pub fn ruleset(spec: &HostNetworkSpec) -> String {
    let table = table_name(&spec.cloud);
    let mut text = format!("{}table inet {table} {{\n", deletion(&spec.cloud));
    for chain in [guard(spec), forwarded(spec), translated(spec)] {
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

/// The cloud's bridges as an anonymous set.
fn bridges(spec: &HostNetworkSpec) -> String {
    let names: Vec<String> =
        spec.networks.iter().map(|network| format!("\"{}\"", network.bridge)).collect();
    format!("{{ {} }}", names.join(", "))
}

fn ranges(spec: &HostNetworkSpec, roles: &[NetworkRole]) -> String {
    let ranges: Vec<String> = spec
        .networks
        .iter()
        .filter(|network| roles.contains(&network.role))
        .map(|network| network.range.to_string())
        .collect();
    format!("{{ {} }}", ranges.join(", "))
}

/// Networks whose members may reach the world, under the host's address.
const OUTWARD: [NetworkRole; 2] = [NetworkRole::Nat, NetworkRole::Provider];

/// Nobody but this host gets in: connections into the ranges must come from the cloud's own bridges.
/// Before routing, so that it also covers the host's own addresses in the ranges, and before
/// addresses are translated, so that exposed ports are not concerned.
fn guard(spec: &HostNetworkSpec) -> String {
    let bridges = bridges(spec).replace("{ ", "{ \"lo\", ");
    format!(
        "\tchain guard {{\n\
         \t\ttype filter hook prerouting priority mangle; policy accept;\n\
         \t\tiifname != {bridges} ip daddr {} ct state new,invalid,untracked drop\n\
         \t}}\n",
        ranges(spec, &NetworkRole::ALL)
    )
}

/// What leaves does so under the host's address or not at all, and in packets that fit.
fn forwarded(spec: &HostNetworkSpec) -> String {
    let bridges = bridges(spec);
    format!(
        "\tchain forwarded {{\n\
         \t\ttype filter hook forward priority filter; policy accept;\n\
         \t\tiifname {bridges} oifname != {bridges} tcp flags syn / syn,rst \
         tcp option maxseg size set rt mtu\n\
         \t\tct state established,related accept\n\
         \t\tiifname {bridges} oifname != {bridges} ip saddr != {} drop\n\
         \t}}\n",
        ranges(spec, &OUTWARD)
    )
}

/// Outgoing connections get the host's address. So do those to exposed ports: the load balancer
/// answers by its default route, and the answer must come back through the same translation.
fn translated(spec: &HostNetworkSpec) -> String {
    let bridges = bridges(spec);
    let mut text = format!(
        "\tchain translated {{\n\
         \t\ttype nat hook postrouting priority srcnat; policy accept;\n\
         \t\tip saddr {} oifname != {bridges} masquerade\n",
        ranges(spec, &OUTWARD)
    );
    if !spec.exposed.is_empty() {
        let _ = writeln!(text, "\t\tct status dnat ip daddr {} masquerade", spec.virtual_address);
    }
    text.push_str("\t}\n");
    text
}

/// Exposed ports of the host lead to the virtual address.
fn exposed(spec: &HostNetworkSpec, name: &str, hook: &str) -> String {
    // The name `dstnat` for this priority is only known at the prerouting hook.
    let mut text =
        format!("\tchain {name} {{\n\t\ttype nat hook {hook} priority -100; policy accept;\n");
    for (address, port, target) in &spec.exposed {
        let _ = writeln!(
            text,
            "\t\tip daddr {address} tcp dport {port} dnat ip to {}:{target}",
            spec.virtual_address
        );
    }
    text.push_str("\t}\n");
    text
}
