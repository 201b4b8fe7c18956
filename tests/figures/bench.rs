//! The figures: what this cloud takes and how long things take on this host, against what is to be
//! reached. Run by `scripts/bench`, on a cloud of its own.
//!
//! Every sample is written to a file as it is taken; the table shows medians and the worst.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement fails by panicking, and reports as it goes"
)]

#[path = "../support/mod.rs"]
mod support;

mod dev;
mod gateway;
mod lost;
mod table;
mod upgrade;
mod usage;
mod whole;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use support::cloud::Cloud;
use support::faults;
use support::process::{Finished, run};
use table::{Table, Target};

fn main() {
    // `cargo bench` passes flags of its own.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    assert!(rustix::process::geteuid().is_root(), "this builds a real cloud: run it as root");
    let mut table = Table::new(wanted);
    if !table.is_only(&[whole::WORD, upgrade::WORD]) {
        control(&mut table);
    }
    whole::measure(&mut table);
    upgrade::measure(&mut table);
    if !table.print() {
        std::process::exit(1);
    }
}

/// The figures of the scenario `control`.
fn control(table: &mut Table) {
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), "aiobench");
    prepare(&cloud, table);
    quick_commands(&cloud, table);
    rebuilds(&cloud, table);
    usage::measure(&cloud, table);
    dev::measure(&cloud, table);
    gateway::measure(&cloud, table);
    lost::measure(&cloud, table);
    returns(&cloud, table);
    leave(&cloud);
}

/// Removes the cloud, unless it is to be kept.
fn leave(cloud: &Cloud) {
    if std::env::var_os("AIO_TEST_KEEP").is_none() {
        limited(cloud.command(&["destroy", "--yes"])).ok();
        let _ = fs::remove_dir_all(cloud.state_dir.parent().unwrap());
    }
}

fn limited(command: Command) -> Finished {
    run(command, Duration::from_secs(900))
}

/// Whole bootstraps, the first with nothing cached; they leave a healthy cloud.
fn prepare(cloud: &Cloud, table: &mut Table) {
    if std::env::var_os("AIO_TEST_KEEP_IMAGES").is_none() {
        cloud.remove_leftovers();
        fs::create_dir_all(cloud.state_dir.parent().unwrap()).unwrap();
        let cold = cloud.bootstrap(&["--scenario", "control"]);
        table.seconds("bootstrap, nothing cached", Target::AtMost(150.0), cold.0.elapsed);
    } else {
        cloud.remove_leftovers();
        cloud.bootstrap(&["--scenario", "control"]);
    }
    for _ in 0..table.times("bootstrap, layers cached", 2) {
        let destroy = ["destroy", "--yes", "--keep-images", "--keep-config"];
        limited(cloud.command(&destroy)).ok();
        let warm = cloud.bootstrap(&[]);
        table.seconds("bootstrap, layers cached", Target::AtMost(45.0), warm.0.elapsed);
    }
    cloud.healthy_within(Duration::from_secs(10));
}

fn quick_commands(cloud: &Cloud, table: &mut Table) {
    let what = "bootstrap, nothing to do";
    for _ in 0..table.times(what, 5) {
        let nothing = limited(cloud.command(&["bootstrap"])).ok();
        assert!(nothing.all().contains("0 changed"), "{}", nothing.all());
        table.seconds(what, Target::AtMost(1.0), nothing.elapsed);
    }
    let what = "status, whole cloud";
    for _ in 0..table.times(what, 10) {
        table.seconds(what, Target::AtMost(0.3), cloud.run(&["status"]).ok().elapsed);
    }
    let what = "attach utility -- true, times lxc-attach";
    let name = cloud.container("utility", 1);
    for _ in 0..table.times(what, 30) {
        // One after the other, so that what else the host does weighs on both.
        let ours = cloud.run(&["attach", "utility", "--", "true"]).ok().elapsed;
        let mut stock = Command::new("lxc-attach");
        stock.args(["-n", &name, "--", "true"]);
        let stock = limited(stock).ok().elapsed;
        table.pair(what, Target::AtMost(1.2), ours, stock);
    }
}

fn rebuilds(cloud: &Cloud, table: &mut Table) {
    for (arguments, what, target) in [
        (&["rebuild", "heat_engine"][..], "rebuild heat_engine until healthy", 6.0),
        (&["rebuild", "galera/3", "--data"][..], "rebuild galera/3 --data until synced", 15.0),
    ] {
        for _ in 0..table.times(what, 3) {
            let started = Instant::now();
            limited(cloud.command(arguments)).ok();
            let ailments = cloud.ailments();
            table.seconds(what, Target::AtMost(target), started.elapsed());
            assert!(ailments.is_empty(), "{ailments:?}");
        }
    }
}

/// How long until the cloud is healthy again after everything stopped at once.
fn returns(cloud: &Cloud, table: &mut Table) {
    let boot = || faults::boot(cloud, Duration::from_secs(900), Duration::from_secs(120));
    let what = "power cut to a healthy cloud";
    for _ in 0..table.times(what, 2) {
        cloud.cut_power();
        table.seconds(what, Target::AtMost(40.0), boot());
    }
    let what = "reboot to a healthy cloud";
    for _ in 0..table.times(what, 2) {
        faults::forget_everything_but_files(cloud);
        table.seconds(what, Target::AtMost(45.0), boot());
    }
}
