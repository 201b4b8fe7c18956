//! Who may say what on the cloud's bridges, as a table of nftables' bridge family. Pure.
//!
//! Every container's end of a veth pair has one hardware address and the addresses of its container;
//! under others nothing leaves it, so that nobody speaks as the virtual address, the host or another
//! container. All addresses of a container are its own on each of its interfaces: answers go by the
//! default route, whichever address was asked.
//!
//! An interface that its service takes over is a switch's port: what it carries has hardware
//! addresses that nobody here knows, and on a network with a pool for users' servers any address of
//! that. It may use none that belongs to somebody else.
//!
//! The networks are IPv4 alone: nothing but that and ARP passes. Interfaces that are not of the model
//! are the administrator's: nobody inside can make one.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::rules::{quoted, set, table_name};
use crate::model::addresses::bridge_mac;
use crate::model::host_network::{HostNetworkSpec, Port};

/// Input for `nft -f -` that makes the table anew, or removes it where nobody is to be held.
pub fn ruleset(spec: &HostNetworkSpec) -> String {
    let mut text = deletion(&spec.cloud);
    if spec.ports.is_empty() {
        return text;
    }
    let (switches, single): (Vec<&Port>, Vec<&Port>) =
        spec.ports.iter().partition(|port| port.switch);
    let _ = write!(
        text,
        "table bridge {} {{\n\
         \tchain pinned {{\n\
         \t\ttype filter hook prerouting priority -200; policy accept;\n\
         \t\tiifname != {} accept\n\
         \t\tether type != {{ ip, arp }} drop\n",
        table_name(&spec.cloud),
        set(spec.ports.iter().map(|port| quoted(&port.name)))
    );
    for port in &switches {
        let _ = writeln!(text, "\t\tiifname \"{0}\" goto port_{0}", port.name);
    }
    let macs = set(single.iter().map(|port| format!("\"{}\" . {}", port.name, port.mac)));
    let sources = set(single.iter().flat_map(|port| {
        port.addresses.iter().map(|address| format!("\"{}\" . {address}", port.name))
    }));
    if single.is_empty() {
        text.push_str("\t\tdrop\n");
    } else {
        let _ = write!(
            text,
            "\t\tiifname . ether saddr != {macs} drop\n\
             \t\tether type arp iifname . arp saddr ether != {macs} drop\n\
             \t\tether type arp iifname . arp saddr ip != {sources} drop\n\
             \t\tether type ip iifname . ip saddr != {sources} drop\n"
        );
    }
    text.push_str("\t}\n");
    for port in switches {
        text.push_str(&switch(spec, port));
    }
    text.push_str("}\n");
    text
}

/// Input for `nft -f -` that removes the table, whether it is there or not.
pub fn deletion(cloud: &str) -> String {
    let table = table_name(cloud);
    format!("table bridge {table} {{ }}\ndelete table bridge {table}\n")
}

/// The chain of a port that carries many.
fn switch(spec: &HostNetworkSpec, port: &Port) -> String {
    let others = spec.ports.iter().filter(|it| it.name != port.name).map(|it| it.mac.clone());
    let bridges = spec.networks.iter().map(|network| bridge_mac(&network.bridge));
    let others = set(others.chain(bridges).collect::<BTreeSet<_>>());
    let pool = port.pool.map(|(first, last)| format!("{first}-{last}"));
    let own = set(port.addresses.iter().map(ToString::to_string).chain(pool));
    format!(
        "\tchain port_{} {{\n\
         \t\tether saddr {others} drop\n\
         \t\tether type arp arp saddr ether {others} drop\n\
         \t\tether type arp arp saddr ip != {own} drop\n\
         \t\tether type ip ip saddr != {own} drop\n\
         \t}}\n",
        port.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::NetworkFacts;
    use crate::model::ranges;

    #[test]
    fn the_table_as_text() {
        let choice = ranges::choose("aio1", &[].into(), &NetworkFacts::default()).unwrap();
        let port = |name: &str, mac: &str, addresses: &[[u8; 4]]| Port {
            name: name.to_owned(),
            mac: mac.to_owned(),
            addresses: addresses.iter().map(|address| (*address).into()).collect(),
            switch: false,
            pool: None,
        };
        let mut spec = HostNetworkSpec::closed("aio1", &choice.networks);
        assert_eq!(ruleset(&spec), deletion("aio1"));
        let both = [[10, 0, 3, 20], [172, 29, 236, 120]];
        spec.ports = vec![
            port("one_eth0", "00:16:3e:00:00:01", &both),
            port("one_eth1", "00:16:3e:00:00:02", &both),
            Port {
                switch: true,
                pool: Some(([172, 29, 250, 0].into(), [172, 29, 251, 254].into())),
                ..port("two_eth12", "00:16:3e:00:00:03", &[[172, 29, 248, 111]])
            },
        ];
        insta::assert_snapshot!(ruleset(&spec));
    }
}
