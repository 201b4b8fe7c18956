//! The release of a cloud: the newest, whose programs are wheels of an index, and a small cloud of the
//! one whose programs are the suite's packages.

use std::fs;
use std::time::Duration;

use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process;
use crate::{dev, upgrade};

/// What a new cloud is of.
const NEWEST: &str = "2026.2";
/// What the suite packages.
const PACKAGED: &str = "2025.1";

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("release: a lock that was edited is refused first", || edited(cloud));
    checks.check("release: what is there is the lock's, and root's", || contents(cloud));
    checks.check("release: a cloud keeps its own", || kept(cloud));
    checks.check("release: its Tempest runs", || tempest(cloud));
}

#[test]
#[ignore = "builds a real cloud: scripts/test --cloud"]
fn a_release_of_packages_serves() {
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), "aiopkg");
    cloud.remove_leftovers();
    fs::create_dir_all(cloud.state_dir.parent().unwrap()).unwrap();
    let mut checks = Checks::new();
    checks.check("packages: a layer that cannot run is refused when it is made", || {
        unstartable(&cloud);
    });
    if checks.needed("packages: bootstrap", || packaged(&cloud)) {
        checks.check("packages: verify", || {
            cloud.ok(&["verify"]);
        });
        dev::newer(&cloud, &mut checks);
        upgrade::checks(&cloud, &mut checks);
    }
    if std::env::var_os("AIO_TEST_KEEP").is_none() {
        checks.needed("packages: destroy", || {
            cloud.ok(&["destroy", "--yes"]);
            let _ = fs::remove_dir_all(cloud.state_dir.parent().unwrap());
        });
    }
    checks.finish();
}

/// A profile of the user's, in which a unit requires one that no layer has.
fn unstartable(cloud: &Cloud) {
    let profiles = cloud.config_dir.join("profiles");
    let built_in = include_str!("../../profiles/services/memcached.yml");
    let file = "    files:\n";
    assert_eq!(built_in.matches(file).count(), 1);
    let path = "/etc/systemd/system/memcached.service.d/lost.conf";
    let needing = format!("{file}      - {{ path: {path}, template: lost.conf }}\n");
    for (place, text) in [
        ("services/memcached.yml", &*built_in.replace(file, &needing)),
        ("templates/lost.conf", "[Unit]\nRequires=lost.socket\n"),
    ] {
        let place = profiles.join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }
    let release = format!("release={PACKAGED}");
    let command = cloud.command(&["bootstrap", "--scenario", "minimal", "--set", &release]);
    let run = process::run(command, Duration::from_secs(900));
    fs::remove_dir_all(profiles).unwrap();
    assert_eq!(run.status, 3, "{}", run.all());
    let says = "in `memcached`, memcached.service requires lost.socket, which is not there";
    assert!(run.stderr.contains(says), "{}", run.stderr);
    assert!(cloud.lxc_names().iter().all(|name| !name.contains("memcached")));
}

fn packaged(cloud: &Cloud) {
    let release = format!("release={PACKAGED}");
    let run = cloud.bootstrap(&["--scenario", "minimal", "--set", &release]);
    println!("bootstrap took {:.1} s, {} steps", run.0.elapsed.as_secs_f64(), run.changed());
    cloud.healthy_within(Duration::from_secs(1));
    let again = cloud.bootstrap(&[]);
    assert_eq!(again.changed(), 0, "{:?}", again.changed_steps());
    let owner = "dpkg --search /usr/bin/heat-engine && test ! -e /opt/openstack";
    let said = cloud.inside("heat_engine", owner).ok().stdout;
    assert!(said.starts_with("heat-engine: "), "{said}");
}

fn edited(cloud: &Cloud) {
    let releases = cloud.config_dir.join("profiles/releases");
    let lock = releases.join(format!("{NEWEST}.lock"));
    fs::create_dir_all(&releases).unwrap();
    fs::write(&lock, "# by hand\n# sha256: 0\nsix==1.17.0\n").unwrap();
    let refused = cloud.run(&["bootstrap"]);
    fs::remove_dir_all(cloud.config_dir.join("profiles")).unwrap();
    assert_eq!(refused.status, 3, "{}", refused.all());
    assert!(refused.stderr.contains("line 3: a hash is missing or none"), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("aio release lock {NEWEST}")), "{}", refused.stderr);
    cloud.healthy_within(Duration::from_secs(1));
}

/// It ends well only when tests were run and none failed.
fn tempest(cloud: &Cloud) {
    cloud.ok(&["tempest", r"tempest\.api\.identity\.v3\.test_api_discovery\."]);
}

/// In a container, where all of it is read-only to its services.
fn contents(cloud: &Cloud) {
    let script = r#"
        set -eu
        cd /opt/openstack
        test -z "$(find . ! -user root -print -quit)"
        test -z "$(find . \( -type f -o -type d \) -perm /0022 -print -quit)"
        test -z "$(find . -perm /6000 -print -quit)"
        test ! -e .aio
        test -z "$(find lib -type d -name tests -not -path '*/manila/*' -print -quit)"
        test -n "$(find lib/python3.13/site-packages/heat/engine/__pycache__ -name 'service.*.pyc')"
        test -f /etc/heat/api-paste.ini
        python3 - <<'END'
import importlib.metadata, sys
import systemd.journal
assert sys.prefix == "/opt/openstack", sys.prefix
assert not any("dist-packages" in path for path in sys.path), sys.path
names = {one.name.lower().replace("_", "-").replace(".", "-") for one in importlib.metadata.distributions()}
print(len(names))
END
        stat --format=%U:%G:%a /etc/heat /var/lib/heat
    "#;
    let engine = cloud.container("heat_engine", 1);
    let said = cloud.ok(&["attach", &engine, "--", "sh", "-c", script]);
    let mut lines = said.lines();
    let count: usize = lines.next().unwrap().parse().unwrap();
    assert!(count > 200, "{said}");
    assert_eq!(lines.collect::<Vec<_>>(), ["root:heat:750", "heat:heat:755"]);
}

fn kept(cloud: &Cloud) {
    let refused = cloud.run(&["bootstrap", "--set", &format!("release={PACKAGED}")]);
    assert_eq!(refused.status, 3, "{}", refused.all());
    assert!(refused.stderr.contains(&format!("from {NEWEST} to {PACKAGED}")), "{}", refused.stderr);
    let plan = cloud.ok(&["plan"]);
    assert!(!plan.contains(PACKAGED), "{plan}");
}
