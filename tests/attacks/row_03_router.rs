//! Root in a container becomes nobody's IPv6 router, and gives nobody an address.

use aio::for_tests::NetworkRole;

use crate::network::bridge;
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::shell;

/// Advertises a prefix and itself as the default router, to all on `eth1`.
const ADVERTISE: &str = r#"
import socket, struct
packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
packet += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 86400, 0)
packet += socket.inet_pton(socket.AF_INET6, "2001:db8:66::")
index = socket.if_nametoindex("eth1")
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as out:
    out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    out.sendto(packet, ("ff02::1", 0, 0, index))
"#;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("a container's router advertisement is believed by nobody", || {
        let script = format!(
            "ip -6 address add fe80::66/64 dev eth1 nodad 2>/dev/null || true\n\
             python3 - <<'END'\n{ADVERTISE}END\n\
             sleep 0.5\n"
        );
        cloud.inside("cache/1", &script).ok();
        let of_host = shell(&format!(
            "ip -6 route show dev {0}; ip -6 address show dev {0}",
            bridge(cloud, NetworkRole::Management)
        ));
        assert!(!of_host.contains("2001:db8:66"), "the host has an address:\n{of_host}");
        assert!(!of_host.contains("default via"), "the host has a router:\n{of_host}");
        let of_sibling = cloud.inside("cache/2", "ip -6 route show; ip -6 address show").ok();
        assert!(!of_sibling.stdout.contains("2001:db8:66"), "{}", of_sibling.stdout);
    });
}
