//! What control groups say about a container, as the host sees them: which units have processes, and
//! whether its memory was too little.

use std::path::{Path, PathBuf};

use crate::lxc::process::Stat;

/// The container's own group, given that of its init, relative to a hierarchy's mount point.
fn payload(path: &str) -> &str {
    path.strip_suffix("/init.scope").unwrap_or(path).trim_start_matches('/')
}

/// Directories, in every hierarchy that may know, of the container whose init is `pid`.
fn hierarchies(mounts: &Path, cgroup_file: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in cgroup_file.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let below: &[&str] = match controllers {
            // systemd's own tree on a host with version 1.
            "name=systemd" => &["systemd"],
            // Version 2 alone, or beside version 1.
            "" => &["", "unified"],
            _ => continue,
        };
        let path = payload(path);
        found.extend(below.iter().map(|mount| mounts.join(mount).join(path)));
    }
    found.retain(|path| path.is_dir());
    found
}

/// `a@b.service` stands in `system-a.slice`; everything else in `system.slice` itself.
fn unit_path(unit: &str) -> PathBuf {
    let slice = Path::new("system.slice");
    match unit.split_once('@') {
        Some((template, _)) => {
            slice.join(format!("system-{}.slice", template.replace('-', "\\x2d"))).join(unit)
        }
        None => slice.join(unit),
    }
}

/// Whether a control group or one below it has a process.
fn populated(group: &Path) -> bool {
    if let Ok(events) = std::fs::read_to_string(group.join("cgroup.events")) {
        return events.lines().any(|line| line == "populated 1");
    }
    let own = std::fs::read_to_string(group.join("cgroup.procs"));
    if own.is_ok_and(|text| !text.trim().is_empty()) {
        return true;
    }
    let Ok(entries) = std::fs::read_dir(group) else { return false };
    entries.flatten().any(|entry| entry.path().is_dir() && populated(&entry.path()))
}

/// Which of `units` have a process, given the text of `/proc/PID/cgroup` of the container's init.
pub(super) fn active(mounts: &Path, cgroup_file: &str, units: &[String]) -> Vec<bool> {
    let hierarchies = hierarchies(mounts, cgroup_file);
    let is_active = |unit: &String| {
        let path = unit_path(unit);
        hierarchies.iter().any(|hierarchy| populated(&hierarchy.join(&path)))
    };
    units.iter().map(is_active).collect()
}

/// How many processes the kernel killed since the container's start because its memory was at its
/// limit, given the text of `/proc/PID/cgroup` of its init.
pub(super) fn memory_kills(mounts: &Path, cgroup_file: &str) -> u64 {
    let kills_of = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return 0 };
        match controllers {
            // Counts what happened in the groups below, too.
            "" => kills(&mounts.join(payload(path)).join("memory.events")),
            "memory" => kills_below(&mounts.join("memory").join(payload(path))),
            _ => 0,
        }
    };
    cgroup_file.lines().map(kills_of).sum()
}

/// In version 1 each group counts its own.
fn kills_below(group: &Path) -> u64 {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    let below: u64 = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .map(|path| kills_below(&path))
        .sum();
    below + kills(&group.join("memory.oom_control"))
}

/// The line `oom_kill N`.
fn kills(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The process of a service that the container's init started itself.
pub(super) fn main_process(
    mounts: &Path,
    cgroup_file: &str,
    unit: &str,
    init_pid: u32,
) -> Option<u32> {
    let groups = hierarchies(mounts, cgroup_file).into_iter().map(|it| it.join(unit_path(unit)));
    let mut processes = groups
        .filter_map(|group| std::fs::read_to_string(group.join("cgroup.procs")).ok())
        .flat_map(|text| text.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>());
    let parent = |pid: &u32| u32::try_from(Stat::of(*pid)?.parent).ok();
    processes.find(|pid| parent(pid) == Some(init_pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(mounts: &Path, path: &str, file: &str, text: &str) {
        std::fs::create_dir_all(mounts.join(path)).unwrap();
        std::fs::write(mounts.join(path).join(file), text).unwrap();
    }

    #[test]
    fn version_2_says_it_in_events() {
        let mounts = tempfile::tempdir().unwrap();
        let slice = "lxc.payload.x/system.slice";
        group(mounts.path(), &format!("{slice}/a.service"), "cgroup.events", "populated 1\n");
        group(mounts.path(), &format!("{slice}/b.service"), "cgroup.events", "populated 0\n");
        let instance = format!("{slice}/system-my\\x2dswift.slice/my-swift@sdb.service");
        group(mounts.path(), &instance, "cgroup.events", "populated 1\nfrozen 0\n");
        let units =
            ["a.service", "b.service", "c.service", "my-swift@sdb.service"].map(str::to_owned);
        let file = "0::/lxc.payload.x/init.scope\n";
        assert_eq!(active(mounts.path(), file, &units), [true, false, false, true]);
    }

    #[test]
    fn processes_killed_for_memory_are_counted_in_both_versions() {
        let mounts = tempfile::tempdir().unwrap();
        let kills = |file: &str| memory_kills(mounts.path(), file);
        group(mounts.path(), "lxc.payload.x", "memory.events", "oom 3\noom_kill 2\n");
        assert_eq!(kills("0::/lxc.payload.x/init.scope\n"), 2);
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n";
        group(mounts.path(), "memory/lxc.payload.y", "memory.oom_control", text);
        group(mounts.path(), "memory/lxc.payload.y/a", "memory.oom_control", text);
        assert_eq!(kills("4:memory:/lxc.payload.y\n9:name=systemd:/lxc.payload.y/init.scope\n"), 2);
        assert_eq!(kills("0::/lxc.payload.z\n"), 0);
    }

    #[test]
    fn version_1_has_processes_in_the_group_or_below() {
        let mounts = tempfile::tempdir().unwrap();
        let slice = "systemd/lxc.payload.x-1/system.slice";
        group(mounts.path(), &format!("{slice}/a.service/worker"), "cgroup.procs", "12\n");
        group(mounts.path(), &format!("{slice}/b.service"), "cgroup.procs", "");
        let units = ["a.service", "b.service"].map(str::to_owned);
        let file = "9:name=systemd:/lxc.payload.x-1/init.scope\n4:memory:/lxc.payload.x-1\n";
        assert_eq!(active(mounts.path(), file, &units), [true, false]);
    }
}
