//! Root in a container speaks as nobody else, and reaches of its neighbours what they let it reach.

use aio::for_tests::NetworkRole;

use crate::network::{bridge, connection, in_network_of, opens};
use crate::row_05_guests::virtual_address;
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::shell;

/// Announces an address as one's own, to all on `eth1`.
const ANNOUNCE: &str = r#"
import socket, sys, time
address = socket.inet_aton(sys.argv[1])
mac = bytes.fromhex(open("/sys/class/net/eth1/address").read().strip().replace(":", ""))
if len(sys.argv) > 2:
    mac = bytes.fromhex(sys.argv[2].replace(":", ""))
everybody = b"\xff" * 6
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
    out.bind(("eth1", 0))
    for operation in (1, 2) * 10:
        out.send(everybody + mac + b"\x08\x06" + b"\0\x01\x08\0\x06\x04" + bytes([0, operation])
                 + mac + address + everybody + address)
        time.sleep(0.02)
"#;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("a container does not become the virtual address", || {
        let address = virtual_address(cloud);
        let dev = bridge(cloud, NetworkRole::Management);
        let neighbour = || {
            shell(&format!(
                "{} || true; ip neigh show {address} dev {dev}",
                connection(&address, 11212)
            ))
        };
        let known = |said: &str| said.split("lladdr ").nth(1).map(|mac| mac[..17].to_owned());
        let before = known(&neighbour()).expect("the host knows the virtual address");
        for of_whom in ["", before.as_str()] {
            let script = format!("python3 - {address} {of_whom} <<'END'\n{ANNOUNCE}END\n");
            cloud.inside("cache/1", &script).ok();
            let after = known(&shell(&format!("ip neigh show {address} dev {dev}")));
            assert_eq!(after.as_ref(), Some(&before), "the host was told another");
            let fdb = shell(&format!("bridge fdb show br {dev} | grep -i {before} || true"));
            // `2: eth1@if57: …`: the other end's number.
            let link = in_network_of(cloud, "cache", 1, "ip -oneline link show eth1");
            let number = link.split("@if").nth(1).and_then(|rest| rest.split(':').next()).unwrap();
            let port =
                shell(&format!("ip -oneline link | grep ^{number}: | cut -d: -f2 | cut -d@ -f1"));
            assert!(!fdb.contains(port.trim()), "the bridge believes it: {fdb}");
        }
    });
    checks.check("a container sends nothing under another's address", || {
        let forged = virtual_address(cloud);
        let target = cloud.address("cache", 2);
        in_network_of(
            cloud,
            "cache",
            2,
            &format!(
                "nft \"table ip seen {{ chain those {{ type filter hook prerouting priority -300; \
                 ip saddr {forged} icmp type echo-request counter; }}; }}\""
            ),
        );
        let script = format!(
            "ip address add {forged}/32 dev eth1; \
             ping -c 2 -W 1 -I {forged} {target} >/dev/null || true; \
             ip address delete {forged}/32 dev eth1"
        );
        cloud.inside("cache/1", &script).ok();
        let seen =
            in_network_of(cloud, "cache", 2, "nft list table ip seen; nft delete table ip seen");
        assert!(seen.contains("packets 0"), "{seen}");
    });
    checks.check("a container lets in those alone who use it", || {
        let neighbour = cloud.address("cache", 2);
        assert!(!opens(cloud, "cache/1", &neighbour, 11211), "a member that is no client");
        assert!(
            !opens(cloud, "cache/1", &cloud.address("haproxy", 1), 1936),
            "the balancer's page"
        );
        assert!(opens(cloud, "haproxy", &neighbour, 11211), "the balancer");
        assert!(opens(cloud, "cache/1", &virtual_address(cloud), 11211), "through the balancer");
        // Again after a start by LXC's own tool.
        let name = cloud.container("cache", 2);
        shell(&format!("lxc-stop -n {name} && lxc-start -n {name}"));
        crate::support::process::eventually(
            std::time::Duration::from_secs(30),
            || opens(cloud, "haproxy", &neighbour, 11211).then_some(()),
            "the balancer reaches it again",
        );
        assert!(!opens(cloud, "cache/1", &neighbour, 11211), "after a start");
    });
}
