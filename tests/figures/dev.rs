//! What a developer waits for: swaps, restarts, the way back, and a command through the gateway.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::cloud::Cloud;
use crate::support::load;
use crate::support::openstack::{Client, request};
use crate::support::process::{Running, shell};
use crate::support::sources::{Sources, insert_line};
use crate::table::{Table, Target};

const RUNS: usize = 5;

/// Every figure of `aio dev`.
pub fn measure(cloud: &Cloud, table: &mut Table) {
    let wanted = [SAME, CACHED, BACK, SAVED_ENGINE, SAVED_API, INTO_REDUNDANT, BACK_REDUNDANT];
    if wanted.iter().all(|what| table.times(what, 1) == 0) {
        return;
    }
    let sources = Sources::new(cloud.state_dir.parent().unwrap().join("sources"));
    let release = |container: &str, name: &str| {
        let script = format!(
            "python3 -c 'from importlib.metadata import version; print(version(\"{name}\"))'"
        );
        let version = cloud.inside(container, &script).ok().stdout;
        sources.checkout(name, &format!("{name}=={}", version.trim()))
    };
    let heat = release("heat_engine", "openstack-heat");
    swaps(cloud, table, &heat, "heat-engine", &[], SAME);
    let newest = sources.checkout("newest", "openstack-heat");
    if table.times(CACHED, 1) > 0 {
        // The first one fetches.
        swap(cloud, "heat-engine", &newest, &["--no-db-sync"]);
        restore(cloud, "heat-engine");
    }
    swaps(cloud, table, &newest, "heat-engine", &["--no-db-sync"], CACHED);
    saved(cloud, table, &heat, "heat-engine", SAVED_ENGINE);
    saved(cloud, table, &heat, "heat-api", SAVED_API);
    redundant(cloud, table, &release("keystone/1", "keystone"));
    sources.remove();
}

const SAME: &str = "dev: swap, nothing to install";
const CACHED: &str = "dev: swap, packages cached";
const BACK: &str = "dev: restore";
const SAVED_ENGINE: &str = "dev: saved until heat-engine answers";
const SAVED_API: &str = "dev: saved until a uwsgi API answers";
const INTO_REDUNDANT: &str = "dev: swap of keystone under requests";
const BACK_REDUNDANT: &str = "dev: restore of keystone under requests";
const FAILED: &str = "dev: requests failed meanwhile";

fn swap(cloud: &Cloud, unit: &str, tree: &Path, options: &[&str]) -> Duration {
    let tree = tree.to_str().unwrap();
    cloud.run(&[&["dev", unit, "--from", tree, "--detach"], options].concat()).ok().elapsed
}

fn restore(cloud: &Cloud, unit: &str) -> Duration {
    cloud.run(&["dev", unit, "--restore"]).ok().elapsed
}

fn swaps(
    cloud: &Cloud,
    table: &mut Table,
    tree: &Path,
    unit: &str,
    options: &[&str],
    what: &'static str,
) {
    let limit = if what == SAME { 5.0 } else { 6.0 };
    for _ in 0..table.times(what, RUNS) {
        table.seconds(what, Target::AtMost(limit), swap(cloud, unit, tree, options));
        table.seconds(BACK, Target::AtMost(4.0), restore(cloud, unit));
    }
}

/// From a saved file until the new process has answered one request: of the API itself, or one that
/// the API passes on to the engine.
fn saved(cloud: &Cloud, table: &mut Table, tree: &Path, unit: &str, what: &'static str) {
    if table.times(what, 1) == 0 {
        return;
    }
    let limit = if what == SAVED_ENGINE { 3.0 } else { 4.5 };
    let kind = if what == SAVED_ENGINE { "heat_engine" } else { "heat_apis" };
    let name = cloud.container(kind, 1);
    let address = cloud.address("heat_apis", 1);
    let (token, project) = Client::administrator(cloud).token();
    // The engine's answer comes through the API; the API's own needs nobody else.
    let url = match what {
        SAVED_ENGINE => format!("http://{address}:8004/v1/{project}/stacks"),
        _ => format!("http://{address}:8004/healthcheck"),
    };
    let arguments = ["dev", unit, "--from", tree.to_str().unwrap(), "--watch"];
    let running = Running::start(cloud.command(&arguments));
    let pid = || {
        shell(&format!("lxc-attach -n {name} -- systemctl show -P MainPID {unit}"))
            .trim()
            .to_owned()
    };
    thread::sleep(Duration::from_secs(12));
    for _ in 0..table.times(what, RUNS) {
        let before = pid();
        let started = Instant::now();
        insert_line(&tree.join("heat/engine/service.py"), "#", "# saved");
        while pid() == before {
            thread::sleep(Duration::from_millis(20));
        }
        while request("GET", &url, Some(&token), None, Duration::from_secs(2)).status != 200 {
            thread::sleep(Duration::from_millis(20));
        }
        table.seconds(what, Target::AtMost(limit), started.elapsed());
        cloud.healthy_within(Duration::from_secs(30));
        thread::sleep(Duration::from_secs(2));
    }
    running.signal("INT");
    running.finish(Duration::from_secs(600));
}

fn redundant(cloud: &Cloud, table: &mut Table, tree: &Path) {
    let runs = table.times(INTO_REDUNDANT, 3);
    if runs == 0 {
        return;
    }
    let user = load::prepare(cloud, &Client::administrator(cloud));
    for _ in 0..runs {
        let mut times = (Duration::ZERO, Duration::ZERO);
        let seen = load::run(&user, Duration::from_secs(20), Duration::from_secs(2), || {
            times = (swap(cloud, "keystone", tree, &[]), restore(cloud, "keystone"));
        });
        println!("keystone swapped and restored: {}", seen.line());
        table.seconds(INTO_REDUNDANT, Target::AtMost(5.0), times.0);
        table.seconds(BACK_REDUNDANT, Target::AtMost(5.0), times.1);
        table.number(FAILED, Target::NeverAbove(0.0), "", seen.failed() as f64);
    }
}
