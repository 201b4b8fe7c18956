//! The host's network for real: bridges, routes and nftables of this kernel, in a network namespace
//! that plays the host. Needs root.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and talk to each other through pipes"
)]

mod world;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use aio::for_tests::{
    Ability, Depth, Exposed, HostAddress, HostNetwork, HostNetworkSpec, NetworkFacts, NetworkRole,
    Paths, Port, Presence, RUN_DIR, RealNetwork, RealRecords, RealSettings, Settings, facts,
    ranges, subids,
};
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
    HostNetworkSpec::closed(cloud, &choice.networks)
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

fn host_address(spec: &HostNetworkSpec, role: NetworkRole) -> String {
    spec.networks.iter().find(|it| it.role == role).unwrap().host_address.to_string()
}

/// A user's server with an address of the provider network: that, and itself.
fn guest(spec: &HostNetworkSpec) -> (Machine, String) {
    let provider = spec.networks.iter().find(|it| it.role == NetworkRole::Provider).unwrap();
    let (first, _) = ranges::pool(NetworkRole::Provider, provider.range).unwrap();
    let guest = Machine::new();
    let address = format!("{first}/{}", provider.range.prefix);
    guest.plug_into(&provider.bridge, "eth0", "guest", &address);
    guest.sh(&format!("ip route add default via {}", provider.host_address));
    (guest, first.to_string())
}

