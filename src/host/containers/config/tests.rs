use std::path::PathBuf;

use super::*;
use crate::config::network::NetworkRole;

fn container() -> Container {
    Container {
        name: "aio1_galera_container-0a1b2c3d".to_owned(),
        kind: "galera".to_owned(),
        service: "galera".to_owned(),
        member: 1,
        hostname: "aio1-galera-container-0a1b2c3d".to_owned(),
        machine_id: "0123456789abcdef0123456789abcdef".to_owned(),
        layers: vec!["top".to_owned(), "base".to_owned()],
        renewed: None,
        privileged: None,
        id_slot: 0,
        interfaces: vec![
            Interface {
                role: NetworkRole::Nat,
                bridge: "aio1br-nat".to_owned(),
                host_name: "aio1v0a1b0".to_owned(),
                mac: "00:16:3e:01:02:03".to_owned(),
                addresses: vec![("10.0.3.10".parse().unwrap(), 24)],
                configured: true,
                gateway: Some("10.0.3.1".parse().unwrap()),
            },
            Interface {
                role: NetworkRole::Management,
                bridge: "aio1br-mgmt".to_owned(),
                host_name: "aio1v0a1b1".to_owned(),
                mac: "00:16:3e:01:02:04".to_owned(),
                addresses: vec![
                    ("172.29.236.10".parse().unwrap(), 22),
                    ("172.29.236.101".parse().unwrap(), 22),
                ],
                configured: true,
                gateway: None,
            },
        ],
        devices: Vec::new(),
        nesting: false,
        memory_limit_mib: 1024,
        cpu_weight: None,
        data: Vec::new(),
        shared: Vec::new(),
        environment: BTreeMap::new(),
        units: Vec::new(),
        identity_files: BTreeMap::new(),
    }
}

fn rendered(id_range: Option<(u32, u32)>, features: &HostFeatures) -> String {
    rendered_of(&container(), &[], id_range, features)
}

fn rendered_of(
    container: &Container,
    device_rules: &[String],
    id_range: Option<(u32, u32)>,
    features: &HostFeatures,
) -> String {
    let root = Root {
        layers: Vec::new(),
        writable: PathBuf::from("/s/private/x"),
        merged: PathBuf::from("/s/roots/x/root"),
        id_range,
        binds: Vec::new(),
    };
    render(&Definition {
        container,
        root: &root,
        shared: Path::new("/s/shared/x"),
        features,
        device_rules,
        record: Path::new("/s/it's/x.json"),
        binary: Path::new("/s/bin/aio"),
        directory: Path::new("/var/lib/lxc/x"),
    })
}

fn legacy_host() -> HostFeatures {
    HostFeatures {
        patience: 1,
        unified_cgroups: false,
        tasks_limit: true,
        swap_limit: true,
        apparmor: false,
        legacy_cgroup_environment: BTreeMap::from([("FORCE".to_owned(), "1".to_owned())]),
    }
}

#[test]
fn an_unprivileged_container_on_a_legacy_host() {
    insta::assert_snapshot!(rendered(Some((100_000, 65_536)), &legacy_host()));
}

#[test]
fn a_privileged_container_on_a_host_as_users_have_it() {
    let features = HostFeatures { unified_cgroups: true, apparmor: true, ..legacy_host() };
    insta::assert_snapshot!(rendered(None, &features));
}

/// A container that takes an interface over, opens a device and makes namespaces.
fn switch() -> Container {
    let mut switch = container();
    switch.interfaces[1].configured = false;
    switch.devices = vec!["/dev/net/tun".to_owned()];
    switch.nesting = true;
    switch
}

#[test]
fn what_others_wait_for_has_a_larger_share_of_the_processors() {
    let weighty = Container { cpu_weight: Some(400), ..container() };
    let text = rendered_of(&weighty, &[], None, &legacy_host());
    assert!(text.contains("\nlxc.cgroup.cpu.shares = 4096\n"), "{text}");
    let features = HostFeatures { unified_cgroups: true, ..legacy_host() };
    let text = rendered_of(&weighty, &[], None, &features);
    assert!(text.contains("\nlxc.cgroup2.cpu.weight = 400\n"), "{text}");
}

#[test]
fn a_service_that_switches_packets_gets_a_device_and_an_interface_without_address() {
    let text = rendered_of(&switch(), &[], Some((100_000, 65_536)), &legacy_host());
    let plain = rendered(Some((100_000, 65_536)), &legacy_host());
    let more: Vec<&str> = text.lines().filter(|line| !plain.contains(line)).collect();
    let less: Vec<&str> = plain.lines().filter(|line| !text.contains(line)).collect();
    assert_eq!(
        more,
        [
            "lxc.mount.entry = proc dev/.lxc/proc proc create=dir,optional 0 0",
            "lxc.mount.entry = sys dev/.lxc/sys sysfs create=dir,optional 0 0",
            "lxc.mount.entry = /s/shared/x/devices/dev/net/tun dev/net/tun none bind,create=file,optional 0 0",
        ]
    );
    assert_eq!(
        less,
        ["lxc.net.1.ipv4.address = 172.29.236.10/22", "lxc.net.1.ipv4.address = 172.29.236.101/22",]
    );
}

#[test]
fn the_control_group_of_a_privileged_container_lets_its_devices_through() {
    let rules = ["c 10:200 rwm".to_owned()];
    let text = rendered_of(&switch(), &rules, None, &legacy_host());
    assert!(text.contains("\nlxc.cgroup.devices.allow = c 10:200 rwm\n"), "{text}");
    assert!(!text.contains("dev/.lxc"), "{text}");
    let features = HostFeatures { unified_cgroups: true, ..legacy_host() };
    let text = rendered_of(&switch(), &rules, None, &features);
    assert!(text.contains("\nlxc.cgroup2.devices.allow = c 10:200 rwm\n"), "{text}");
}
