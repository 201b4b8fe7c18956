//! Root in a tenant's server reaches of the cloud the public endpoints and nothing else.

use aio::for_tests::NetworkRole;

use crate::network::{Guest, bridge, host_on, service_of_the_host};
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::shell;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("a tenant's server reaches public endpoints alone", || {
        let guest = Guest::new(cloud);
        let balancer = cloud.address("haproxy", 1);
        let virtual_address = virtual_address(cloud);
        assert!(guest.opens(&virtual_address, 11212), "the public endpoint");
        for (address, port, what) in [
            (cloud.address("cache", 1), 11211, "a service behind the balancer"),
            (virtual_address, 11211, "an endpoint that is not public"),
            (balancer, 1936, "the balancer's own page"),
        ] {
            assert!(!guest.opens(&address, port), "{what}: {address}:{port}");
        }
        let (_listener, port) = service_of_the_host();
        for role in NetworkRole::ALL {
            let host = host_on(cloud, role);
            let address = host.split('/').next().unwrap();
            assert!(!guest.opens(address, port), "the host at {address}");
        }
    });
}

/// The second address of the balancer's management interface.
pub fn virtual_address(cloud: &Cloud) -> String {
    // It also listens where those outside come in.
    let listens = cloud.inside("haproxy", "ss -Hltn sport = :11212 | awk '{ print $4 }'").ok();
    let bridge = bridge(cloud, NetworkRole::Management);
    let addresses = listens.stdout.lines().map(|line| line.rsplit_once(':').unwrap().0);
    let mut managed =
        addresses.filter(|address| shell(&format!("ip -4 route get {address}")).contains(&bridge));
    managed.next().expect("the virtual address is served").to_owned()
}
