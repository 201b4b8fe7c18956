//! Changes of a running cloud: what should change does, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::seeing;
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::openstack::Client;
use crate::support::process::{run, shell};

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("change: rebuild heat_engine", || rebuild(cloud));
    checks.check("change: rebuild galera/3 with its data", || rebuild_galera(cloud));
    checks.check("change: rebuild rabbit_mq/3 with its data", || rebuild_rabbit(cloud));
    checks.check("change: a container removed by hand", || removed_by_hand(cloud));
    checks.check("change: a file changed by hand", || file_by_hand(cloud));
    checks.check("change: an override", || override_file(cloud));
    checks.check("change: a variable", || variable(cloud));
    checks.check("change: passwords", || passwords(cloud));
    checks.check("change: stop and start one", || stop_one(cloud));
    checks.check("change: a member more and less", || another_member(cloud));
    checks.check("change: a service of the user's own", || own_service(cloud));
}

/// The process id of every container's init: a container that was not touched keeps it.
pub fn inits(cloud: &Cloud) -> BTreeMap<String, String> {
    cloud
        .lxc_names()
        .into_iter()
        .map(|name| {
            let pid = shell(&format!("lxc-info -n {name} -p -H")).trim().to_owned();
            (name, pid)
        })
        .collect()
}

/// Names of containers that were started anew since.
fn restarted(before: &BTreeMap<String, String>, cloud: &Cloud) -> Vec<String> {
    let now = inits(cloud);
    assert_eq!(before.keys().collect::<Vec<_>>(), now.keys().collect::<Vec<_>>(), "same names");
    now.into_iter().filter(|(name, pid)| before[name] != *pid).map(|(name, _)| name).collect()
}

/// When a unit was started, in microseconds of the host's clock.
fn unit_start(cloud: &Cloud, container: &str, unit: &str) -> String {
    let script = format!("systemctl show -P ActiveEnterTimestampMonotonic {unit}");
    cloud.inside(container, &script).ok().stdout
}

