//! The whole cloud on this host: every service (scenario `full`), used as its users do, before
//! and after what befalls it.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and reports as it goes"
)]

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod chance;

use std::fs;
use std::time::{Duration, Instant};

use support::checks::Checks;
use support::cloud::Cloud;
use support::host::Snapshot;
use support::process;

#[test]
#[ignore = "builds the whole cloud: scripts/test --whole"]
fn the_whole_cloud_keeps_its_promises() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this builds a real cloud: run it as root, or run only `scripts/test --unit`"
    );
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), "aiowhole");
    cloud.remove_leftovers();
    fs::create_dir_all(cloud.state_dir.parent().unwrap()).unwrap();
    let before = Snapshot::take();
    let mut checks = Checks::new();
    if checks.needed("bootstrap of everything", || bootstrap(&cloud)) {
        checks.check("every service does what its users want", || verify(&cloud, &[]));
        checks.check("again, cleaned up after itself", || verify(&cloud, &[]));
        checks.check("the dashboard in a browser", || browser::sees_a_server(&cloud));
        checks.check("no image is taken while the disk is short", || images_wait(&cloud));
        checks.check("made anew: glance, cinder_volume, nova_conductor", || rebuilt(&cloud));
        checks
            .check("a server, its volume and an object outlive a power cut", || power_cut(&cloud));
        checks.check("services go and fake hypervisors come", || services_change(&cloud));
    }
    if std::env::var_os("AIO_TEST_KEEP").is_none() {
        checks.needed("destroy leaves the host as it was", || destroy(&cloud, &before));
    }
    checks.finish();
}

/// As if more were to be left than any disk has.
fn images_wait(cloud: &Cloud) {
    let look =
        |mark: &str| cloud.inside("glance", &format!("/usr/local/sbin/glance-reserve {mark}"));
    cloud.inside("glance", "systemctl stop glance-reserve.timer").ok();
    look("999999999").ok();
    let create =
        "echo data | openstack image create short --disk-format raw --container-format bare";
    let refused = || cloud.inside("utility", create).all().contains("403").then_some(());
    process::eventually(Duration::from_secs(60), refused, "an upload is refused");
    look("").ok();
    cloud.inside("glance", "systemctl start glance-reserve.timer").ok();
    cloud.healthy_within(Duration::from_secs(60));
    verify(cloud, &["glance"]);
}

fn bootstrap(cloud: &Cloud) {
    let run = cloud.bootstrap(&["--scenario", "full"]);
    println!("  bootstrap took {:.1} s, {} steps", run.0.elapsed.as_secs_f64(), run.changed());
    cloud.healthy_within(Duration::from_secs(60));
    let again = cloud.bootstrap(&[]);
    println!("  nothing to do took {:.1} s", again.0.elapsed.as_secs_f64());
    assert_eq!(again.changed(), 0, "{:?}", again.changed_steps());
}

/// `aio verify`: nothing fails, and nothing is left out.
fn verify(cloud: &Cloud, services: &[&str]) {
    let arguments = [&["verify", "--output", "json"], services].concat();
    let finished = process::run(cloud.command(&arguments), Duration::from_secs(600));
    let verified = finished.json();
    let checks = verified["checks"].as_array().unwrap();
    assert!(!checks.is_empty());
    for check in checks {
        println!(
            "  {} {}: {} ({} s)",
            check["service"], check["check"], check["result"], check["seconds"]
        );
    }
    let failed: Vec<_> = checks.iter().filter(|check| check["result"] != "pass").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(finished.status, 0, "{}", finished.stderr);
}

fn rebuilt(cloud: &Cloud) {
    for kind in ["glance", "cinder_volume", "nova_conductor"] {
        let started = Instant::now();
        cloud.ok(&["rebuild", kind]);
        println!("  {kind}: {:.1} s", started.elapsed().as_secs_f64());
    }
    cloud.healthy_within(Duration::from_secs(30));
    verify(cloud, &["glance", "cinder", "nova"]);
}

/// A server with a volume, and an object, before all containers die at once; the same after it.
const MAKE: &str = "
openstack server create --flavor tiny --image guest --network private --wait kept >/dev/null
openstack volume create --size 1 kept >/dev/null
until [ $(openstack volume show -f value -c status kept) = available ]; do sleep 1; done
openstack server add volume kept kept >/dev/null
openstack floating ip create public -f value -c floating_ip_address >/root/address
openstack server add floating ip kept $(cat /root/address)
openstack container create kept >/dev/null
echo precious >/root/object
openstack object create kept /root/object >/dev/null
";
const LOOK: &str = "
until curl -sf -m 2 http://$(cat /root/address)/ >/dev/null; do sleep 1; done
[ $(openstack server show -f value -c status kept) = ACTIVE ]
[ $(openstack volume show -f value -c status kept) = in-use ]
[ $(openstack object save --file - kept /root/object) = precious ]
";
const REMOVE: &str = "
openstack server delete --wait kept
openstack volume delete kept
openstack object delete kept /root/object
openstack container delete kept
openstack floating ip delete $(cat /root/address)
";

fn power_cut(cloud: &Cloud) {
    let inside = |script: &str, seconds| {
        let arguments = ["attach", "demo", "--", "bash", "-euo", "pipefail", "-c", script];
        process::run(cloud.command(&arguments), Duration::from_secs(seconds)).ok();
    };
    inside(MAKE, 240);
    inside(LOOK, 120);
    cloud.cut_power();
    let started = Instant::now();
    process::run(cloud.command(&["start"]), Duration::from_secs(300)).ok();
    cloud.healthy_within(Duration::from_secs(120));
    println!("  healthy {:.1} s after the power cut", started.elapsed().as_secs_f64());
    inside(LOOK, 240);
    println!("  the server answers {:.1} s after it", started.elapsed().as_secs_f64());
    inside(REMOVE, 120);
}

/// What is not needed gives its memory to compute services that load the control plane.
fn services_change(cloud: &Cloud) {
    let before = cloud.lxc_names().len();
    let options = ["--without", "barbican,designate", "--with", "nova_fake"];
    let options = [&options[..], &["--set", "nova_fake.units=5", "--yes"]].concat();
    cloud.bootstrap(&options);
    assert_eq!(cloud.lxc_names().len(), before - 2 + 1);
    verify(cloud, &["nova"]);
    assert_eq!(cloud.bootstrap(&[]).changed(), 0, "what was asked for once is kept");
}

fn destroy(cloud: &Cloud, before: &Snapshot) {
    process::run(cloud.command(&["destroy", "--yes"]), Duration::from_secs(300)).ok();
    assert!(!cloud.state_dir.exists(), "the state directory is gone");
    let _ = fs::remove_dir_all(&cloud.config_dir);
    let differences = Snapshot::take().differences(before);
    assert!(differences.is_empty(), "the host is not as before:\n{}", differences.join("\n"));
    fs::remove_dir(cloud.state_dir.parent().unwrap()).unwrap();
}
