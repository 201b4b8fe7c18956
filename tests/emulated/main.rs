//! A host as users have it, which is not the one that runs this: Debian with systemd, control groups
//! of version 2, AppArmor, LXC's own bridge and nothing but the package `aio` besides. It is made
//! from distribution packages, boots under QEMU's emulation, and is used as its owner would.
//!
//! The same program plays both parts: here it makes the host's disks and listens to its serial line,
//! and in there, where `AIO_TEST_INSIDE` is set, it is what runs at every boot ([`inside`]).
//!
//! Emulation is twenty times slower than the machine it runs on. So the cloud is two light
//! containers (`light/`), whose layers are built here and carried in. Where `AIO_TEST_CLOUD` is set it
//! is the scenario `minimal` instead, until a token is issued, which takes ten minutes or more.
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

mod disks;
mod inside;
mod machine;

use std::path::Path;
use std::time::{Duration, Instant};

use disks::Disks;
use machine::Machine;

/// Everything that is made for the test stands here.
const PLACE: &str = "/var/lib/aioemulated-test";

#[test]
#[ignore = "boots a whole host: scripts/test --emulated-host"]
fn a_host_as_users_have_it() {
    if let Ok(part) = std::env::var("AIO_TEST_INSIDE") {
        return inside::run(&part);
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "this makes the disk of a host: run it as root, or run only `scripts/test --unit`"
    );
    let release = std::env::var("AIO_TEST_RELEASE").unwrap_or_else(|_| "debian-13".to_owned());
    let whole = std::env::var_os("AIO_TEST_CLOUD").is_some();
    let used = if whole { &inside::CLOUD } else { &inside::LIGHT };
    let started = Instant::now();
    let disks = Disks::make(Path::new(PLACE), &release, used);
    println!("disks of {release} made in {:.1} s", started.elapsed().as_secs_f64());

    let mut report = Vec::new();
    // Cut off in the middle of its first bootstrap.
    let mut machine = Machine::boot(&disks, used);
    machine.until(inside::CUT_ME, used.limit);
    if used.light {
        std::thread::sleep(Duration::from_secs(6));
    }
    report.extend(machine.kill());
    // It reboots by itself if that is to be tried, and powers off in the end.
    let machine = Machine::boot(&disks, used);
    report.extend(machine.finish(used.limit));

    let (checks, rest): (Vec<String>, Vec<String>) =
        report.into_iter().partition(|line| line.starts_with("check "));
    println!("\n{release}, {:.0} s in all:", started.elapsed().as_secs_f64());
    for check in &checks {
        println!("  {check}");
    }
    let ends = rest.iter().filter(|line| line.ends_with(" checks, 0 failed")).count();
    assert!(
        ends == used.boots_with_checks && checks.iter().all(|line| line.contains("... ok")),
        "{}",
        rest.join("\n")
    );
    disks.remove();
}