fn rebuild(cloud: &Cloud) {
    let before = inits(cloud);
    let address = cloud.address("heat_engine", 1);
    cloud.inside("heat_engine", "touch /root/of-the-old-root").ok();
    let started = Instant::now();
    cloud.ok(&["rebuild", "heat_engine"]);
    println!("  rebuild heat_engine took {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(cloud.ailments(), Vec::<String>::new());
    assert_eq!(restarted(&before, cloud), [cloud.container("heat_engine", 1)]);
    assert_eq!(cloud.address("heat_engine", 1), address);
    assert_ne!(cloud.inside("heat_engine", "test -e /root/of-the-old-root").status, 0);
    let older = cloud.ok(&["logs", "heat_engine", "--since", "-2h"]);
    assert!(older.contains("a-line-for-the-journal") || !older.is_empty(), "the journal goes on");
    seeing::stack(cloud, "after-rebuild");
}

fn rebuild_galera(cloud: &Cloud) {
    let before = inits(cloud);
    let query = "mariadb -NBe 'select count(*) from keystone.user'";
    let users = cloud.inside("galera/1", query).ok().stdout;
    let started = Instant::now();
    let finished = run(cloud.command(&["rebuild", "galera/3", "--data"]), Duration::from_secs(180));
    finished.ok();
    println!("  rebuild galera/3 --data took {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(cloud.status()["clusters"]["galera"]["size"], 3);
    assert_eq!(cloud.inside("galera/3", query).ok().stdout, users, "its data came back");
    assert_eq!(restarted(&before, cloud), [cloud.container("galera", 3)]);
}

fn rebuild_rabbit(cloud: &Cloud) {
    let before = inits(cloud);
    run(cloud.command(&["rebuild", "rabbit_mq/3", "--data"]), Duration::from_secs(180)).ok();
    assert_eq!(cloud.status()["clusters"]["rabbit_mq"]["size"], 3);
    assert_eq!(restarted(&before, cloud), [cloud.container("rabbit_mq", 3)]);
    let script = "rabbitmqctl -q list_queues -p /heat name members --no-table-headers";
    for queue in cloud.inside("rabbit_mq/1", script).ok().stdout.lines() {
        assert_eq!(queue.matches("rabbit@").count(), 3, "replicas of {queue}");
    }
    seeing::stack(cloud, "after-queue-member");
}

fn removed_by_hand(cloud: &Cloud) {
    for (kind, member) in [("heat_engine", 1), ("galera", 2)] {
        let before = inits(cloud);
        let name = cloud.container(kind, member);
        shell(&format!("lxc-stop -k -n {name}; lxc-destroy -n {name}"));
        assert!(!cloud.lxc_names().contains(&name));
        assert_ne!(cloud.status()["state"], "healthy");
        let run = cloud.bootstrap(&[]);
        assert!(run.changed() > 0);
        cloud.healthy_within(Duration::from_secs(30));
        assert_eq!(restarted(&before, cloud), [name], "it alone");
    }
    let query = "mariadb -NBe 'select count(*) from keystone.user'";
    let rows = |member: &str| cloud.inside(member, query).ok().stdout;
    assert_eq!(rows("galera/1"), rows("galera/2"));
    seeing::stack(cloud, "after-removal");
}

fn file_by_hand(cloud: &Cloud) {
    let before = inits(cloud);
    let apis = unit_start(cloud, "heat_apis", "heat-api.service");
    let engine = unit_start(cloud, "heat_engine", "heat-engine.service");
    cloud.inside("heat_engine", "echo '# by hand' >>/etc/heat/heat.conf").ok();
    let run = cloud.bootstrap(&[]);
    let steps = run.changed_steps();
    assert!(!steps.is_empty() && steps.iter().all(|key| key.contains("heat_engine")), "{steps:?}");
    assert_ne!(cloud.inside("heat_engine", "grep 'by hand' /etc/heat/heat.conf").status, 0);
    assert_ne!(unit_start(cloud, "heat_engine", "heat-engine.service"), engine, "restarted");
    assert_eq!(unit_start(cloud, "heat_apis", "heat-api.service"), apis, "not touched");
    assert_eq!(restarted(&before, cloud), Vec::<String>::new());
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
}

fn override_file(cloud: &Cloud) {
    let directory = cloud.config_dir.join("overrides");
    fs::create_dir_all(directory.join("heat")).unwrap();
    let keystone = unit_start(cloud, "keystone/1", "keystone.service");
    let apis = unit_start(cloud, "heat_apis", "heat-api.service");
    fs::write(directory.join("heat.conf"), "[DEFAULT]\nmax_stacks_per_tenant = 77\n").unwrap();
    fs::write(directory.join("heat/heat-engine.conf"), "[DEFAULT]\nmax_stacks_per_tenant = 78\n")
        .unwrap();
    cloud.bootstrap(&[]);
    let value = |container: &str| {
        let script = "grep '^max_stacks_per_tenant' /etc/heat/heat.conf";
        cloud.inside(container, script).ok().stdout.trim().to_owned()
    };
    assert_eq!(value("heat_apis"), "max_stacks_per_tenant = 77");
    assert_eq!(value("heat_engine"), "max_stacks_per_tenant = 78", "the most particular wins");
    assert_ne!(unit_start(cloud, "heat_apis", "heat-api.service"), apis);
    assert_eq!(unit_start(cloud, "keystone/1", "keystone.service"), keystone);
    let why = cloud.ok(&["config", "heat_engine", "/etc/heat/heat.conf", "--why"]);
    assert!(why.contains("heat-engine.conf"), "{why}");
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    fs::remove_dir_all(&directory).unwrap();
    assert!(cloud.bootstrap(&[]).changed() > 0);
    let gone = cloud.inside("heat_engine", "grep max_stacks_per_tenant /etc/heat/heat.conf");
    assert_ne!(gone.status, 0);
}

fn variable(cloud: &Cloud) {
    let file = cloud.config_dir.join("user_variables.yml");
    fs::write(&file, "# mine\nmemcached_cache_mib: 48\n").unwrap();
    let run = cloud.bootstrap(&[]);
    let steps = run.changed_steps();
    assert!(!steps.is_empty() && steps.iter().all(|key| key.contains("memcached")), "{steps:?}");
    cloud.inside("memcached", "grep -w 48 /etc/memcached.conf").ok();
    fs::remove_file(&file).unwrap();
    assert!(cloud.bootstrap(&[]).changed() > 0);
}

fn passwords(cloud: &Cloud) {
    let before = inits(cloud);
    let old = Client::administrator(cloud);
    let new = "another-password-0123456789";
    for name in [
        "keystone_auth_admin_password",
        "heat_service_password",
        "heat_container_mysql_password",
        "heat_oslomsg_rpc_password",
        "galera_root_password",
        "rabbitmq_monitoring_password",
        "haproxy_stats_password",
    ] {
        cloud.edit_secret(name, &format!("{new}-{}", name.len()));
    }
    let run = cloud.bootstrap(&[]);
    println!("  seven passwords took {:.1} s", run.0.elapsed.as_secs_f64());
    cloud.healthy_within(Duration::from_secs(20));
    let limit = Duration::from_secs(10);
    assert_eq!(old.ask_token(None, limit).status, 401, "the old password is not good any more");
    assert_eq!(Client::administrator(cloud).ask_token(None, limit).status, 201);
    let root = cloud.inside("utility", "mysql -NBe 'select 1'").ok().stdout;
    assert_eq!(root.trim(), "1");
    assert_eq!(restarted(&before, cloud), Vec::<String>::new(), "no container is restarted");
    seeing::stack(cloud, "after-passwords");
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
}

fn stop_one(cloud: &Cloud) {
    cloud.ok(&["stop", "keystone/2"]);
    assert_ne!(cloud.status()["state"], "healthy");
    let stopped = cloud.ok(&["logs", "keystone/2", "--since", "-1h"]);
    assert!(!stopped.trim().is_empty(), "a stopped container's journal can be read");
    let administrator = Client::administrator(cloud);
    for _ in 0..10 {
        assert_eq!(administrator.ask_token(None, Duration::from_secs(5)).status, 201);
    }
    cloud.ok(&["start", "keystone/2"]);
    cloud.healthy_within(Duration::from_secs(30));
}

fn another_member(cloud: &Cloud) {
    let before = inits(cloud);
    cloud.bootstrap(&["--set", "heat_engine.members=2"]);
    cloud.healthy_within(Duration::from_secs(30));
    assert_eq!(cloud.lxc_names().len(), before.len() + 1);
    assert_eq!(cloud.bootstrap(&[]).changed(), 0, "the choice is kept");
    let asked = cloud.run(&["bootstrap", "--set", "heat_engine.members=1"]);
    assert_eq!(asked.status, 7, "a removal is asked for: {}", asked.all());
    assert_eq!(cloud.lxc_names().len(), before.len() + 1);
    cloud.bootstrap(&["--set", "heat_engine.members=1", "--yes"]);
    cloud.healthy_within(Duration::from_secs(30));
    assert_eq!(restarted(&before, cloud), Vec::<String>::new());
}

/// Files of the papers' example of a service: paths below the configuration directory, and texts.
fn example_of_a_service() -> Vec<(String, String)> {
    let page = include_str!("../../docs/using/services.md");
    let mut files: Vec<(String, String)> = Vec::new();
    for line in page.lines() {
        if let Some(path) = line.strip_prefix("`/etc/aio/").and_then(|rest| rest.split('`').next())
        {
            files.push((path.to_owned(), String::new()));
        } else if let (Some((_, text)), true) =
            (files.last_mut(), line.starts_with("    ") || line.is_empty())
        {
            text.push_str(line.strip_prefix("    ").unwrap_or(line));
            text.push('\n');
        }
    }
    files
}

fn own_service(cloud: &Cloud) {
    let files = example_of_a_service();
    assert_eq!(files.len(), 3, "{files:?}");
    for (path, text) in &files {
        let path = cloud.config_dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let before = inits(cloud);
    cloud.bootstrap(&["--with", "greeter"]);
    cloud.healthy_within(Duration::from_secs(10));
    cloud.ok(&["verify", "greeter"]);
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    cloud.bootstrap(&["--without", "greeter", "--yes"]);
    assert_eq!(inits(cloud), before, "nothing else was touched");
    cloud.healthy_within(Duration::from_secs(10));
}
