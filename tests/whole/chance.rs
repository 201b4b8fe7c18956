//! The main job, again and again: nothing of it may fail by chance.
//!
//! `AIO_TEST_TIMES=BOOTSTRAPS,CHANGES,BUSY` says how often: bootstraps from cached layers with nothing
//! but `destroy` between, changes of members up and down and of every password, and bootstraps and
//! members while something else keeps all processors busy. `1,1,1` unless it says otherwise.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aio::for_tests::Profiles;

use crate::support::checks::Checks;
use crate::support::cloud::{Cloud, containers};
use crate::support::process::{self, shell};

/// Kinds whose number is changed in one run, so that a small host carries them.
const AT_ONCE: usize = 3;

/// Processes that compute until they are dropped.
struct Busy(Vec<Child>);

impl Busy {
    fn begin() -> Self {
        let count = std::thread::available_parallelism().map_or(2, usize::from);
        let burn = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        Self((0..count).map(|_| burn()).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How often each is done.
fn times() -> [usize; 3] {
    let text = std::env::var("AIO_TEST_TIMES").unwrap_or_default();
    let given: Vec<usize> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    match given[..] {
        [bootstraps, changes, busy] => [bootstraps, changes, busy],
        _ if text.is_empty() => [1, 1, 1],
        _ => panic!("AIO_TEST_TIMES is three numbers: 20,10,5"),
    }
}

#[test]
#[ignore = "builds the scenario `default` again and again: scripts/test --whole"]
fn the_main_job_does_not_fail_by_chance() {
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), "aiochanc");
    cloud.remove_leftovers();
    fs::create_dir_all(cloud.state_dir.parent().unwrap()).unwrap();
    let mut checks = Checks::new();
    let [bootstraps, changes, busy] = times();
    for time in 1..=bootstraps {
        checks.check(&format!("bootstrap {time} of {bootstraps}"), || anew(&cloud));
    }
    for time in 1..=changes {
        checks.check(&format!("members up and down, {time} of {changes}"), || changed(&cloud));
        checks.check(&format!("every password, {time} of {changes}"), || passwords(&cloud));
    }
    for time in 1..=busy {
        let _busy = Busy::begin();
        checks.check(&format!("bootstrap of a busy host, {time} of {busy}"), || anew(&cloud));
        checks.check(&format!("members of a busy host, {time} of {busy}"), || changed(&cloud));
    }
    if std::env::var_os("AIO_TEST_KEEP").is_none() {
        checks.needed("destroy", || {
            process::run(cloud.command(&["destroy", "--yes"]), Duration::from_secs(300)).ok();
            let _ = fs::remove_dir_all(cloud.state_dir.parent().unwrap());
        });
    }
    checks.finish();
}

/// A new cloud in the place of the one before; layers are kept.
fn anew(cloud: &Cloud) {
    if cloud.state_dir.join("private/clouds").join(&cloud.name).exists() {
        let destroy = cloud.command(&["destroy", "--yes", "--keep-images"]);
        process::run(destroy, Duration::from_secs(300)).ok();
    }
    let started = Instant::now();
    cloud.bootstrap(&["--scenario", "default"]);
    println!("  {:.0} s", started.elapsed().as_secs_f64());
    whole(cloud);
}

/// Everything is healthy and there is nothing left to do.
fn whole(cloud: &Cloud) {
    cloud.healthy_within(Duration::from_secs(60));
    let again = cloud.bootstrap(&[]);
    assert_eq!(again.changed(), 0, "{:?}", again.changed_steps());
}

/// Members of every kind that can have more or fewer: one more, and gone again.
fn changed(cloud: &Cloud) {
    if !cloud.state_dir.join("private/clouds").join(&cloud.name).exists() {
        cloud.bootstrap(&["--scenario", "default"]);
    }
    let profiles = Profiles::load(&cloud.config_dir).unwrap();
    let status = cloud.status();
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for row in containers(&status) {
        let kind = row["kind"].as_str().unwrap();
        match kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, members)) => *members += 1,
            None => kinds.push((kind.to_owned(), 1)),
        }
    }
    kinds.retain(|(kind, members)| {
        let (_, definition) = profiles.kind(kind).unwrap();
        let most = definition.most.is_none_or(|most| usize::try_from(most).unwrap() > *members);
        most && definition.cluster.is_none()
    });
    for kinds in kinds.chunks(AT_ONCE) {
        let set = |more: usize| -> Vec<String> {
            let choice =
                |(kind, members): &(String, usize)| format!("{kind}.members={}", members + more);
            kinds.iter().flat_map(|kind| ["--set".to_owned(), choice(kind)]).collect()
        };
        let bootstrap = |options: &[String]| {
            let options: Vec<&str> = options.iter().map(String::as_str).chain(["--yes"]).collect();
            let started = Instant::now();
            cloud.bootstrap(&options);
            println!("  {}: {:.0} s", options.join(" "), started.elapsed().as_secs_f64());
            cloud.healthy_within(Duration::from_secs(60));
        };
        bootstrap(&set(1));
        let extra: Vec<(String, String)> = kinds
            .iter()
            .map(|(kind, members)| {
                let name = cloud.container(kind, u64::try_from(members + 1).unwrap());
                (kind.clone(), name)
            })
            .collect();
        bootstrap(&set(0));
        nothing_is_left(cloud, &extra);
    }
    whole(cloud);
}

