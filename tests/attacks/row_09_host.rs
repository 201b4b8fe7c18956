//! Nobody in a container opens a connection to the host itself.

use aio::for_tests::NetworkRole;

use crate::network::{host_on, opens, service_of_the_host};
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::shell;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("a container opens no connection to the host", || {
        let (_listener, port) = service_of_the_host();
        let own = NetworkRole::ALL.map(|role| host_on(cloud, role));
        let outside = shell("ip -4 route get 192.0.2.1 | sed -n 's/.* src \\([0-9.]*\\).*/\\1/p'");
        for host in own.iter().map(String::as_str).chain(outside.split_whitespace()) {
            let address = host.split('/').next().unwrap();
            assert!(!opens(cloud, "cache/1", address, port), "the host at {address}");
            shell(&format!("bash -c 'exec 3<>/dev/tcp/{address}/{port}'"));
        }
    });
}
