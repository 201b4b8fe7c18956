use proptest::prelude::*;

use super::*;
use crate::model::facts::NetworkFacts;
use crate::model::ranges;

fn networks() -> Networks {
    ranges::choose("aio1", &BTreeMap::new(), &NetworkFacts::default()).unwrap().networks
}

fn member(kind: &str, member: u32) -> Member {
    Member {
        kind: kind.to_owned(),
        member,
        networks: vec![NetworkRole::Management],
        unaddressed: Vec::new(),
        virtual_address: kind == "haproxy",
    }
}

fn nothing() -> BTreeMap<String, Recorded> {
    BTreeMap::new()
}

fn recorded(identities: &[Identity]) -> BTreeMap<String, Recorded> {
    identities
        .iter()
        .map(|identity| {
            let roles = identity.interfaces.iter().map(|one| (one.role, one.addresses[0].0));
            let id_slot = Some(identity.id_slot);
            (identity.name.clone(), Recorded { addresses: roles.collect(), id_slot })
        })
        .collect()
}

#[test]
fn names_do_not_change_between_versions() {
    // A change of the derivation would orphan every cloud that exists.
    assert_eq!(container_name("aio1", "heat_engine", 1), "aio1_heat_engine_container-e504f78c");
    assert_eq!(
        hostname("aio1_heat_engine_container-36e270c9"),
        "aio1-heat-engine-container-36e270c9"
    );
    assert_eq!(
        veth_name("aio1_heat_engine_container-36e270c9", NetworkRole::Tunnel),
        "36e270c9_eth10"
    );
    let id = machine_id("aio1_heat_engine_container-36e270c9");
    assert_eq!(id.len(), 32);
    assert_eq!(&id[12..13], "4");
}

#[test]
fn a_host_name_that_is_too_long_keeps_its_suffix() {
    let name = container_name(&"x".repeat(60), "heat_engine", 1);
    let short = hostname(&name);
    assert!(short.len() <= 63);
    assert!(short.ends_with(name.rsplit_once('-').unwrap().1));
}

#[test]
fn every_container_has_a_way_out_and_the_load_balancer_the_virtual_address() {
    let networks = networks();
    let all = allocate("aio1", &networks, &[member("haproxy", 1)], &nothing()).unwrap();
    let [nat, management] = &all[0].interfaces[..] else { panic!("{:?}", all[0].interfaces) };
    assert_eq!(nat.gateway, Some("10.0.3.1".parse().unwrap()));
    assert_eq!(nat.bridge, "aio1-nat");
    assert_eq!(management.gateway, None);
    assert_eq!(management.addresses[1], (networks.virtual_address, 22));
    assert!(management.mac.starts_with("00:16:3e:"));
}

#[test]
fn an_interface_that_a_service_takes_over_has_its_address_reserved() {
    let networks = networks();
    let roles = vec![NetworkRole::Management, NetworkRole::Tunnel, NetworkRole::Provider];
    let unaddressed = vec![NetworkRole::Tunnel, NetworkRole::Provider];
    let wanted = Member { networks: roles, unaddressed, ..member("switch", 1) };
    let all = allocate("aio1", &networks, &[wanted], &nothing()).unwrap();
    let configured: Vec<_> =
        all[0].interfaces.iter().map(|one| (one.role.interface(), one.configured)).collect();
    assert_eq!(configured, [("eth0", true), ("eth1", true), ("eth10", false), ("eth12", false)]);
    for interface in &all[0].interfaces {
        let range = networks.get(interface.role).unwrap().range;
        assert!(range.contains(interface.addresses[0].0), "{interface:?}");
    }
}

#[test]
fn the_pool_of_the_provider_network_is_nobodys() {
    let networks = networks();
    let provider = networks.get(NetworkRole::Provider).unwrap();
    let (first, last) = ranges::pool(NetworkRole::Provider, provider.range).unwrap();
    assert_eq!(
        (first.to_string(), last.to_string()),
        ("172.29.250.0".into(), "172.29.251.254".into())
    );
    assert_eq!(ranges::pool(NetworkRole::Management, provider.range), None);
    let wanted: Vec<Member> = (1..=200)
        .map(|number| Member { networks: vec![NetworkRole::Provider], ..member("x", number) })
        .collect();
    let all = allocate("aio1", &networks, &wanted, &nothing()).unwrap();
    let addresses = all.iter().map(|one| one.interfaces[1].addresses[0].0);
    assert!(
        addresses.into_iter().all(|address| address < first && address != provider.host_address)
    );
}

#[test]
fn recorded_addresses_are_kept_when_a_kind_that_sorts_earlier_comes() {
    let networks = networks();
    let first: Vec<Member> = (1..=40).map(|number| member("nova", number)).collect();
    let before = allocate("aio1", &networks, &first, &nothing()).unwrap();
    let mut more: Vec<Member> = (1..=150).map(|number| member("aodh", number)).collect();
    more.extend(first);
    let after = allocate("aio1", &networks, &more, &recorded(&before)).unwrap();
    assert_eq!(after[150..], before[..]);
}