/// Every password of the cloud is another one.
fn passwords(cloud: &Cloud) {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    for name in cloud.secrets().into_keys().filter(|name| name.ends_with("_password")) {
        cloud.edit_secret(&name, &format!("{name}-{at}"));
    }
    let started = Instant::now();
    assert!(cloud.bootstrap(&[]).changed() > 0);
    println!("  {:.0} s", started.elapsed().as_secs_f64());
    whole(cloud);
}

/// What an operator sees of a cloud that says who is part of it.
const RECORDS: &str = "
openstack compute service list -f value -c Host
openstack hypervisor list -f value -c 'Hypervisor Hostname'
openstack volume service list -f value -c Host
openstack network agent list -f value -c Host
openstack orchestration service list -f value -c Hostname
";

/// No record names a member that went, on either side.
fn nothing_is_left(cloud: &Cloud, gone: &[(String, String)]) {
    let attach = |kind: &str, script: &str| {
        let arguments = ["attach", kind, "--", "bash", "-euo", "pipefail", "-c", script];
        process::run(cloud.command(&arguments), Duration::from_secs(180)).ok().stdout
    };
    let queues = "for vhost in $(rabbitmqctl -q list_vhosts --no-table-headers); do
        rabbitmqctl -q list_queues -p $vhost --no-table-headers name; done";
    let cells = "mariadb -BN -e 'SELECT host FROM nova_api.host_mappings;
        SELECT name FROM placement.resource_providers'";
    let chassis = "ovn-sbctl --bare --columns=name list Chassis; ovn-sbctl --bare --columns=name list Chassis_Private";
    let seen = [
        ("clients", attach("utility", &format!(". /root/openrc\n{RECORDS}"))),
        ("queues", attach("rabbit_mq/1", queues)),
        ("cells", attach("galera/1", cells)),
        ("chassis", attach("neutron_agents", chassis)),
        ("logs", attach("rsyslog/1", "ls /var/log/containers")),
        ("load balancer", cloud.ok(&["status"])),
        ("containers", shell("lxc-ls -1")),
    ];
    for (kind, name) in gone {
        let hostname = name.replace('_', "-");
        for (where_, text) in &seen {
            let left: Vec<&str> = text
                .lines()
                .filter(|line| line.contains(name) || line.contains(&hostname))
                .collect();
            assert!(left.is_empty(), "of {kind} is left, in {where_}: {left:?}");
        }
    }
}
