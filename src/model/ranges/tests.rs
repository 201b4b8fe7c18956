use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::facts::{HostAddress, HostRoute};

fn range(text: &str) -> Range {
    text.parse().unwrap()
}

fn address(interface: &str, text: &str) -> HostAddress {
    let (address, prefix) = text.split_once('/').unwrap();
    HostAddress {
        interface: interface.to_owned(),
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    }
}

fn route(destination: &str, kind: &str, interface: Option<&str>, metric: u32) -> HostRoute {
    HostRoute {
        destination: range(destination),
        kind: kind.to_owned(),
        interface: interface.map(str::to_owned),
        metric,
    }
}

fn host(addresses: Vec<HostAddress>, routes: Vec<HostRoute>) -> NetworkFacts {
    NetworkFacts { addresses, routes, ..NetworkFacts::default() }
}

fn chosen(choice: &Choice, role: NetworkRole) -> String {
    choice.networks.get(role).unwrap().range.to_string()
}

#[test]
fn a_host_without_conflicts_gets_the_defaults() {
    let host = host(
        vec![address("eth0", "192.0.2.2/24")],
        vec![route("0.0.0.0/0", "unicast", Some("eth0"), 0)],
    );
    let choice = choose("aio1", &BTreeMap::new(), &host).unwrap();
    assert!(choice.reasons.is_empty());
    let all: Vec<String> = choice
        .networks
        .networks
        .iter()
        .map(|network| format!("{} {} {}", network.bridge, network.range, network.host_address))
        .collect();
    assert_eq!(
        all,
        [
            "aio1-nat 10.0.3.0/24 10.0.3.1",
            "aio1-mgmt 172.29.236.0/22 172.29.236.100",
            "aio1-tun 172.29.240.0/22 172.29.240.100",
            "aio1-stor 172.29.244.0/22 172.29.244.100",
            "aio1-prov 172.29.248.0/22 172.29.248.100",
        ]
    );
    assert_eq!(choice.networks.virtual_address.to_string(), "172.29.236.101");
}

#[test]
fn lxcs_own_bridge_moves_the_nat_network_alone() {
    let host = host(vec![address("lxcbr0", "10.0.3.1/24")], vec![]);
    let choice = choose("aio1", &BTreeMap::new(), &host).unwrap();
    assert_eq!(chosen(&choice, NetworkRole::Nat), "10.0.4.0/24");
    assert_eq!(chosen(&choice, NetworkRole::Management), "172.29.236.0/22");
    assert_eq!(choice.reasons.len(), 1);
    assert_eq!(
        choice.reasons[&NetworkRole::Nat],
        "10.0.4.0/24 in place of 10.0.3.0/24: lxcbr0 has 10.0.3.1/24"
    );
}

#[test]
fn a_replaced_network_does_not_push_its_neighbours() {
    let host = host(vec![address("br0", "172.29.237.9/24")], vec![]);
    let choice = choose("aio1", &BTreeMap::new(), &host).unwrap();
    // 240, 244 and 248 are other networks' defaults.
    assert_eq!(chosen(&choice, NetworkRole::Management), "172.29.252.0/22");
    assert_eq!(chosen(&choice, NetworkRole::Tunnel), "172.29.240.0/22");
}

#[test]
fn routes_for_whole_private_blocks_leave_the_others() {
    let vpn = host(
        vec![],
        vec![
            route("10.0.0.0/8", "unicast", Some("tun0"), 50),
            route("172.16.0.0/12", "unicast", Some("tun0"), 50),
            route("0.0.0.0/1", "unicast", Some("tun0"), 50),
        ],
    );
    let choice = choose("aio1", &BTreeMap::new(), &vpn).unwrap();
    assert_eq!(chosen(&choice, NetworkRole::Nat), "192.168.0.0/24");
    assert_eq!(chosen(&choice, NetworkRole::Management), "192.168.4.0/22");
    assert!(choice.reasons[&NetworkRole::Nat].contains("to 10.0.0.0/8 through tun0"));
}

#[test]
fn what_the_cloud_itself_put_there_is_no_conflict() {
    let metric = guard_metric("aio1");
    let own = host(
        vec![address("aio1-nat", "10.0.3.1/24")],
        vec![
            route("10.0.3.0/24", "unicast", Some("aio1-nat"), 0),
            route("10.0.3.0/24", "unreachable", None, metric),
            route("172.29.236.0/22", "unreachable", None, metric),
        ],
    );
    let choice = choose("aio1", &BTreeMap::new(), &own).unwrap();
    assert!(choice.reasons.is_empty());
    // A second cloud sees the first one's guard routes although its bridges are gone.
    let second = choose("aio2", &BTreeMap::new(), &own).unwrap();
    assert_eq!(chosen(&second, NetworkRole::Nat), "10.0.4.0/24");
    assert_eq!(chosen(&second, NetworkRole::Management), "172.29.252.0/22");
}

