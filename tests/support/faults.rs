//! Faults, on a cloud's own containers alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cloud::{Cloud, containers};
use super::process::{self, shell};

/// How a member is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `lxc-stop -k`: its kernel still says good-bye to some of its peers.
    Killed,
    /// Its links are cut first: not a word leaves it.
    CutThenKilled,
}

impl Fault {
    /// For names and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::CutThenKilled => "cut off and killed",
        }
    }

    /// Does it.
    pub fn strike(self, name: &str) {
        if self == Self::CutThenKilled {
            cut(name);
        }
        let _ = Command::new("lxc-stop").args(["-k", "-n", name]).status();
    }
}

/// Cuts a container's links: it runs on, and not a word reaches or leaves it.
pub fn cut(name: &str) {
    for link in host_links(name) {
        let _ = Command::new("ip").args(["link", "set", &link, "down"]).status();
    }
}

/// The host's ends of a container's links.
fn host_links(name: &str) -> Vec<String> {
    let info = shell(&format!("lxc-info -n {name} -H"));
    info.lines()
        .filter_map(|line| line.strip_prefix("Link:"))
        .map(|link| link.trim().to_owned())
        .collect()
}

/// The member whose loss is felt most: the one that serves the most sessions.
pub fn victim(cloud: &Cloud, kind: &str) -> String {
    let status = cloud.status();
    let backends = status["backends"].as_array().into_iter().flatten();
    let of_kind = backends.filter(|backend| name(backend).contains(&format!("_{kind}_")));
    let busiest = of_kind.max_by_key(|backend| backend["sessions"].as_u64());
    match busiest {
        Some(backend) if backend["sessions"].as_u64() > Some(0) => name(backend).to_owned(),
        _ => cloud.container(kind, 1),
    }
}

fn name(backend: &Value) -> &str {
    backend["server"].as_str().unwrap_or_default()
}

/// Takes away all that a reboot takes away, of this cloud alone.
pub fn forget_everything_but_files(cloud: &Cloud) {
    let bridges = bridges(cloud);
    assert!(!bridges.is_empty(), "the cloud has bridges");
    cloud.cut_power();
    thread::sleep(Duration::from_millis(500));
    for (bridge, range) in &bridges {
        shell(&format!("ip link delete {bridge}"));
        shell(&format!("ip route delete unreachable {range} || :"));
        // The cloud's table is the one that names its ranges.
        shell(&format!(
            "nft list tables | while read -r table; do
                 if nft list $table | grep -qF '{range}'; then nft delete $table; fi
             done"
        ));
    }
    let mounted = shell("cut -d' ' -f5 /proc/self/mountinfo");
    for mount in mounted.lines().rev().filter(|path| Path::new(path).starts_with(&cloud.state_dir))
    {
        shell(&format!("umount '{mount}'"));
    }
}

/// What the boot unit runs, within the first limit, and the cloud healthy within the second after it.
/// How long both took.
pub fn boot(cloud: &Cloud, start: Duration, healthy: Duration) -> Duration {
    let mut command = Command::new(cloud.state_dir.join("bin/aio"));
    command.args(["--name", &cloud.name, "--config-dir"]).arg(&cloud.config_dir);
    command.arg("--state-dir").arg(&cloud.state_dir).arg("start");
    let started = Instant::now();
    process::run(command, start).ok();
    cloud.healthy_within(healthy);
    started.elapsed()
}

/// The cloud's bridges, each with its range: those by which the host reaches its containers.
fn bridges(cloud: &Cloud) -> BTreeSet<(String, String)> {
    let status = cloud.status();
    let addresses = containers(&status)
        .flat_map(|row| row["addresses"].as_object().unwrap().values())
        .filter_map(Value::as_str);
    let mut bridges = BTreeSet::new();
    for address in addresses {
        // `172.29.236.0/22 dev br-mgmt proto kernel scope link src 172.29.236.100`
        let route = shell(&format!("ip -o route list match {address} scope link"));
        let words: Vec<&str> = route.split_whitespace().collect();
        if let [range, "dev", bridge, ..] = words.as_slice() {
            bridges.insert(((*bridge).to_owned(), (*range).to_owned()));
        }
    }
    bridges
}
