//! The client's side: a configuration with which `ssh aio-heat_engine` works, without a question.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{host_key, names};
use crate::model::paths::Paths;
use crate::state::topology::Topology;

/// The cloud whose hosts are called `aio-…`; those of others begin with their cloud's name.
const FIRST_CLOUD: &str = "aio1";

/// The configuration for a gateway that listens there.
pub fn render(paths: &Paths, topology: &Topology, listen: SocketAddr) -> String {
    let prefix = if paths.cloud == FIRST_CLOUD { "aio" } else { &paths.cloud };
    let mut text = format!("# The containers of cloud `{}`, by `aio gateway`.\n", paths.cloud);
    let mut all = Vec::new();
    for container in topology.containers() {
        let user = names::user_name(topology, container);
        let mut hosts = vec![format!("{prefix}-{user}")];
        // People write `-` and `_` as it comes.
        if user.contains('_') {
            hosts.push(format!("{prefix}-{}", user.replace('_', "-")));
        }
        hosts.push(container.name.clone());
        // The full name, so that a container that is added later does not make it ambiguous.
        let _ = write!(text, "\nHost {}\n    User {}\n", hosts.join(" "), container.name);
        all.extend(hosts);
    }
    if all.is_empty() {
        return text;
    }
    let (host, port) = (reachable(listen.ip()), listen.port());
    let (alias, known) = (host_key::alias(paths), paths.known_hosts_file());
    let _ = write!(
        text,
        "\nHost {}\n    HostName {host}\n    Port {port}\n    HostKeyAlias {alias}\n    \
         UserKnownHostsFile \"{}\"\n    StrictHostKeyChecking yes\n",
        all.join(" "),
        known.display()
    );
    text
}

/// Whoever listens everywhere is reached on the loopback.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::tests::container;

    fn rendered(cloud: &str, listen: &str) -> String {
        let paths =
            Paths { config_dir: "/etc/aio".into(), state_dir: "/s".into(), cloud: cloud.into() };
        let labels = ["galera/1", "galera/2", "heat_engine/1"];
        let topology = Topology::new(labels.map(container).to_vec());
        render(&paths, &topology, listen.parse().unwrap())
    }

    #[test]
    fn every_container_has_its_names_and_all_share_the_address() {
        insta::assert_snapshot!(rendered("aio1", "127.0.0.1:2222"));
    }

    #[test]
    fn another_cloud_has_names_of_its_own_and_an_address_that_leads_somewhere() {
        let text = rendered("dev2", "0.0.0.0:2200");
        assert!(text.contains("Host dev2-galera-2 test_galera_container-2\n"), "{text}");
        assert!(text.contains("    HostName 127.0.0.1\n    Port 2200\n"), "{text}");
        assert!(text.contains("HostKeyAlias aio-gateway-dev2\n"), "{text}");
    }
}
