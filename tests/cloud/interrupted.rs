//! Runs that are cut short, and runs side by side.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::seeing;
use crate::support::checks::Checks;
use crate::support::cloud::{Cloud, containers};
use crate::support::process::{Running, eventually, run, shell};

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("interrupt: two aio at once", || two_at_once(cloud));
    checks.check("interrupt: a schema half made", || half_a_schema(cloud));
    checks.check("interrupt: Ctrl-C, kill -9 and killed containers", || cut_short(cloud));
}

/// Names and addresses of all containers.
fn identity(cloud: &Cloud) -> BTreeMap<String, String> {
    containers(&cloud.status())
        .map(|row| (row["name"].to_string(), row["addresses"].to_string()))
        .collect()
}

fn start(cloud: &Cloud, arguments: &[&str]) -> Running {
    Running::start(cloud.command(arguments))
}

fn two_at_once(cloud: &Cloud) {
    let name = cloud.container("heat_apis", 1);
    shell(&format!("lxc-stop -k -n {name}; lxc-destroy -n {name}"));
    let first = start(cloud, &["bootstrap"]);
    thread::sleep(Duration::from_millis(700));
    let impatient = cloud.run(&["bootstrap", "--lock-timeout", "0"]);
    let patient = start(cloud, &["bootstrap"]);
    let pid = first.pid().to_string();
    first.finish(Duration::from_secs(120)).ok();
    patient.finish(Duration::from_secs(120)).ok();
    assert_eq!(impatient.status, 5, "{}", impatient.all());
    assert!(impatient.stderr.contains(&pid), "the holder is named: {}", impatient.stderr);
    cloud.healthy_within(Duration::from_secs(10));
    let looking = cloud.run(&["status"]);
    assert_eq!(looking.status, 0, "looking needs no lock");
}

/// The container is killed in the middle of its first migration, which no database can undo.
fn half_a_schema(cloud: &Cloud) {
    let destroy = ["destroy", "--yes", "--keep-images", "--keep-config"];
    run(cloud.command(&destroy), Duration::from_secs(120)).ok();
    // What an earlier cloud's migrations made would be loaded.
    let layers = cloud.state_dir.join("private/layers");
    shell(&format!("rm -r {}/*/kept", layers.display()));
    let bootstrap = start(cloud, &["bootstrap"]);
    let migrates = || {
        let found = shell("pgrep -f '[k]eystone-manage db_sync' || :");
        (!found.is_empty()).then_some(())
    };
    eventually(Duration::from_secs(120), migrates, "the migration of keystone");
    // It loads for longer than a second before it makes its first table.
    let tables = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'keystone'";
    let galera = cloud.container("galera", 1);
    let begun = || {
        let count = cloud.inside(&galera, &format!("mariadb -N -e \"{tables}\"")).stdout;
        count.trim().parse().is_ok_and(|count: u32| count > 5).then_some(())
    };
    eventually(Duration::from_secs(60), begun, "a part of the tables");
    shell(&format!("lxc-stop -k -n {}", cloud.container("keystone", 1)));
    assert_ne!(bootstrap.finish(Duration::from_secs(300)).status, 0);
    let schemas = || shell(&format!("ls {}/*/kept 2>/dev/null || :", layers.display()));
    assert!(!schemas().contains("keystone-schema-"), "half a schema is not kept");
    cloud.bootstrap(&[]);
    cloud.healthy_within(Duration::from_secs(30));
    assert!(schemas().contains("keystone-schema-"), "{}", schemas());
}

/// From layers on, a bootstrap is cut short again and again; the last one is let run to its end.
fn cut_short(cloud: &Cloud) {
    let names = identity(cloud);
    let secrets = cloud.secrets();
    let destroy = ["destroy", "--yes", "--keep-images", "--keep-config"];
    run(cloud.command(&destroy), Duration::from_secs(120)).ok();
    assert!(cloud.lxc_names().is_empty());
    for (signal, after_ms) in [
        ("KILL", 300),
        ("INT", 1_000),
        ("KILL", 1_500),
        ("KILL", 3_000),
        ("INT", 4_000),
        ("KILL", 6_000),
        ("KILL", 9_000),
        ("INT", 12_000),
        ("KILL", 15_000),
    ] {
        let mut bootstrap = start(cloud, &["bootstrap"]);
        thread::sleep(Duration::from_millis(after_ms));
        if bootstrap.ended() {
            bootstrap.finish(Duration::from_secs(1)).ok();
            break;
        }
        bootstrap.signal(signal);
        let finished = bootstrap.finish(Duration::from_secs(60));
        assert_ne!(finished.status, 0);
        if signal == "INT" {
            assert_eq!(finished.status, 130, "{}", finished.all());
        }
    }
    let bootstrap = start(cloud, &["bootstrap"]);
    thread::sleep(Duration::from_secs(2));
    for name in cloud.lxc_names().iter().filter(|name| name.contains("_keystone_")) {
        let _ = std::process::Command::new("lxc-stop").args(["-k", "-n", name]).status();
    }
    let finished = bootstrap.finish(Duration::from_secs(300));
    println!("  with its keystones killed, bootstrap ended with {}", finished.status);
    cloud.bootstrap(&[]);
    cloud.healthy_within(Duration::from_secs(30));
    assert_eq!(identity(cloud), names, "the same names and addresses");
    assert_eq!(cloud.secrets(), secrets, "the same secrets");
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    seeing::stack(cloud, "after-interruptions");
}
