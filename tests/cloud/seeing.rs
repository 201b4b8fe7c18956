//! What a new user does first: looks, asks for a token, makes a stack.

use std::time::Duration;

use crate::support::checks::Checks;
use crate::support::cloud::{Cloud, containers};
use crate::support::openstack::TEMPLATE;
use crate::support::process::{run_with_input, shell};

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("see: ls and lxc-ls", || lists(cloud));
    checks.check("see: status", || status(cloud));
    checks.check("see: token and users", || tokens(cloud));
    checks.check("see: a stack", || stack(cloud, "first"));
    checks.check("see: verify", || verify(cloud));
    checks.check("see: bootstrap again changes nothing", || nothing_to_do(cloud));
    checks.check("see: plan and size without root", || without_root(cloud));
    checks.check("see: attach", || attach(cloud));
    checks.check("see: logs", || logs(cloud));
    checks.check("see: rsyslog has every container's journal", || rsyslog(cloud));
    checks.check("see: config and where it came from", || config(cloud));
    checks.check("see: tools in the containers", || tools(cloud));
    checks.check("see: only the wanted units, none failed", || units(cloud));
    checks.check("see: quorum queues", || queues(cloud));
}

fn lists(cloud: &Cloud) {
    let names = cloud.lxc_names();
    let ours = cloud.ok(&["ls"]);
    let stock = shell("lxc-ls -f");
    let header = stock.lines().next().unwrap();
    for column in ["NAME", "STATE", "AUTOSTART", "IPV4"] {
        assert!(header.contains(column) && ours.contains(column), "{column}:\n{ours}");
    }
    for name in &names {
        assert!(ours.contains(name.as_str()), "{name} is not in:\n{ours}");
        let line = stock.lines().find(|line| line.starts_with(name.as_str())).unwrap();
        assert!(line.contains("RUNNING") && line.contains("openstack"), "{line}");
        let suffix = name.rsplit('-').next().unwrap();
        assert!(suffix.len() == 8 && u32::from_str_radix(suffix, 16).is_ok(), "{name}");
    }
}

fn status(cloud: &Cloud) {
    let status = cloud.status();
    assert_eq!(status["cloud"], "aiotest");
    assert_eq!(status["state"], "healthy");
    for row in containers(&status) {
        for key in ["name", "service", "member", "state", "health", "addresses"] {
            assert!(!row[key].is_null(), "{key} in {row}");
        }
        assert_eq!(row["state"], "running");
    }
    assert_eq!(status["clusters"]["galera"]["size"], 3);
    assert_eq!(status["clusters"]["rabbit_mq"]["size"], 3);
    assert!(cloud.ok(&["status"]).contains("galera"));
}

fn tokens(cloud: &Cloud) {
    let token = cloud.openstack(&["token", "issue"]);
    assert!(token["id"].as_str().unwrap().len() > 100, "a Fernet token: {token}");
    let users = cloud.openstack(&["user", "list"]);
    let users: Vec<&str> =
        users.as_array().unwrap().iter().map(|user| user["Name"].as_str().unwrap()).collect();
    assert!(users.contains(&"admin") && users.contains(&"heat"), "{users:?}");
    let attached = cloud.ok(&["attach", "utility", "--", "openstack", "user", "list"]);
    assert!(attached.contains("heat"), "no sourcing is needed: {attached}");
    let openrc = cloud.inside("utility", ". /root/openrc; openstack token issue -f value -c id");
    assert!(openrc.ok().stdout.trim().len() > 100);
}

pub fn stack(cloud: &Cloud, name: &str) {
    let command = cloud.command(&["attach", "utility", "--", "sh", "-c", "cat > /root/stack.yml"]);
    run_with_input(command, TEMPLATE, Duration::from_secs(20)).ok();
    // With `--wait` the client prints its events before the answer.
    cloud.ok(&["openstack", "stack", "create", "-t", "/root/stack.yml", "--wait", name]);
    let made = cloud.openstack(&["stack", "show", name]);
    assert_eq!(made["stack_status"], "CREATE_COMPLETE", "{made}");
    cloud.ok(&["openstack", "stack", "delete", "--yes", "--wait", name]);
    let left = cloud.openstack(&["stack", "list"]);
    assert!(!left.to_string().contains(&format!("\"{name}\"")), "{left}");
}

