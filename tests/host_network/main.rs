//! The host's network for real: bridges, routes and nftables of this kernel, in a network namespace
//! that plays the host. Needs root.

#![allow(missing_docs, reason = "a test is described by its name")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and talk to each other through pipes"
)]

mod world;

use std::collections::BTreeMap;
use std::time::Instant;

use aio::host::facts::{self, Depth};
use aio::host::network::RealNetwork;
use aio::host::settings::RealSettings;
use aio::host::subids;
use aio::host::{HostNetwork, HostNetworkSpec, Settings};
use aio::model::facts::{Ability, HostAddress, NetworkFacts, Presence};
use aio::model::network::NetworkRole;
use aio::model::ranges;
use aio::state::paths::{Paths, RUN_DIR};
use aio::state::records::RealRecords;
use world::{
    Machine, Server, assert_unchanged, connect_here, in_own_namespace, play_role, serve_here, sh,
    snapshot,
};

/// Not a test: see [`world::play_role`].
#[test]
fn plays_a_role() {
    play_role();
}

/// The host, its neighbour outside, and a cloud.
struct World {
    network: RealNetwork,
    outside: Machine,
    _run: tempfile::TempDir,
    _outside_server: Server,
}

const OUTSIDE: &str = "203.0.113.9:80";

impl World {
    /// A host with LXC's own bridge, one interface and a default route through a neighbour.
    fn new() -> Self {
        let run = tempfile::tempdir().unwrap();
        let network = RealNetwork::new(run.path().join("aio"));
        let outside = Machine::new();
        outside.plug("eth0", "uplink", "198.51.100.2/24");
        outside.sh("ip address add 203.0.113.9/32 dev lo");
        sh("ip address add 198.51.100.1/24 dev uplink; ip route add default via 198.51.100.2; \
            ip link add name lxcbr0 type bridge; ip address add 10.0.3.1/24 dev lxcbr0; \
            ip link set dev lxcbr0 up; echo 0 > /proc/sys/net/ipv4/ip_forward");
        let server = outside.serve(OUTSIDE);
        Self { network, outside, _run: run, _outside_server: server }
    }

    fn apply(&self, spec: &HostNetworkSpec) {
        block_on(async {
            assert!(self.network.differs(spec).await.unwrap().is_some());
            self.network.apply(spec).await.unwrap();
            assert_eq!(self.network.differs(spec).await.unwrap(), None);
        });
    }

    fn differs(&self, spec: &HostNetworkSpec) -> Option<String> {
        block_on(self.network.differs(spec)).unwrap()
    }

    fn remove(&self, spec: &HostNetworkSpec) {
        block_on(self.network.remove(spec)).unwrap();
    }

