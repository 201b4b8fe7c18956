//! A whole cloud on this host, and what was promised of it, one by one.
//!
//! One bootstrap serves all checks. The cloud has a name, directories and, where the defaults are
//! taken, ranges of its own. `AIO_TEST_KEEP_IMAGES=1` keeps the image layers from one run to the
//! next, `AIO_TEST_KEEP=1` the cloud itself, and `AIO_TEST_ONLY=word` runs the checks that have the
//! word in their name.
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

mod access;
mod changing;
mod dev;
mod faults;
mod from_git;
mod interrupted;
mod refused;
mod release;
mod seeing;
mod support_bundle;
mod tls;
mod upgrade;

use std::fs;
use std::time::Duration;

use support::checks::Checks;
use support::cloud::Cloud;
use support::host::Snapshot;

#[test]
#[ignore = "builds a real cloud: scripts/test --cloud"]
fn a_cloud_keeps_its_promises() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this builds a real cloud: run it as root, or run only `scripts/test --unit`"
    );
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), "aiotest");
    cloud.remove_leftovers();
    fs::create_dir_all(cloud.state_dir.parent().unwrap()).unwrap();
    let before = Snapshot::take();
    let mut checks = Checks::new();
    if checks.needed("bootstrap from nothing", || bootstrap(&cloud)) {
        seeing::checks(&cloud, &mut checks);
        refused::checks(&cloud, &mut checks);
        release::checks(&cloud, &mut checks);
        access::checks(&cloud, &mut checks);
        support_bundle::checks(&cloud, &mut checks);
        changing::checks(&cloud, &mut checks);
        dev::checks(&cloud, &mut checks);
        faults::checks(&cloud, &mut checks);
        interrupted::checks(&cloud, &mut checks);
        tls::checks(&cloud, &mut checks);
    }
    if std::env::var_os("AIO_TEST_KEEP").is_none() {
        checks.needed("destroy leaves the host as it was", || destroy(&cloud, &before));
    }
    checks.finish();
}

/// `--prepare-only` first, so that a secret can be chosen before anything is built.
fn bootstrap(cloud: &Cloud) {
    let prepared = cloud.run(&["bootstrap", "--scenario", "control", "--prepare-only"]).ok();
    assert!(cloud.lxc_names().is_empty(), "only files: {}", prepared.all());
    assert!(cloud.config_dir.join("cloud.yml").exists());
    cloud.edit_secret("keystone_auth_admin_password", "Chosen: by $me & \"you\" %40/@#");
    let run = cloud.bootstrap(&[]);
    println!("bootstrap took {:.1} s, {} steps", run.0.elapsed.as_secs_f64(), run.changed());
    cloud.healthy_within(Duration::from_secs(1));
    assert_eq!(cloud.lxc_names().len(), 14, "1+3+3+1+2+1+1+1+1 containers");
    assert_eq!(cloud.secrets()["keystone_auth_admin_password"], "Chosen: by $me & \"you\" %40/@#");
}

fn destroy(cloud: &Cloud, before: &Snapshot) {
    let own = cloud.config_dir.join("user_variables.yml");
    fs::write(&own, "memcached_cache_mib: 32\n").unwrap();
    let finished = cloud.run(&["destroy", "--yes"]).ok();
    assert!(finished.all().contains("user_variables.yml"), "what is kept is named");
    assert!(own.exists(), "what the user wrote is kept");
    assert!(!cloud.config_dir.join("user_secrets.yml").exists());
    assert!(!cloud.state_dir.exists(), "the state directory is gone");
    fs::remove_dir_all(&cloud.config_dir).unwrap();
    let differences = Snapshot::take().differences(before);
    assert!(differences.is_empty(), "the host is not as before:\n{}", differences.join("\n"));
    fs::remove_dir(cloud.state_dir.parent().unwrap()).unwrap();
    let again = cloud.run(&["status"]);
    assert_eq!(again.status, 6, "there is no such cloud: {}", again.all());
}