fn verify(cloud: &Cloud) {
    let run = cloud.run(&["verify", "--output", "json"]);
    let verified: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    for check in verified["checks"].as_array().unwrap() {
        assert_ne!(check["result"], "fail", "{check}");
        println!("  {}/{} took {} s", check["service"], check["check"], check["seconds"]);
    }
    assert_eq!(run.status, 0, "{}", run.all());
    let table = cloud.ok(&["verify", "galera"]);
    assert!(table.contains("row/3") && table.contains("3 passed"), "{table}");
    let wrong = cloud.run(&["verify", "kyestone"]);
    assert_eq!(wrong.status, 6);
    assert!(wrong.stderr.contains("did you mean `keystone`?"), "{}", wrong.stderr);
    // Nothing is left, and what fails is told.
    let users = cloud.openstack(&["user", "list"]).to_string();
    assert!(!users.contains("aio-verify"), "{users}");
    let balancer = cloud.container("haproxy", 1);
    let socket = "socat - /run/haproxy/admin.sock";
    let server = format!("keystone_service/{}", cloud.container("keystone", 2));
    cloud.inside(&balancer, &format!("echo 'set server {server} state maint' | {socket}")).ok();
    let failed = cloud.run(&["verify", "haproxy"]);
    cloud.inside(&balancer, &format!("echo 'set server {server} state ready' | {socket}")).ok();
    assert_eq!(failed.status, 1, "{}", failed.all());
    assert!(failed.stdout.contains("is MAINT"), "{}", failed.all());
    cloud.healthy_within(Duration::from_secs(10));
}

fn nothing_to_do(cloud: &Cloud) {
    let before = cloud.lxc_names();
    let run = cloud.bootstrap(&[]);
    assert_eq!(run.changed(), 0, "{:?}", run.changed_steps());
    assert_eq!(cloud.lxc_names(), before);
    let people = cloud.run(&["bootstrap"]).ok();
    assert!(people.all().contains("0 changed"), "{}", people.all());
    println!("bootstrap with nothing to do took {:.2} s", people.elapsed.as_secs_f64());
}

fn without_root(cloud: &Cloud) {
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("aio");
    std::fs::copy(env!("CARGO_BIN_EXE_aio"), &binary).unwrap();
    let place = directory.path().display();
    shell(&format!("chmod 755 {place} {place}/aio"));
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ NO_COLOR=1";
    let options = format!("--config-dir {place}/none --state-dir {place}/none --name other");
    let size = shell(&format!("{nobody} {place}/aio {options} size --output json"));
    assert!(size.contains("\"kernel\"") || size.contains("kernel"), "the facts: {size}");
    let plan = shell(&format!("{nobody} {place}/aio {options} plan --scenario minimal"));
    assert!(plan.contains("heat_engine"), "{plan}");
    assert!(!directory.path().join("none").exists(), "nothing was written");
    let plan = cloud.run(&["plan", "--output", "json"]).ok();
    assert!(!plan.stdout.contains("\"wrong\""), "{}", plan.stdout);
}

fn attach(cloud: &Cloud) {
    let status = |script: &str| cloud.inside("utility", script).status;
    assert_eq!(status("exit 7"), 7);
    assert_eq!(status("kill -TERM $$"), 128 + 15);
    assert_eq!(cloud.run(&["attach", "utility", "--", "no-such-command"]).status, 127);
    let both = cloud.inside("heat_engine", "echo out; echo err >&2");
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
    let bytes = "line\n".repeat(100_000);
    let echo = cloud.command(&["attach", "heat-engine/1", "--", "cat"]);
    let echoed = run_with_input(echo, &bytes, Duration::from_secs(20)).ok();
    assert_eq!(echoed.stdout, bytes, "standard input comes out unchanged");
    let ambiguous = cloud.run(&["attach", "galera", "--", "true"]);
    assert_ne!(ambiguous.status, 0);
    assert!(ambiguous.stderr.contains("galera/2"), "what it could mean: {}", ambiguous.stderr);
    let unknown = cloud.run(&["attach", "heat_engin", "--", "true"]);
    assert_eq!(unknown.status, 6, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("heat_engine"), "{}", unknown.stderr);
}