#[test]
fn a_stopped_clouds_ranges_are_respected_after_a_reboot() {
    let mut facts = host(vec![], vec![]);
    facts.clouds.insert("aio1".to_owned(), vec![range("10.0.3.0/24")]);
    let choice = choose("aio2", &BTreeMap::new(), &facts).unwrap();
    assert_eq!(chosen(&choice, NetworkRole::Nat), "10.0.4.0/24");
    assert!(choice.reasons[&NetworkRole::Nat].contains("the cloud aio1 has 10.0.3.0/24"));
}

#[test]
fn a_named_range_that_collides_is_refused_with_a_free_one() {
    let host = host(vec![address("lxcbr0", "10.0.3.1/24")], vec![]);
    let named = BTreeMap::from([(NetworkRole::Nat, range("10.0.2.0/23"))]);
    let error = choose("aio1", &named, &host).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    assert_eq!(error.to_string(), "use 10.0.2.0/23 for the nat network: lxcbr0 has 10.0.3.1/24");
    assert_eq!(error.hints, ["10.0.4.0/24 is free: set networks.nat to it."]);
}

#[test]
fn named_ranges_that_overlap_each_other_are_refused() {
    let named = BTreeMap::from([
        (NetworkRole::Management, range("10.9.0.0/22")),
        (NetworkRole::Storage, range("10.9.2.0/24")),
    ]);
    let error = choose("aio1", &named, &host(vec![], vec![])).unwrap_err();
    assert!(error.to_string().contains("management network is 10.9.0.0/22"), "{error}");
}

#[test]
fn a_default_gives_way_to_a_named_range() {
    let named = BTreeMap::from([(NetworkRole::Storage, range("172.29.236.0/22"))]);
    let choice = choose("aio1", &named, &host(vec![], vec![])).unwrap();
    assert_eq!(chosen(&choice, NetworkRole::Storage), "172.29.236.0/22");
    assert_eq!(chosen(&choice, NetworkRole::Management), "172.29.252.0/22");
}

#[test]
fn ranges_that_no_machine_can_use_are_refused() {
    for text in ["127.0.0.0/24", "224.0.0.0/22", "169.254.4.0/22", "10.0.0.0/26", "8.0.0.0/7"] {
        let named = BTreeMap::from([(NetworkRole::Management, range(text))]);
        assert!(choose("aio1", &named, &host(vec![], vec![])).is_err(), "{text}");
    }
}

#[test]
fn the_virtual_address_stays_in_its_range() {
    let networks = choose("aio1", &BTreeMap::new(), &host(vec![], vec![])).unwrap().networks;
    let named = |text: &str| with_virtual_address(networks.clone(), text.parse().unwrap());
    assert_eq!(named("172.29.239.7").unwrap().virtual_address.to_string(), "172.29.239.7");
    for text in ["10.0.3.7", "172.29.236.0", "172.29.239.255", "172.29.236.100"] {
        assert_eq!(named(text).unwrap_err().kind, ErrorKind::Config, "{text}");
    }
}

#[test]
fn long_and_odd_names_get_bridges_of_their_own() {
    let names = ["aio1", "a", "staging12", "staging123", "staging1234", "staging12345", "ä/b c"];
    let mut bridges = Vec::new();
    for name in names {
        for role in NetworkRole::ALL {
            let bridge = bridge_name(name, role);
            assert!(bridge.len() <= 15 && bridge.is_ascii(), "{bridge}");
            assert!(!bridge.contains(['/', ' ']), "{bridge}");
            bridges.push(bridge);
        }
    }
    let count = bridges.len();
    bridges.sort();
    bridges.dedup();
    assert_eq!(bridges.len(), count);
    assert_eq!(bridge_name("staging12", NetworkRole::Management), "staging12-mgmt");
}

proptest! {
    #[test]
    fn chosen_ranges_never_overlap_anything(
        taken in prop::collection::vec((any::<u32>(), 9_u8..=30), 0..12),
        cloud in "[a-z][a-z0-9]{0,20}",
    ) {
        let addresses = taken
            .iter()
            .map(|(address, prefix)| HostAddress {
                interface: "eth0".to_owned(),
                // Half of them in the block where most defaults are.
                address: Ipv4Addr::from(if address % 2 == 0 {
                    0xAC10_0000 | (address & 0x000F_FFFF)
                } else {
                    0x0A00_0000 | (address & 0x00FF_FFFF)
                }),
                prefix: *prefix,
            })
            .collect();
        let facts = host(addresses, vec![]);
        let Ok(choice) = choose(&cloud, &BTreeMap::new(), &facts) else { return Ok(()) };
        let again = choose(&cloud, &BTreeMap::new(), &facts).unwrap();
        prop_assert_eq!(&choice, &again);
        let all = &choice.networks.networks;
        for (index, network) in all.iter().enumerate() {
            for used in &facts.addresses {
                prop_assert!(!covering(used.address, used.prefix).overlaps(network.range));
            }
            for other in &all[index + 1..] {
                prop_assert!(!network.range.overlaps(other.range));
            }
        }
        // What was chosen is accepted when it comes back from `cloud.yml`.
        let named = all.iter().map(|network| (network.role, network.range)).collect();
        prop_assert_eq!(choose(&cloud, &named, &facts).unwrap().networks, choice.networks);
    }
}