/// A script that sends one echo request and ends well with its answer.
fn ping(from: &str, to: &str) -> String {
    format!(
        "python3 -c 'import socket
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as out:
    out.settimeout(1)
    out.bind((\"{from}\", 0))
    out.sendto(bytes.fromhex(\"0800f7fd00010001\"), (\"{to}\", 0))
    out.recv(100)' 2>/dev/null"
    )
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
fn a_guest_is_reached_from_the_cloud_and_reaches_of_it_what_is_meant_for_guests() {
    if !in_own_namespace(
        "a_guest_is_reached_from_the_cloud_and_reaches_of_it_what_is_meant_for_guests",
    ) {
        return;
    }
    let world = World::new();
    let mut spec = spec("aio1", &[]);
    spec.guest_ports = [5000].into();
    world.apply(&spec);
    world.route_from_outside(&spec);
    let (container, own) = container(&spec, 20, 120);
    let (balancer, virtual_address) = self::container(&spec, 21, 101);
    let (guest, first) = guest(&spec);
    let server = guest.serve(&format!("{first}:80"));
    let target = format!("{first}:80");

    assert_eq!(connect_here(&target).unwrap(), host_address(&spec, NetworkRole::Provider));
    assert_eq!(
        container.connect(&target).unwrap(),
        "10.0.4.20",
        "by its default route, untranslated"
    );
    assert_eq!(guest.connect(OUTSIDE).unwrap(), "198.51.100.1", "under the host's address");
    let inside = ["0.0.0.0:5000", "0.0.0.0:3306"].map(|port| balancer.serve(port));
    let public = format!("{virtual_address}:5000");
    assert_eq!(guest.connect(&public).unwrap(), first);
    assert!(guest.connect(&format!("{virtual_address}:3306")).is_err());
    assert!(world.outside.connect(&target).is_err());

    // Nothing else of the cloud, by whichever of its networks.
    let others = ["5000", "11211"].map(|port| container.serve(&format!("0.0.0.0:{port}")));
    for attacked in [own.as_str(), "10.0.4.20"] {
        assert!(guest.connect(&format!("{attacked}:5000")).is_err(), "{attacked}");
        assert!(guest.connect(&format!("{attacked}:11211")).is_err(), "{attacked}");
    }
    // Nor under another's address, where the answer would not even have to come back.
    let forged = "172.29.236.121";
    guest.sh(&format!("ip address add {forged}/32 dev eth0"));
    container.sh(&format!(
        "nft 'table inet seen {{ chain those {{ type filter hook prerouting priority 0; \
         ip saddr {forged} counter; }}; }}'"
    ));
    guest.sh(&format!("{} || true", ping(forged, &own)));
    let seen = container.sh("nft list table inet seen");
    assert!(seen.contains("packets 0"), "{seen}");

    // The proof that it is the firewall.
    sh("nft flush chain inet aio_aio1 forwarded");
    assert_eq!(guest.connect(&format!("{own}:11211")).unwrap(), first);

    drop((server, inside, others, container, balancer, guest));
    world.remove(&spec);
}

#[test]
fn nothing_inside_opens_a_connection_to_the_host() {
    if !in_own_namespace("nothing_inside_opens_a_connection_to_the_host") {
        return;
    }
    let world = World::new();
    let closed = spec("aio1", &[]);
    world.apply(&closed);
    let (container, own) = container(&closed, 20, 120);
    let (guest, _) = guest(&closed);
    serve_here("0.0.0.0:5001");
    serve_here("198.51.100.1:53");
    let provider = host_address(&closed, NetworkRole::Provider);
    for address in ["198.51.100.1", "172.29.236.100", "10.0.4.1", &provider] {
        assert!(container.connect(&format!("{address}:5001")).is_err(), "{address}");
        assert!(guest.connect(&format!("{address}:5001")).is_err(), "{address}");
    }
    assert!(container.connect("198.51.100.1:53").is_err());
    assert_eq!(world.outside.connect("198.51.100.1:5001").unwrap(), "198.51.100.2");
    // The other way round, and a ping, as before.
    let server = container.serve(&format!("{own}:5000"));
    assert_eq!(connect_here(&format!("{own}:5000")).unwrap(), "172.29.236.100");
    container.sh(&ping("10.0.4.20", "10.0.4.1"));

    // A host that resolves names for its containers goes on doing so.
    let resolving =
        HostNetworkSpec { resolvers: Some(vec!["198.51.100.1".parse().unwrap()]), ..closed };
    world.apply(&resolving);
    assert_eq!(container.connect("198.51.100.1:53").unwrap(), "10.0.4.20");
    assert!(guest.connect("198.51.100.1:53").is_ok());
    assert!(container.connect("198.51.100.1:5001").is_err());
    assert!(container.connect("172.29.236.100:53").is_err());

    sh("nft flush chain inet aio_aio1 inward");
    assert!(container.connect("172.29.236.100:5001").is_ok(), "it was the firewall");
    drop((server, container, guest));
    world.remove(&resolving);
}

/// Connects from the host as somebody who is not root, by a protocol of that number.
fn connect_by(protocol: u32, address: &str) -> Result<(), String> {
    let (host, port) = address.split_once(':').unwrap();
    let output = Command::new("python3")
        .arg("-c")
        .arg(format!(
            "import os, socket
os.setuid(65534)
end = socket.socket(socket.AF_INET, socket.SOCK_STREAM, {protocol})
end.settimeout(4)
end.connect((\"{host}\", {port}))"
        ))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

fn connect_as_nobody(address: &str) -> Result<(), String> {
    const TCP: u32 = 6;
    connect_by(TCP, address)
}

#[test]
fn a_user_of_the_host_reaches_what_is_meant_for_users() {
    if !in_own_namespace("a_user_of_the_host_reaches_what_is_meant_for_users") {
        return;
    }
    let world = World::new();
    let before = snapshot();
    let mut spec = spec("aio1", &[]);
    let (exposed, door) = ("198.51.100.1".parse().unwrap(), "10.0.4.21".parse().unwrap());
    spec.exposed = vec![Exposed { address: exposed, port: 8080, door }];
    world.apply(&spec);
    let (container, own) = container(&spec, 20, 120);
    let (balancer, virtual_address) = self::container(&spec, 21, 101);
    let (guest, first) = guest(&spec);
    let servers = [
        container.serve("0.0.0.0:5000"),
        balancer.serve("0.0.0.0:8080"),
        guest.serve(&format!("{first}:80")),
    ];
    serve_here("0.0.0.0:5001");
    let closed = [format!("{own}:5000"), "10.0.4.20:5000".to_owned(), format!("{door}:8080")];
    for address in &closed {
        let began = Instant::now();
        assert!(connect_as_nobody(address).is_err(), "{address}");
        assert!(began.elapsed().as_secs() < 3, "nobody waits: {address}");
        // Connections that the kernel opens for a socket of several.
        const MULTIPATH: u32 = 262;
        assert!(connect_by(MULTIPATH, address).is_err(), "{address}");
        assert!(connect_here(address).is_ok(), "{address}");
    }
    let provider = host_address(&spec, NetworkRole::Provider);
    for address in [
        format!("{virtual_address}:8080"),
        "198.51.100.1:8080".to_owned(),
        format!("{first}:80"),
        format!("{provider}:5001"),
        OUTSIDE.to_owned(),
    ] {
        assert_eq!(connect_as_nobody(&address), Ok(()), "{address}");
    }

    // A daemon of the host's that is not root answers whom it may hear.
    let resolver = "198.51.100.1:53";
    let resolving = HostNetworkSpec { resolvers: Some(vec![exposed]), ..spec.clone() };
    world.apply(&resolving);
    let mut daemon = Command::new("python3")
        .arg("-c")
        .arg(
            "import os, socket
with socket.create_server((\"198.51.100.1\", 53)) as server:
    os.setuid(65534)
    connection, peer = server.accept()
    connection.sendall(peer[0].encode())
    # What is sent after the end of a socket has no user.
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)",
        )
        .spawn()
        .unwrap();
    let asked = (0..50).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        container.connect(resolver).ok()
    });
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(asked.as_deref(), Some("10.0.4.20"));

    sh("nft flush chain inet aio_aio1 outward");
    assert_eq!(connect_as_nobody(&closed[0]), Ok(()), "it was the firewall");
    drop((servers, container, balancer, guest));
    world.remove(&resolving);
    assert_unchanged(&before);
}

/// What `container` has plugged in, pinned.
fn pinned(spec: &HostNetworkSpec, numbers: &[(u32, u32)]) -> Vec<Port> {
    let of = |(nat, management): &(u32, u32)| -> Vec<Port> {
        let all = [(NetworkRole::Nat, *nat), (NetworkRole::Management, *management)];
        let address = |(role, number): (NetworkRole, u32)| {
            spec.networks.iter().find(|it| it.role == role).unwrap().range.address(number)
        };
        all.map(|(role, number)| {
            let name = format!("{}{number}{}", &spec.cloud, role.interface());
            Port {
                mac: format!("00:16:3e:00:{:02x}:{:02x}", number % 256, role as u8),
                name,
                addresses: all.map(address).into(),
                switch: false,
                pool: None,
            }
        })
        .into()
    };
    numbers.iter().flat_map(of).collect()
}

/// Announces an address as that of a hardware address, to all on an interface.
fn announce(interface: &str, address: &str, mac: &str) -> String {
    format!(
        "python3 -c 'import socket
mac, address = bytes.fromhex(\"{mac}\".replace(\":\", \"\")), socket.inet_aton(\"{address}\")
everybody = bytes.fromhex(\"ff\" * 6)
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
    out.bind((\"{interface}\", 0))
    out.send(everybody + mac + bytes.fromhex(\"08060001080006040002\")
             + mac + address + everybody + address)'"
    )
}

#[test]
fn a_container_speaks_under_its_own_addresses_alone() {
    if !in_own_namespace("a_container_speaks_under_its_own_addresses_alone") {
        return;
    }
    let world = World::new();
    let before = snapshot();
    let mut spec = spec("aio1", &[]);
    let provider = spec.networks.iter().find(|it| it.role == NetworkRole::Provider).unwrap();
    spec.ports = pinned(&spec, &[(20, 120), (21, 121)]);
    spec.ports.push(Port {
        name: "guest".to_owned(),
        mac: "00:16:3e:00:ff:ff".to_owned(),
        addresses: [provider.range.address(150)].into(),
        switch: true,
        pool: ranges::pool(NetworkRole::Provider, provider.range),
    });
    world.apply(&spec);
    let (one, address) = container(&spec, 20, 120);
    let (two, _) = container(&spec, 21, 121);
    let mac_of = |name: &str| spec.ports.iter().find(|it| it.name == name).unwrap().mac.clone();
    let (nat, management) = (mac_of("aio120eth0"), mac_of("aio1120eth1"));
    let server = one.serve(&format!("{address}:5000"));
    assert!(two.connect(&format!("{address}:5000")).is_err(), "under another hardware address");
    for (machine, number) in [(&one, 120), (&two, 121)] {
        let nat = mac_of(&format!("aio1{}eth0", number - 100));
        let management = mac_of(&format!("aio1{number}eth1"));
        machine.sh(&format!(
            "ip link set dev eth0 address {nat}; ip link set dev eth1 address {management}"
        ));
    }
    assert_eq!(two.connect(&format!("{address}:5000")).unwrap(), "172.29.236.121");
    // By its default route, under the address that was asked.
    two.sh("ip route add 172.29.248.0/22 via 10.0.4.1 src 172.29.236.121");
    two.sh(&ping("172.29.236.121", &host_address(&spec, NetworkRole::Provider)));

    // Nobody believes that it is another: neither by what it announces, nor by what it sends.
    let believed =
        || sh("ip neigh show 172.29.236.120 dev aio1-mgmt; bridge fdb show br aio1-mgmt");
    connect_here(&format!("{address}:5000")).unwrap();
    let right = believed();
    assert!(right.contains(&management) && !right.contains(&nat));
    let own = mac_of("aio1121eth1");
    two.sh(&announce("eth1", &address, &own));
    two.sh(&announce("eth1", &address, &management));
    two.sh(&format!("ip address add {address}/32 dev eth1"));
    two.sh(&format!("{} || true", ping(&address, "172.29.236.100")));
    two.sh(&format!("ip address delete {address}/32 dev eth1"));
    assert_eq!(believed(), right);

    // A switch's port has many hardware addresses, and addresses of users' servers alone.
    let (guest, first) = guest(&spec);
    assert!(guest.connect(OUTSIDE).is_ok());
    guest.sh("ip link set dev eth0 address fa:16:3e:00:00:01");
    assert!(guest.connect(OUTSIDE).is_ok());
    for stolen in ["172.29.248.100", "172.29.248.151", "172.29.236.121"] {
        guest.sh(&announce("eth0", stolen, "fa:16:3e:00:00:01"));
    }
    guest.sh(&announce("eth0", &first, &management));
    let said = sh("ip neigh show dev aio1-prov; bridge fdb show br aio1-prov");
    assert!(!said.contains(&management) && !said.contains("172.29.248.151"), "{said}");

    // The proof that it is the table.
    sh("nft flush table bridge aio_aio1");
    assert!(world.differs(&spec).unwrap().contains("firewall table"));
    two.sh(&announce("eth1", &address, &own));
    assert!(sh("ip neigh show 172.29.236.120 dev aio1-mgmt").contains(&own));
    drop((server, one, two, guest));
    world.remove(&spec);
    assert_unchanged(&before);
}

/// Sends one router advertisement, for a prefix and as the default router, to all on `eth1`.
const ADVERTISE: &str = r#"
import socket, struct, ipaddress
prefix = ipaddress.IPv6Address("2001:db8:66::").packed
packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
packet += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 86400, 0) + prefix
index = socket.if_nametoindex("eth1")
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as out:
    out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    out.sendto(packet, ("ff02::1", 0, 0, index))
"#;

#[test]
fn a_container_does_not_become_the_hosts_router() {
    if !in_own_namespace("a_container_does_not_become_the_hosts_router") {
        return;
    }
    let world = World::new();
    let spec = spec("aio1", &[]);
    world.apply(&spec);
    let (container, _) = container(&spec, 20, 120);
    let believed = || {
        // Without waiting for the answers of nobody to the question whose address it is.
        container.sh("ip -6 address add fe80::66/64 dev eth1 nodad 2>/dev/null || true");
        container.sh(&format!("python3 - <<'END'\n{ADVERTISE}END"));
        std::thread::sleep(std::time::Duration::from_millis(300));
        sh("ip -6 route show; ip -6 address show dev aio1-mgmt")
    };
    assert!(!believed().contains("aio1-mgmt"));

    // Settings and table alone are each enough, and what was turned back is noticed.
    let flush = "nft 'flush chain inet aio_aio1 guard; flush chain inet aio_aio1 inward'";
    sh(flush);
    assert!(!believed().contains("aio1-mgmt"));
    world.apply(&spec);
    let open = "cd /proc/sys/net/ipv6/conf/aio1-mgmt; \
                echo 0 > disable_ipv6; echo 1 > accept_ra; echo 1 > autoconf; \
                ip -6 address add fe80::99/64 dev aio1-mgmt nodad";
    sh(open);
    assert_eq!(world.differs(&spec).unwrap(), "the bridge `aio1-mgmt` would take IPv6");
    let said = believed();
    assert!(!said.contains("default via"), "{said}");
    world.apply(&spec);
    assert!(!believed().contains("aio1-mgmt"));

    // It is believed where neither is.
    sh(open);
    sh(flush);
    let said = believed();
    assert!(said.contains("default via") && said.contains("2001:db8:66:"), "{said}");
    world.apply(&spec);
    assert!(!sh("ip -6 route show").contains("aio1-mgmt"), "and forgotten again");
    drop(container);
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
    let nat = closed.networks.iter().find(|network| network.role == NetworkRole::Nat).unwrap();
    let door = nat.range.address(20);
    open.exposed = vec![Exposed { address: "198.51.100.1".parse().unwrap(), port: 15000, door }];
    world.apply(&open);
    world.route_from_outside(&open);
    let (balancer, virtual_address) = container(&open, 20, 101);
    assert_eq!(virtual_address, open.virtual_address.to_string());
    let (other, _) = container(&open, 21, 121);
    let server = balancer.serve("0.0.0.0:15000");

    // Whoever comes through is seen as who he is, but for those whom the answer would reach directly.
    assert_eq!(world.outside.connect("198.51.100.1:15000").unwrap(), "198.51.100.2");
    assert_eq!(connect_here("198.51.100.1:15000").unwrap(), "198.51.100.1");
    assert_eq!(other.connect("198.51.100.1:15000").unwrap(), nat.host_address.to_string());
    assert!(world.outside.connect(&format!("{virtual_address}:15000")).is_err());
    assert!(world.outside.connect(&format!("{door}:15000")).is_err());

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
    for ability in [Ability::Bridge, Ability::Veth, Ability::NfTables, Ability::BridgeTables] {
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
        let spec = HostNetworkSpec::closed(CLOUD, &choice.networks);
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
