//! A cloud of the release that is made of checkouts: heat's real code, and a project whose build looks for
//! what it must not find.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::shell;
use crate::support::sources::Sources;

/// Of a project that the scenario does not run.
const PROJECT: &str = "
[project]
name = 'trove'
version = '99.0'
[build-system]
requires = ['setuptools']
build-backend = 'setuptools.build_meta'
[tool.setuptools]
packages = ['trove']
";

/// Its build.
const SETUP: &str = r#"
import os, socket, setuptools

def refused(act):
    try:
        act()
    except OSError:
        return True

assert os.getuid() != 0
assert not [name for name in os.environ if name.startswith(("PIP_", "UV_"))]
assert refused(lambda: socket.create_connection(("127.0.0.1", PORT), 2))
assert refused(lambda: open(os.environ["TREE"] + "/left", "w"))
assert refused(lambda: open("/.aio-build/left", "w"))
assert not os.path.exists("/var/lib/lxc")
setuptools.setup()
"#;

#[test]
#[ignore = "builds a real cloud: scripts/test --cloud"]
fn a_release_of_git_serves() {
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), "aiogit");
    cloud.remove_leftovers();
    let place = cloud.state_dir.parent().unwrap().to_owned();
    let sources = Sources::new(place.join("checkouts"));
    let mut checks = Checks::new();
    let locked = checks.needed("git: checkouts become a lock", || locked(&cloud, &sources));
    if locked && checks.needed("git: bootstrap", || bootstrap(&cloud)) {
        checks.check("git: verify", || {
            cloud.ok(&["verify"]);
        });
        checks.check("git: another commit", || another_commit(&cloud));
    }
    if std::env::var_os("AIO_TEST_KEEP").is_none() {
        checks.needed("git: destroy", || {
            cloud.ok(&["destroy", "--yes"]);
            sources.remove();
            let _ = fs::remove_dir_all(&place);
        });
    }
    checks.finish();
}

fn checkouts(cloud: &Cloud) -> PathBuf {
    cloud.state_dir.parent().unwrap().join("checkouts")
}

/// Commits all that is in a tree, and returns the commit.
fn commit(tree: &Path) -> String {
    let said = shell(&format!(
        "cd '{}'
         git() {{ command git -c safe.directory='*' -c user.name=test -c user.email=test@example.org \"$@\"; }}
         git init --quiet
         git add --all
         git commit --quiet --message change
         git rev-parse HEAD",
        tree.display()
    ));
    said.trim().to_owned()
}

fn locked(cloud: &Cloud, sources: &Sources) {
    let refused = cloud.run(&["bootstrap", "--set", "release=master"]);
    assert_eq!(refused.status, 3, "{}", refused.all());
    assert!(refused.stderr.contains("aio release lock master; with --from"), "{}", refused.all());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let trove = checkouts(cloud).join("trove");
    fs::create_dir_all(trove.join("trove")).unwrap();
    fs::write(trove.join("pyproject.toml"), PROJECT).unwrap();
    fs::write(trove.join("setup.py"), SETUP.replace("PORT", &port)).unwrap();
    fs::write(trove.join("trove/__init__.py"), "").unwrap();
    let trove = commit(&trove);
    sources.checkout("heat", "openstack-heat~=27.0");

    let from = checkouts(cloud).display().to_string();
    let lock = ["release", "lock", "master", "--from", &from];
    let said = cloud.run(&lock).ok().stderr;
    assert!(said.contains(&format!("building trove 99.0 of {}", &trove[..9])), "{said}");
    let again = cloud.ok(&[&lock[..], &["--output", "json"]].concat());
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(
        (&again["built"][1]["commit"], &again["file"]),
        (&trove.as_str().into(), &Value::Null)
    );
    // A commit by its name is the same one.
    let lock = ["--from", &format!("{from}/heat"), "--from", &format!("{from}/trove#{trove:.12}")];
    let named = cloud.run(&[&["release", "lock", "master"][..], &lock].concat()).ok().stderr;
    let said = format!("trove 99.0 of {trove:.9} ({trove:.12}) is there");
    assert!(named.contains(&said), "{named}");
}

fn bootstrap(cloud: &Cloud) {
    let run = cloud.bootstrap(&["--scenario", "minimal", "--set", "release=master"]);
    println!("bootstrap took {:.1} s, {} steps", run.0.elapsed.as_secs_f64(), run.changed());
    cloud.healthy_within(Duration::from_secs(1));
}

fn another_commit(cloud: &Cloud) {
    let heat = checkouts(cloud).join("heat");
    fs::write(heat.join("heat/aio_mark.py"), "").unwrap();
    let id = commit(&heat);
    cloud.ok(&["release", "lock", "master", "--from", &checkouts(cloud).display().to_string()]);
    cloud.bootstrap(&[]);
    cloud.inside("heat_engine", "python3 -c 'import heat.aio_mark'").ok();
    assert_eq!(cloud.status()["built"][0]["commit"], Value::from(id));
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
}