#[test]
fn every_container_has_ids_of_its_own_and_keeps_them() {
    let networks = networks();
    let slots = |identities: &[Identity]| -> BTreeMap<String, u32> {
        let of = |it: &Identity| (format!("{}/{}", it.kind, it.member), it.id_slot);
        identities.iter().map(of).collect()
    };
    let wanted = [member("nova", 1), member("galera", 2), member("galera", 1)];
    let before = allocate("aio1", &networks, &wanted, &nothing()).unwrap();
    let first = [("galera/1", 0), ("galera/2", 1), ("nova", 2)];
    assert!(first.iter().all(|(name, slot)| {
        slots(&before).iter().any(|(has, its)| has.starts_with(name) && its == slot)
    }));
    // A member that goes leaves its slot to the next that comes; nobody else moves.
    let wanted = [member("nova", 1), member("aodh", 1), member("aodh", 2), member("galera", 1)];
    let after = allocate("aio1", &networks, &wanted, &recorded(&before)).unwrap();
    let expected = [("aodh/1", 1), ("aodh/2", 3), ("galera/1", 0), ("nova/1", 2)];
    assert_eq!(slots(&after), expected.map(|(name, slot)| (name.to_owned(), slot)).into());
}

#[test]
fn a_cloud_whose_containers_had_the_same_ids_parts_them() {
    let networks = networks();
    let wanted: Vec<Member> = (1..=3).map(|number| member("nova", number)).collect();
    let mut had = recorded(&allocate("aio1", &networks, &wanted, &nothing()).unwrap());
    had.values_mut().for_each(|it| it.id_slot = Some(0));
    let all = allocate("aio1", &networks, &wanted, &had).unwrap();
    let slots: Vec<u32> = all.iter().map(|one| one.id_slot).collect();
    assert_eq!(slots, [0, 1, 2]);
}

#[test]
fn a_record_that_is_no_longer_possible_is_dropped() {
    let networks = networks();
    let name = container_name("aio1", "galera", 1);
    let impossible = ["172.29.236.101", "172.29.236.50", "172.29.239.255", "10.1.1.1"];
    for text in impossible {
        let addresses = BTreeMap::from([(NetworkRole::Management, text.parse().unwrap())]);
        let had = Recorded { addresses, id_slot: None };
        let records = BTreeMap::from([(name.clone(), had)]);
        let all = allocate("aio1", &networks, &[member("galera", 1)], &records).unwrap();
        assert_ne!(all[0].interfaces[1].addresses[0].0.to_string(), text);
    }
}

#[test]
fn a_network_that_is_too_small_says_so() {
    let named = BTreeMap::from([(NetworkRole::Management, "10.9.9.0/24".parse().unwrap())]);
    let small = ranges::choose("aio1", &named, &NetworkFacts::default()).unwrap().networks;
    let members: Vec<Member> = (1..=145).map(|number| member("nova", number)).collect();
    let error = allocate("aio1", &small, &members, &nothing()).unwrap_err();
    assert!(error.to_string().contains("room for 144 containers"), "{error}");
    assert!(allocate("aio1", &small, &members[..144], &nothing()).is_ok());
}

proptest! {
    #[test]
    fn addresses_and_macs_are_unique_usable_and_repeatable(
        counts in prop::collection::btree_map("[a-z]{1,8}", 1_u32..9, 1..15),
    ) {
        let networks = networks();
        let members: Vec<Member> = counts
            .iter()
            .flat_map(|(kind, count)| (1..=*count).map(|number| member(kind, number)))
            .collect();
        let all = allocate("aio1", &networks, &members, &nothing()).unwrap();
        let mut backwards: Vec<Member> = members.clone();
        backwards.reverse();
        let mut again = allocate("aio1", &networks, &backwards, &recorded(&all)).unwrap();
        again.reverse();
        prop_assert_eq!(&all, &again);
        let interfaces: Vec<&Interface> =
            all.iter().flat_map(|identity| &identity.interfaces).collect();
        let addresses: BTreeSet<Ipv4Addr> =
            interfaces.iter().map(|interface| interface.addresses[0].0).collect();
        let macs: BTreeSet<&String> = interfaces.iter().map(|interface| &interface.mac).collect();
        prop_assert_eq!(addresses.len(), interfaces.len());
        prop_assert_eq!(macs.len(), interfaces.len());
        let slots: BTreeSet<u32> = all.iter().map(|identity| identity.id_slot).collect();
        prop_assert!(slots.into_iter().eq(0..u32::try_from(all.len()).unwrap()));
        for interface in interfaces {
            let network = networks.get(interface.role).unwrap();
            let number = u32::from(interface.addresses[0].0) - u32::from(network.range.base);
            prop_assert!(network.range.contains(interface.addresses[0].0));
            prop_assert!(number >= first_container_number(interface.role));
            prop_assert!(interface.host_name.len() <= 15);
        }
    }
}
