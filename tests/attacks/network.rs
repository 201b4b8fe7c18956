//! What attackers on the cloud's networks are tried with.

use std::net::TcpListener;
use std::process::Command;

use aio::for_tests::{NetworkRole, bridge_name};

use crate::support::cloud::Cloud;
use crate::support::process::shell;

/// The bridge of that role.
pub fn bridge(cloud: &Cloud, role: NetworkRole) -> String {
    bridge_name(&cloud.name, role)
}

/// The host's own address and prefix on the bridge of that role: `172.29.248.100/22`.
pub fn host_on(cloud: &Cloud, role: NetworkRole) -> String {
    let bridge = bridge(cloud, role);
    let said = shell(&format!("ip -4 -oneline address show dev {bridge}"));
    said.split_whitespace().nth(3).unwrap().to_owned()
}

/// A script that ends well when a connection opens.
pub fn connection(address: &str, port: u16) -> String {
    format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}'")
}

/// Whether a container opens a connection.
pub fn opens(cloud: &Cloud, container: &str, address: &str, port: u16) -> bool {
    cloud.inside(container, &connection(address, port)).status == 0
}

/// The namespace of a container's network, for programs of the host.
pub fn in_network_of(cloud: &Cloud, kind: &str, member: u64, script: &str) -> String {
    let name = cloud.container(kind, member);
    let pid = shell(&format!("lxc-info -n {name} -pH"));
    shell(&format!("nsenter --net=/proc/{}/ns/net sh -euc '{script}'", pid.trim()))
}

/// Something of the host's own that listens on all its addresses, while this lives: its port.
pub fn service_of_the_host() -> (TcpListener, u16) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A user's server: a network namespace on the provider network, with an address of the pool.
pub struct Guest {
    name: String,
}

impl Guest {
    pub fn new(cloud: &Cloud) -> Self {
        let guest = Self { name: format!("{}-guest", cloud.name) };
        guest.remove();
        let host = host_on(cloud, NetworkRole::Provider);
        let (gateway, prefix) = host.split_once('/').unwrap();
        let octets: Vec<u8> = gateway.split('.').map(|part| part.parse().unwrap()).collect();
        // In the upper half of the range, far from what else takes addresses there.
        let own = format!("{}.{}.{}.77", octets[0], octets[1], octets[2] | 3);
        let (name, bridge) = (&guest.name, bridge(cloud, NetworkRole::Provider));
        shell(&format!(
            "ip netns add {name}; \
             ip link add name aioguest0 type veth peer name eth0 netns {name}; \
             ip link set dev aioguest0 master {bridge} up; \
             ip -n {name} address add {own}/{prefix} dev eth0; \
             ip -n {name} link set dev lo up; ip -n {name} link set dev eth0 up; \
             ip -n {name} route add default via {gateway}"
        ));
        guest
    }

    /// Whether it opens a connection.
    pub fn opens(&self, address: &str, port: u16) -> bool {
        let script = connection(address, port);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "sh", "-c", &script]);
        command.output().unwrap().status.success()
    }

    fn remove(&self) {
        let name = &self.name;
        shell(&format!(
            "ip link delete dev aioguest0 2>/dev/null || true; \
             ip netns delete {name} 2>/dev/null || true"
        ));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.remove();
    }
}
