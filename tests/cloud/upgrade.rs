//! A small cloud of packages comes to the next release that it can go to, and back.

use std::fs;
use std::path::PathBuf;

use crate::support::checks::Checks;
use crate::support::cloud::Cloud;

/// Where a cloud of packages can go.
const NEXT: &str = "2026.1";

/// Services of the cloud that have databases.
const SERVICES: [&str; 2] = ["keystone", "heat"];

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("upgrade: what cannot be is refused first", || refused(cloud));
    checks.check("upgrade: what users have", || {
        let _ = fs::remove_file(made(cloud));
        cloud.ok(&["verify", "--before", &shown(cloud)]);
    });
    checks.check("upgrade: an option of one's own", || overridden(cloud));
    checks.check("upgrade: a migration that fails leaves the former release serving", || {
        planted(cloud);
    });
    checks.check("upgrade: it goes on, and all is there", || goes_on(cloud));
    checks.check("upgrade: and back", || back(cloud));
}

/// Where what users have is written down.
fn made(cloud: &Cloud) -> PathBuf {
    cloud.state_dir.parent().unwrap().join("made.json")
}

fn shown(cloud: &Cloud) -> String {
    made(cloud).display().to_string()
}

fn refused(cloud: &Cloud) {
    for (arguments, status, says) in [
        (&["--to", "2026.2"][..], 2, "Go by way of 2026.1, then 2026.2."),
        (&["--to", "2026.11"], 2, "did you mean `2026.1`?"),
        (&["--to", NEXT, "--leave", "heat_engine"], 2, "nothing that can be left"),
        (&[], 2, "From 2025.1 it can go to 2025.2 or 2026.1."),
        (&["--accept"], 6, "there is none"),
        (&["--back", "--yes"], 6, "there is none"),
    ] {
        let run = cloud.run(&[&["upgrade"], arguments].concat());
        assert_eq!(run.status, status, "{arguments:?}: {}", run.all());
        assert!(run.stderr.contains(says), "{arguments:?}: {}", run.stderr);
    }
    let plan = cloud.ok(&["upgrade", "--to", NEXT, "--plan"]);
    assert!(plan.contains("heat_engine, heat_apis"), "{plan}");
    assert!(cloud.ok(&["plan"]).contains("0 to do"));
}

/// An option that oslo.messaging knew by a name with a typo until 2025.2, and one that stays.
const LOST: &str = "rabbit_quroum_max_memory_length";

fn overridden(cloud: &Cloud) {
    let overrides = cloud.config_dir.join("overrides");
    fs::create_dir_all(&overrides).unwrap();
    let text = format!("[DEFAULT]\ndebug = true\n[oslo_messaging_rabbit]\n{LOST} = 0\n");
    fs::write(overrides.join("heat.conf"), text).unwrap();
    cloud.bootstrap(&[]);
}

/// A profile of the user's, in which heat's migration fails half-way.
fn planted(cloud: &Cloud) {
    let services = cloud.config_dir.join("profiles/services");
    fs::create_dir_all(&services).unwrap();
    let built_in = include_str!("../../profiles/services/heat.yml");
    let whole = "\nupgrade:\n  setup: schema\n";
    assert!(built_in.contains(whole));
    let failing = built_in.replace(whole, &format!("{whole}  expand: echo half way; exit 7\n"));
    fs::write(services.join("heat.yml"), failing).unwrap();
    let run = cloud.run(&["upgrade", "--to", NEXT]);
    fs::remove_dir_all(cloud.config_dir.join("profiles")).unwrap();
    assert_eq!(run.status, 1, "{}", run.all());
    let lost =
        format!("heat.conf: heat of {NEXT} has no option `{LOST}` in [oslo_messaging_rabbit]");
    assert!(!run.stderr.contains("no option `debug`"), "{}", run.stderr);
    for says in
        ["prepare the databases of heat", "half way", "`aio upgrade` goes on", "--back", &lost]
    {
        assert!(run.stderr.contains(says), "{says}: {}", run.stderr);
    }
    assert!(is_packaged(cloud, "heat_engine") && !is_packaged(cloud, "keystone"));
    let status = cloud.ok(&["status"]);
    assert!(status.contains("heat_apis, heat_engine, utility of 2025.1"), "{status}");
    cloud.ok(&[&["verify"], &SERVICES[..]].concat());
    let plan = cloud.ok(&["plan"]);
    assert!(plan.contains("0 to do"), "{plan}");
    let built = cloud.run(&["bootstrap"]);
    assert_eq!(built.status, 5, "{}", built.all());
}

fn goes_on(cloud: &Cloud) {
    let said = cloud.ok(&["upgrade"]);
    println!("{said}");
    assert!(!is_packaged(cloud, "heat_engine"));
    cloud.ok(&["verify", "--after", &shown(cloud)]);
    cloud.ok(&["verify"]);
    assert!(cloud.ok(&["plan"]).contains("0 to do"));
    let again = cloud.run(&["upgrade"]);
    assert_eq!(again.status, 5, "{}", again.all());
}

fn back(cloud: &Cloud) {
    cloud.ok(&["upgrade", "--back", "--yes"]);
    assert!(is_packaged(cloud, "heat_engine") && is_packaged(cloud, "keystone"));
    cloud.ok(&["verify", "--after", &shown(cloud), "--remove"]);
    cloud.ok(&["verify"]);
    assert!(cloud.ok(&["plan"]).contains("0 to do"));
    let gone = cloud.run(&["upgrade", "--accept"]);
    assert_eq!(gone.status, 6, "{}", gone.all());
}

fn is_packaged(cloud: &Cloud, kind: &str) -> bool {
    cloud.inside(kind, "test -e /opt/openstack/bin").status != 0
}