    /// The neighbour believes that the host leads to the cloud's ranges.
    fn route_from_outside(&self, spec: &HostNetworkSpec) {
        for network in &spec.networks {
            self.outside.sh(&format!("ip route replace {} via 198.51.100.1", network.range));
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// The networks of a cloud on a host with `lxcbr0` and those of `others`.
fn spec(cloud: &str, others: &[&HostNetworkSpec]) -> HostNetworkSpec {
    let mut facts = NetworkFacts::default();
    facts.addresses.push(HostAddress {
        interface: "lxcbr0".to_owned(),
        address: "10.0.3.1".parse().unwrap(),
        prefix: 24,
    });
    for other in others {
        let ranges = other.networks.iter().map(|network| network.range).collect();
        facts.clouds.insert(other.cloud.clone(), ranges);
    }
    let choice = ranges::choose(cloud, &BTreeMap::new(), &facts).unwrap();
    HostNetworkSpec {
        cloud: cloud.to_owned(),
        networks: choice.networks.networks,
        virtual_address: choice.networks.virtual_address,
        exposed: Vec::new(),
    }
}

/// A container of the cloud: on the NAT and the management network, with these host numbers.
fn container(spec: &HostNetworkSpec, nat: u32, management: u32) -> (Machine, String) {
    let machine = Machine::new();
    let mut own = String::new();
    for (role, number) in [(NetworkRole::Nat, nat), (NetworkRole::Management, management)] {
        let network = spec.networks.iter().find(|network| network.role == role).unwrap();
        let address = network.range.address(number);
        let peer = format!("{}{number}{}", &spec.cloud, role.interface());
        machine.plug_into(
            &network.bridge,
            role.interface(),
            &peer,
            &format!("{address}/{}", network.range.prefix),
        );
        if role == NetworkRole::Nat {
            machine.sh(&format!("ip route add default via {}", network.host_address));
        }
        own = address.to_string();
    }
    (machine, own)
}

#[test]
fn containers_reach_the_world_and_nobody_but_the_host_reaches_them() {
    if !in_own_namespace("containers_reach_the_world_and_nobody_but_the_host_reaches_them") {
        return;
    }
    let world = World::new();
    let before = snapshot();
    let spec = spec("aio1", &[]);
    assert_eq!(spec.networks[0].range.to_string(), "10.0.4.0/24", "lxcbr0 has 10.0.3.0/24");
    world.apply(&spec);
    world.route_from_outside(&spec);
    let (one, address) = container(&spec, 20, 120);
    let (two, _) = container(&spec, 21, 121);
    let server = one.serve(&format!("{address}:5000"));
    let target = format!("{address}:5000");

    assert_eq!(one.connect(OUTSIDE).unwrap(), "198.51.100.1", "translated to the host's address");
    assert_eq!(connect_here(&target).unwrap(), "172.29.236.100");
    assert_eq!(two.connect(&target).unwrap(), "172.29.236.121");

    // The neighbour gets neither to the container nor to the host's own address on the bridge.
    serve_here("0.0.0.0:5001");
    assert!(world.outside.connect(&target).is_err());
    assert!(world.outside.connect("172.29.236.100:5001").is_err());
    assert!(world.outside.connect("10.0.4.1:5001").is_err());
    assert_eq!(world.outside.connect("198.51.100.1:5001").unwrap(), "198.51.100.2");
    assert_eq!(one.connect("172.29.236.100:5001").unwrap(), "172.29.236.120");

    // The proof that it is the firewall that keeps it out.
    sh("nft flush chain inet aio_aio1 guard");
    assert_eq!(world.outside.connect(&target).unwrap(), "198.51.100.2");
    assert!(world.differs(&spec).unwrap().contains("firewall table `aio_aio1`"));
    block_on(world.network.apply(&spec)).unwrap();
    assert!(world.outside.connect(&target).is_err());

    drop((server, one, two));
    world.remove(&spec);
    assert_unchanged(&before);
    world.remove(&spec);
    assert_unchanged(&before);
}

#[test]
fn a_guest_on_the_provider_network_is_reached_from_the_host_and_from_containers() {
    if !in_own_namespace(
        "a_guest_on_the_provider_network_is_reached_from_the_host_and_from_containers",
    ) {
        return;
    }
    let world = World::new();
    let spec = spec("aio1", &[]);
    world.apply(&spec);
    world.route_from_outside(&spec);
    let (container, own) = container(&spec, 20, 120);
    let provider = spec.networks.iter().find(|it| it.role == NetworkRole::Provider).unwrap();
    let (first, _) = ranges::pool(NetworkRole::Provider, provider.range).unwrap();
    let guest = Machine::new();
    let address = format!("{first}/{}", provider.range.prefix);
    guest.plug_into(&provider.bridge, "eth0", "guest", &address);
    guest.sh(&format!("ip route add default via {}", provider.host_address));
    let server = guest.serve(&format!("{first}:80"));
    let target = format!("{first}:80");

    assert_eq!(connect_here(&target).unwrap(), provider.host_address.to_string());
    assert_eq!(
        container.connect(&target).unwrap(),
        "10.0.4.20",
        "by its default route, untranslated"
    );
    assert_eq!(guest.connect(OUTSIDE).unwrap(), "198.51.100.1", "under the host's address");
    let inside = container.serve(&format!("{own}:5000"));
    assert_eq!(guest.connect(&format!("{own}:5000")).unwrap(), first.to_string());
    assert!(world.outside.connect(&target).is_err());

    drop((server, inside, container, guest));
    world.remove(&spec);
}

#[test]
fn exposed_ports_and_nothing_else_lead_inside() {
    if !in_own_namespace("exposed_ports_and_nothing_else_lead_inside") {
        return;
    }
    let world = World::new();
    let before = snapshot();
    let closed = spec("aio1", &[]);
    let mut open = closed.clone();
    open.exposed = vec![("198.51.100.1".parse().unwrap(), 15000, 5000)];
    world.apply(&open);
    world.route_from_outside(&open);
    let (balancer, virtual_address) = container(&open, 20, 101);
    assert_eq!(virtual_address, open.virtual_address.to_string());
    let (other, _) = container(&open, 21, 121);
    let server = balancer.serve("0.0.0.0:5000");

    // Whoever comes through is seen under the host's address, so that answers find back.
    assert_eq!(world.outside.connect("198.51.100.1:15000").unwrap(), "172.29.236.100");
    assert_eq!(connect_here("198.51.100.1:15000").unwrap(), "172.29.236.100");
    assert_eq!(other.connect("198.51.100.1:15000").unwrap(), "172.29.236.100");
    assert!(world.outside.connect(&format!("{virtual_address}:5000")).is_err());

    assert!(world.differs(&closed).is_some());
    block_on(world.network.apply(&closed)).unwrap();
    assert!(world.outside.connect("198.51.100.1:15000").is_err());

    drop((server, balancer, other));
    world.remove(&closed);
    assert_unchanged(&before);
}

#[test]
fn a_packet_for_a_container_never_leaves_by_the_default_route() {
    if !in_own_namespace("a_packet_for_a_container_never_leaves_by_the_default_route") {
        return;
    }
    let world = World::new();
    let spec = spec("aio1", &[]);
    // Somebody outside would answer for the cloud's address.
    world.outside.sh("ip address add 172.29.236.120/32 dev lo");
    let server = world.outside.serve("172.29.236.120:5000");
    assert_eq!(connect_here("172.29.236.120:5000").unwrap(), "198.51.100.1");
    world.apply(&spec);
    sh("ip link delete dev aio1-mgmt");
    assert_eq!(world.differs(&spec).unwrap(), "the bridge `aio1-mgmt` is missing");
    assert_eq!(connect_here("172.29.236.120:5000").unwrap_err(), "host unreachable");
    world.apply(&spec);
    sh("ip link set dev aio1-mgmt down");
    assert_eq!(world.differs(&spec).unwrap(), "the bridge `aio1-mgmt` is down");
    assert_eq!(connect_here("172.29.236.120:5000").unwrap_err(), "host unreachable");
    world.apply(&spec);
    sh("ip route flush type unreachable table main");
    assert!(world.differs(&spec).unwrap().contains("guard route"));
    world.apply(&spec);
    world.remove(&spec);
    assert_eq!(connect_here("172.29.236.120:5000").unwrap(), "198.51.100.1");
    drop(server);
}

#[test]
fn two_clouds_stay_apart() {
    if !in_own_namespace("two_clouds_stay_apart") {
        return;
    }
    let world = World::new();
    let before = snapshot();
    let first = spec("aio1", &[]);
    let second = spec("aio2", &[&first]);
    world.apply(&first);
    let with_first = snapshot();
    world.apply(&second);
    assert_eq!(world.differs(&first), None);
    let (one, address) = container(&first, 20, 120);
    let (two, _) = container(&second, 20, 120);
    let server = one.serve("0.0.0.0:5000");
    assert_eq!(two.connect(OUTSIDE).unwrap(), "198.51.100.1");
    assert!(two.connect(&format!("{address}:5000")).is_err());
    assert!(two.connect("10.0.4.20:5000").is_err());
    drop((server, one, two));
    // Forwarding stays on for the first; the last one turns it off.
    world.remove(&second);
    assert_unchanged(&with_first);
    assert_eq!(world.differs(&first), None);
    world.remove(&first);
    assert_unchanged(&before);
}

#[test]
fn an_unknown_firewall_is_named_and_left_to_the_user() {
    if !in_own_namespace("an_unknown_firewall_is_named_and_left_to_the_user") {
        return;
    }
    let world = World::new();
    let spec = spec("aio1", &[]);
    world.apply(&spec);
    let obstacles = || block_on(world.network.obstacles(&spec)).unwrap();
    assert!(obstacles().is_empty(), "{:?}", obstacles());
    sh("nft 'add table ip mine; \
        add chain ip mine passing { type filter hook forward priority filter; policy drop; }'");
    let (one, _) = container(&spec, 20, 120);
    assert!(one.connect(OUTSIDE).is_err());
    assert_eq!(world.differs(&spec), None, "it is not for us to change");
    let said = obstacles();
    assert!(said[0].contains("accept packets from and to the interfaces aio1-*"), "{said:?}");
    sh("nft 'insert rule ip mine passing iifname aio1-* counter accept; \
        insert rule ip mine passing oifname aio1-* counter accept'");
    assert!(obstacles().is_empty(), "{:?}", obstacles());
    assert!(one.connect(OUTSIDE).is_ok());
}

/// A foreign firewall's rules, by the program that it uses, keep the containers from the world until
/// the cloud is brought back, and are as before when it is gone.
fn opened_and_given_back(rules: &str, whose: &str) {
    let world = World::new();
    let spec = spec("aio1", &[]);
    world.apply(&spec);
    let (one, _) = container(&spec, 20, 120);
    sh(rules);
    let before = sh("iptables-nft -S");
    assert!(one.connect(OUTSIDE).is_err());
    let differs = world.differs(&spec).unwrap();
    assert_eq!(differs, format!("{whose} cuts the containers off"));
    world.apply(&spec);
    assert_eq!(world.differs(&spec), None);
    assert!(one.connect(OUTSIDE).is_ok());
    assert_ne!(sh("iptables-nft -S"), before);
    drop(one);
    world.remove(&spec);
    assert_eq!(sh("iptables-nft -S"), before);
}

#[test]
fn dockers_firewall_is_opened_and_given_back() {
    if !in_own_namespace("dockers_firewall_is_opened_and_given_back") {
        return;
    }
    let rules = "iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER; \
                 iptables-nft -N DOCKER-FORWARD; iptables-nft -A FORWARD -j DOCKER-USER; \
                 iptables-nft -A FORWARD -j DOCKER-FORWARD; \
                 iptables-nft -A DOCKER-FORWARD -i docker0 -j ACCEPT";
    opened_and_given_back(rules, "Docker's firewall");
}

#[test]
fn ufw_that_rejects_is_opened_and_given_back() {
    if !in_own_namespace("ufw_that_rejects_is_opened_and_given_back") {
        return;
    }
    let rules = "iptables-nft -P FORWARD DROP; \
                 for chain in before after reject; do \
                     iptables-nft -N ufw-$chain-forward; \
                     iptables-nft -A FORWARD -j ufw-$chain-forward; \
                 done; iptables-nft -A ufw-reject-forward -j REJECT";
    opened_and_given_back(rules, "ufw");
}

#[test]
fn a_foreign_interface_with_a_bridges_name_is_an_error_before_anything_is_made() {
    let name = "a_foreign_interface_with_a_bridges_name_is_an_error_before_anything_is_made";
    if !in_own_namespace(name) {
        return;
    }
    let world = World::new();
    sh("ip link add name aio1-stor type veth peer name other");
    let before = snapshot();
    let error = block_on(world.network.apply(&spec("aio1", &[]))).unwrap_err();
    assert!(error.to_string().contains("`aio1-stor`"), "{error}");
    assert_unchanged(&before);
}

#[test]
fn looking_takes_milliseconds() {
    if !in_own_namespace("looking_takes_milliseconds") {
        return;
    }
    let world = World::new();
    let spec = spec("aio1", &[]);
    world.apply(&spec);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut times: Vec<u128> = (0..20)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(runtime.block_on(world.network.differs(&spec)).unwrap(), None);
            started.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    println!("differs: median {} µs, worst {} µs", times[10], times[19]);
    assert!(times[10] < 50_000, "{times:?}");
}

#[test]
fn facts_are_what_is_there() {
    if !in_own_namespace("facts_are_what_is_there") {
        return;
    }
    let world = World::new();
    sh("nft add table ip filter; nft add chain ip filter DOCKER-USER; nft add chain ip filter \
        FORWARD '{ type filter hook forward priority filter; policy drop; }'; \
        ip route add 172.29.240.0/20 via 198.51.100.2");
    let before = snapshot();
    let state = tempfile::tempdir().unwrap();
    let facts = block_on(facts::read(&state.path().join("not/made/yet"), Depth::Thorough));
    assert_eq!(snapshot(), before, "looking changes nothing");
    for ability in [Ability::Bridge, Ability::Veth, Ability::NfTables] {
        assert_eq!(facts.abilities[&ability], Presence::yes("tried"), "{ability:?}");
    }
    assert_eq!(facts.network.forward_chains[0].owner, "docker");
    assert!(facts.memory.available_mib <= facts.memory.total_mib);
    assert!(facts.storage.free_mib > 0);
    assert!(facts.liblxc.is_some());
    // LXC's own bridge, and a route that covers three of the defaults.
    let choice = ranges::choose("aio1", &BTreeMap::new(), &facts.network).unwrap();
    let moved: Vec<&str> = choice.reasons.keys().map(|role| role.name()).collect();
    assert_eq!(moved, ["nat", "tunnel", "storage", "provider"]);

    // The cloud's own traces are no obstacle to the same choice later.
    let spec = spec("aio1", &[]);
    world.apply(&spec);
    let again = block_on(facts::read(state.path(), Depth::Quick));
    let named = spec.networks.iter().map(|network| (network.role, network.range)).collect();
    let kept = ranges::choose("aio1", &named, &again.network);
    let error = kept.unwrap_err().to_string();
    assert!(error.contains("172.29.240.0/20 through uplink"), "only the route is: {error}");
}

/// Everything else plays in a namespace; this is the real host, beside whatever is on it.
#[test]
fn the_real_host_is_left_as_it_was() {
    const CLOUD: &str = "nettest";
    let state = tempfile::tempdir().unwrap();
    let paths = Paths {
        config_dir: state.path().to_owned(),
        state_dir: state.path().to_owned(),
        cloud: CLOUD.to_owned(),
    };
    let subids = || ["/etc/subuid", "/etc/subgid"].map(|path| std::fs::read_to_string(path).ok());
    let forwarding = || {
        sh("sysctl net.ipv4.ip_forward net.ipv4.conf.all.accept_redirects \
        net.ipv4.conf.default.forwarding fs.inotify.max_user_instances")
    };
    block_on(async {
        let run_dir = std::path::Path::new(RUN_DIR);
        let records = std::sync::Arc::new(RealRecords::new(paths.records_dir()));
        let settings = RealSettings::new(CLOUD, run_dir, records);
        let network = RealNetwork::new(RUN_DIR);
        let facts = facts::read(&paths.state_dir, Depth::Quick).await;
        let choice = ranges::choose(CLOUD, &BTreeMap::new(), &facts.network).unwrap();
        let spec = HostNetworkSpec {
            cloud: CLOUD.to_owned(),
            networks: choice.networks.networks,
            virtual_address: choice.networks.virtual_address,
            exposed: Vec::new(),
        };
        // Leftovers of a run that was killed.
        network.remove(&spec).await.unwrap();
        settings.release().await.unwrap();
        let (ids, sysctls) = (subids(), forwarding());
        let needs = BTreeMap::from([("fs.inotify.max_user_instances".to_owned(), 8193)]);

        network.apply(&spec).await.unwrap();
        settings.apply(&needs).await.unwrap();
        let ranges = settings.id_ranges(2).await.unwrap();
        assert_eq!(ranges.slots(), 64);
        assert_eq!(network.differs(&spec).await.unwrap(), None);
        assert_eq!(settings.differs(&needs).await.unwrap(), None);
        for text in subids() {
            let text = text.unwrap();
            for line in ranges.0.iter().map(|range| subids::line(*range)) {
                assert_eq!(text.lines().filter(|there| *there == line).count(), 1);
            }
        }
        assert!(snapshot().contains(CLOUD));

        network.remove(&spec).await.unwrap();
        settings.release().await.unwrap();
        assert_eq!(subids(), ids);
        assert_eq!(forwarding(), sysctls);
        assert!(!snapshot().contains(CLOUD));
        let metric = format!("metric {}", ranges::guard_metric(CLOUD));
        assert!(!snapshot().contains(&metric));
    });
}
