//! What a developer waits for: swaps, restarts, the way back, and a command through the gateway.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
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
    saved_engine(cloud, table, &heat);
    saved_api(cloud, table, &heat);
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

/// Calls heat-engine for every line that it reads, and says when it has the answer. The client of
/// oslo.messaging looks for an answer each half second only, which is no time of the new process's.
const ASK_ENGINE: &str = "
import sys, time, types
from heat.common import context, messaging
from heat.rpc import client
from oslo_config import cfg
from oslo_messaging._drivers import amqpdriver

amqpdriver.time = types.SimpleNamespace(sleep=lambda _: time.sleep(0.01))
cfg.CONF(['--config-file=/etc/heat/heat.conf'], project='heat')
messaging.setup()
engine = client.EngineClient()
print('asks', flush=True)
for _ in sys.stdin:
    engine.get_revision(context.get_admin_context())
    print('answered', flush=True)
";

/// A process that asks heat-engine.
struct Asking {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Asking {
    fn start(cloud: &Cloud) -> Self {
        let name = cloud.container("heat_apis", 1);
        // Names of queues that outlive a process are made of a process group, which nobody in there sees.
        let mut command = Command::new("lxc-attach");
        command.args(["-n", &name, "--clear-env", "-v"]);
        command.arg("OS_OSLO_MESSAGING_RABBIT__USE_QUEUE_MANAGER=false");
        command.args(["--", "runuser", "-u", "heat", "--", "python3", "-c", ASK_ENGINE]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut asking = Self { child, said };
        asking.hear("asks");
        asking
    }

    fn hear(&mut self, expected: &str) {
        assert_eq!(self.said.next().unwrap().unwrap(), expected);
    }

    fn ask(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        self.hear("answered");
    }

    /// It ends with its input.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// From a saved file until the new process of heat-engine has answered one call.
fn saved_engine(cloud: &Cloud, table: &mut Table, tree: &Path) {
    if table.times(SAVED_ENGINE, 1) == 0 {
        return;
    }
    let mut asking = Asking::start(cloud);
    saved(cloud, table, tree, ("heat_engine", "heat-engine"), (SAVED_ENGINE, 3.0), || asking.ask());
    asking.end();
}

/// From a saved file until the new process of heat-api has answered one request.
fn saved_api(cloud: &Cloud, table: &mut Table, tree: &Path) {
    if table.times(SAVED_API, 1) == 0 {
        return;
    }
    let url = format!("http://{}:8004/healthcheck", cloud.address("heat_apis", 1));
    saved(cloud, table, tree, ("heat_apis", "heat-api"), (SAVED_API, 4.5), || {
        while request("GET", &url, None, None, Duration::from_secs(2)).status != 200 {
            thread::sleep(Duration::from_millis(20));
        }
    });
}

fn saved(
    cloud: &Cloud,
    table: &mut Table,
    tree: &Path,
    (kind, unit): (&str, &str),
    (what, limit): (&'static str, f64),
    mut answered: impl FnMut(),
) {
    let name = cloud.container(kind, 1);
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
        answered();
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
