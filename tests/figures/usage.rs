//! What the idle cloud takes: memory and disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::support::cloud::{Cloud, containers};
use crate::support::process::shell;
use crate::table::{Table, Target};

/// Kinds whose data is the users' and not the cloud's.
const DATA_APART: [&str; 2] = ["galera", "rabbit_mq"];

pub const MIB: f64 = 1024.0 * 1024.0;

pub fn measure(cloud: &Cloud, table: &mut Table) {
    let what = "memory of the idle cloud, sum of PSS";
    for _ in 0..table.times(what, 3) {
        thread::sleep(Duration::from_secs(5));
        table.number(what, Target::AtMost(2048.0), "MiB", memory_bytes(cloud) / MIB);
    }
    let what = "disk of a container beyond the shared layers";
    if table.times(what, 1) == 0 {
        return;
    }
    for row in containers(&cloud.status()) {
        let (name, kind) = (row["name"].as_str().unwrap(), row["kind"].as_str().unwrap());
        let bytes = disk_bytes(cloud, name, !DATA_APART.contains(&kind));
        println!("  {name}: {:.1} MiB", bytes / MIB);
        table.number(what, Target::NeverAbove(60.0), "MiB", bytes / MIB);
    }
}

/// Proportional set sizes of all processes in the containers' process namespaces, and of LXC's
/// monitors.
pub fn memory_bytes(cloud: &Cloud) -> f64 {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let names = cloud.lxc_names();
    let inits = names.iter().map(|name| shell(&format!("lxc-info -n {name} -p -H")));
    let namespaces: BTreeSet<PathBuf> = inits.filter_map(|pid| namespace(pid.trim())).collect();
    let mut kib = 0.0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().into_string().unwrap_or_default();
        if !pid.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let command = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let monitor = command.starts_with("[lxc monitor]")
            && names.iter().any(|name| command.contains(name.as_str()));
        if monitor || namespace(&pid).is_some_and(|own| namespaces.contains(&own)) {
            let rollup = fs::read_to_string(entry.path().join("smaps_rollup")).unwrap_or_default();
            let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            let number = pss.and_then(|rest| rest.split_whitespace().next());
            kib += number.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        }
    }
    kib * 1024.0
}

/// Blocks of its upper directory and its journal, and of its data where they count.
fn disk_bytes(cloud: &Cloud, name: &str, with_data: bool) -> f64 {
    let own = cloud.state_dir.join("private/clouds").join(&cloud.name);
    let machine = cloud.inside(name, "cat /etc/machine-id").ok().stdout;
    let mut bytes = used(&own.join("containers").join(name).join("upper"));
    bytes += used(&own.join("journal").join(machine.trim()));
    if with_data {
        bytes += used(&own.join("data").join(name));
    }
    bytes
}

/// Bytes of a directory's blocks.
pub fn used(path: &Path) -> f64 {
    if !path.exists() {
        return 0.0;
    }
    let printed = shell(&format!("du -sx --block-size=1 '{}' | cut -f1", path.display()));
    printed.trim().parse().unwrap()
}