fn logs(cloud: &Cloud) {
    let mark = "a-line-for-the-journal";
    cloud.inside("heat_engine", &format!("systemd-cat -t mark echo {mark}")).ok();
    crate::support::process::eventually(
        Duration::from_secs(10),
        || cloud.ok(&["logs", "heat_engine", "--grep", mark]).contains(mark).then_some(()),
        "the line in the journal",
    );
    let merged = cloud.ok(&["logs", "galera/1", "keystone", "--since", "-1h"]);
    assert!(merged.contains("galera") && merged.contains("keystone"), "{merged}");
    let following = crate::support::process::Running::start(cloud.command(&[
        "logs",
        "-f",
        "--grep",
        "while-following",
    ]));
    std::thread::sleep(Duration::from_secs(1));
    cloud.inside("memcached", "systemd-cat -t mark echo while-following").ok();
    std::thread::sleep(Duration::from_secs(2));
    // Nothing is to be cleaned up, so no signal is handled; and SIGINT is ignored by what a shell has
    // started in the background.
    following.signal("TERM");
    let followed = following.finish(Duration::from_secs(10));
    assert!(followed.stdout.contains("while-following"), "{}", followed.all());
}

fn rsyslog(cloud: &Cloud) {
    for name in cloud.lxc_names().iter().filter(|name| !name.contains("_rsyslog_")) {
        let file = format!("test -s /var/log/containers/{name}.log");
        assert_eq!(cloud.inside("rsyslog", &file).status, 0, "{name}");
    }
}

fn config(cloud: &Cloud) {
    let file = "/etc/heat/heat.conf";
    let inside = cloud.inside("heat_engine", &format!("cat {file}")).ok().stdout;
    assert!(inside.contains("transport_url"));
    let shown = cloud.ok(&["config", "heat_engine", file]);
    assert!(shown.contains("transport_url"), "{shown}");
    let why = cloud.ok(&["config", "heat_engine", file, "--why"]);
    for (name, value) in cloud.secrets() {
        assert!(value.len() < 8 || !why.contains(&value), "{name} stands in --why");
    }
    assert!(why.contains("heat_auth_encryption_key"), "{why}");
    let list = cloud.ok(&["config", "heat_engine"]);
    assert!(list.contains(file), "{list}");
}

fn tools(cloud: &Cloud) {
    for tool in ["openstack", "mysql", "mariadb", "curl", "amqp-get"] {
        cloud.inside("utility", &format!("command -v {tool}")).ok();
    }
    for container in ["utility", "galera/1", "galera/3"] {
        let size = "mysql -NBe \"show status like 'wsrep_cluster_size'\" | cut -f2";
        assert_eq!(cloud.inside(container, size).ok().stdout.trim(), "3", "{container}");
    }
    let openrc = cloud.inside("utility", "grep '^export OS_AUTH_URL=' /root/openrc").ok().stdout;
    assert!(openrc.trim().trim_matches('\'').ends_with("/v3"), "{openrc}");
    let stock = cloud.container("heat_engine", 1);
    assert_eq!(
        shell(&format!("lxc-attach -n {stock} -- hostname")).trim(),
        stock.replace('_', "-")
    );
}

fn units(cloud: &Cloud) {
    for row in containers(&cloud.status()) {
        let name = row["name"].as_str().unwrap();
        let failed = cloud.inside(name, "systemctl --failed --no-legend --plain").ok().stdout;
        assert!(failed.trim().is_empty(), "{name}: {failed}");
        let units = row["units"].as_object().unwrap();
        assert!(units.values().all(|active| active == true), "{name}: {units:?}");
    }
}

fn queues(cloud: &Cloud) {
    let script = "rabbitmqctl -q list_queues -p /heat name type --no-table-headers";
    let queues = cloud.inside("rabbit_mq/1", script).ok().stdout;
    assert!(queues.lines().count() > 0, "heat has queues");
    for queue in queues.lines() {
        assert!(queue.ends_with("quorum"), "{queue}");
    }
}
