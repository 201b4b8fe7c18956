//! Attacks on a cloud of a few light containers, by those against whom its borders stand: root in a
//! container, a tenant's server, a checkout, a user of the host. One file a border.
//!
//! `AIO_TEST_KEEP_IMAGES=1`, `AIO_TEST_KEEP=1` and `AIO_TEST_ONLY=word` are as in `tests/cloud`;
//! `AIO_TEST_NAME` is the cloud's name where two such tests run beside each other.
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

mod dev_mode;
mod network;
mod row_01_requirements;
mod row_02_terminal;
mod row_03_router;
mod row_04_checkout;
mod row_05_guests;
mod row_06_roots;
mod row_07_neighbours;
mod row_08_outside;
mod row_09_host;
mod row_10_exhaustion;
mod row_11_credentials;
mod row_12_ids;
mod row_13_debugger;
mod row_15_said;

use std::fs;
use std::path::Path;
use std::time::Duration;

use row_08_outside::Outside;
use row_11_credentials::Credentials;
use support::checks::Checks;
use support::cloud::Cloud;
use support::host::Snapshot;
use support::process::shell;

#[test]
#[ignore = "builds a real cloud: scripts/test --cloud"]
fn borders_hold() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this builds a real cloud: run it as root, or run only `scripts/test --unit`"
    );
    let name = std::env::var("AIO_TEST_NAME").unwrap_or_else(|_| "attacked".to_owned());
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), &name);
    cloud.remove_leftovers();
    let before = Snapshot::take();
    let outside = Outside::new(&name);
    outside.make();
    let mut checks = Checks::new();
    let credentials = Credentials::plant();
    if checks.needed("a cloud to attack", || bootstrap(&cloud, &outside)) {
        row_06_roots::checks(&cloud, &mut checks);
        row_12_ids::checks(&cloud, &mut checks);
        row_02_terminal::checks(&cloud, &mut checks);
        row_08_outside::checks(&cloud, &outside, &mut checks);
        row_10_exhaustion::checks(&cloud, &mut checks);
        row_11_credentials::checks(&cloud, &mut checks);
        row_15_said::checks(&cloud, &mut checks);
        row_01_requirements::checks(&cloud, &mut checks);
        row_04_checkout::checks(&cloud, &mut checks);
        row_13_debugger::checks(&cloud, &mut checks);
        row_03_router::checks(&cloud, &mut checks);
        row_05_guests::checks(&cloud, &mut checks);
        row_07_neighbours::checks(&cloud, &mut checks);
        row_09_host::checks(&cloud, &mut checks);
        checks.check("nothing that was tried has harmed it", || {
            cloud.healthy_within(Duration::from_secs(30));
        });
    }
    if std::env::var_os("AIO_TEST_KEEP").is_none() {
        checks.needed("destroy leaves the host as it was", || {
            outside.remove();
            drop(credentials);
            destroy(&cloud, &before);
        });
    }
    checks.finish();
}

fn bootstrap(cloud: &Cloud, outside: &Outside) {
    fs::create_dir_all(&cloud.config_dir).unwrap();
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks/profiles");
    shell(&format!("cp -r '{}' '{}'", profiles.display(), cloud.config_dir.display()));
    cloud.bootstrap(&["--scenario", "attacked", "--expose", &outside.address]);
    cloud.healthy_within(Duration::from_secs(1));
}

fn destroy(cloud: &Cloud, before: &Snapshot) {
    let keep = std::env::var_os("AIO_TEST_KEEP_IMAGES").is_some();
    let images: &[&str] = if keep { &["--keep-images"] } else { &[] };
    cloud.run(&[&["destroy", "--yes"], images].concat()).ok();
    assert!(!cloud.config_dir.join("tls").exists(), "keys outlive their cloud");
    fs::remove_dir_all(&cloud.config_dir).unwrap();
    if keep {
        return;
    }
    fs::remove_dir(cloud.state_dir.parent().unwrap()).unwrap();
    let differences = Snapshot::take().differences(before);
    assert!(differences.is_empty(), "the host is not as before:\n{}", differences.join("\n"));
}
