//! What the kernel counts, and how much of it is in use now.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::host::subids;
use crate::model::facts::LimitFact;
use crate::model::sizing::limits::{GROUP_TASKS, ID_RANGES, LIMITS, PROCESSES};

/// More id ranges than a cloud has containers.
const RANGES: u32 = 1024;

/// All limits by name. `root` counts as the user who will start containers; `thorough`: also what only
/// a look at every process tells.
pub fn read(root: bool, thorough: bool) -> BTreeMap<String, LimitFact> {
    let inotify = if root && thorough { Some(inotify()) } else { None };
    let read = |name: &str| match name {
        ID_RANGES => Some(id_ranges(Path::new("/etc"))),
        PROCESSES if root => processes(&text("/proc/self/limits")),
        PROCESSES => None,
        GROUP_TASKS => group_tasks(),
        setting => {
            let most = number(&format!("/proc/sys/{}", setting.replace('.', "/")))?;
            Some(LimitFact { most: Some(most), used: in_use(setting, inotify) })
        }
    };
    LIMITS.iter().filter_map(|limit| Some((limit.name.to_owned(), read(limit.name)?))).collect()
}

/// A file of the kernel; empty when it is not there.
pub(super) fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

fn in_use(setting: &str, inotify: Option<(u64, u64)>) -> Option<u64> {
    match setting {
        "kernel.keys.maxkeys" => Some(keys(&text("/proc/key-users")).0),
        "kernel.keys.maxbytes" => Some(keys(&text("/proc/key-users")).1),
        "fs.inotify.max_user_instances" => inotify.map(|(instances, _)| instances),
        "fs.inotify.max_user_watches" => inotify.map(|(_, watches)| watches),
        "kernel.threads-max" | "kernel.pid_max" => tasks(&text("/proc/loadavg")),
        "fs.file-max" => number("/proc/sys/fs/file-nr"),
        "fs.aio-max-nr" => number("/proc/sys/fs/aio-nr"),
        "kernel.pty.max" => number("/proc/sys/kernel/pty/nr"),
        "net.ipv4.neigh.default.gc_thresh2" | "net.ipv4.neigh.default.gc_thresh3" => {
            neighbours(&text("/proc/net/stat/arp_cache"))
        }
        _ => None,
    }
}

/// Keys and their bytes of the user who has most, of those who may stand for a container's. The
/// fields of `/proc/key-users` are user, references, keys, keys that count, bytes that count.
fn keys(text: &str) -> (u64, u64) {
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [user, .., keys, bytes] = fields[..] else { return None };
        let user: u32 = user.trim_end_matches(':').parse().ok()?;
        let number = |field: &str| field.split('/').next()?.parse::<u64>().ok();
        (user >= subids::FIRST).then_some((number(keys)?, number(bytes)?))
    };
    let counted = text.lines().filter_map(of);
    counted.fold((0, 0), |most, one| (most.0.max(one.0), most.1.max(one.1)))
}

/// The fourth field of `/proc/loadavg`: tasks that run, and all.
fn tasks(text: &str) -> Option<u64> {
    text.split_whitespace().nth(3)?.split('/').nth(1)?.parse().ok()
}

/// The first field of the second line, in hexadecimal: entries of the one table that all network
/// namespaces share.
fn neighbours(text: &str) -> Option<u64> {
    u64::from_str_radix(text.lines().nth(1)?.split_whitespace().next()?, 16).ok()
}

/// The soft limit of `Max processes`. The kernel counts all tasks of root's here, those of containers
/// that root made among them.
fn processes(limits: &str) -> Option<LimitFact> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max processes"))?;
    let most = line.split_whitespace().next()?.parse().ok();
    Some(LimitFact { most, used: tasks(&text("/proc/loadavg")) })
}

/// The root of the control groups has a limit only where it is somebody else's child. liblxc makes the
/// containers' groups right below it, whoever calls it.
fn group_tasks() -> Option<LimitFact> {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/pids"];
    let root = roots.iter().find(|root| Path::new(root).join("pids.max").exists())?;
    // `max` is no limit.
    Some(LimitFact {
        most: number(&format!("{root}/pids.max")),
        used: number(&format!("{root}/pids.current")),
    })
}

/// How many containers could be given ids.
fn id_ranges(etc: &Path) -> LimitFact {
    let mut taken = subids::accounts(etc);
    taken.extend(subids::lacking());
    for name in ["subuid", "subgid"] {
        let text = fs::read_to_string(etc.join(name)).unwrap_or_default();
        taken.extend(text.lines().filter_map(subids::parse_line));
    }
    LimitFact { most: Some(u64::from(subids::free(&taken, RANGES).slots())), used: None }
}

/// Inotify instances and watches of all processes.
fn inotify() -> (u64, u64) {
    let (mut instances, mut watches) = (0, 0);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.filter(|it| it.file_name().to_string_lossy().parse::<u32>().is_ok()) {
        let open = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let is_inotify = |path: &Path| {
            fs::read_link(path).is_ok_and(|target| target.as_os_str() == "anon_inode:inotify")
        };
        for file in open.filter(|file| is_inotify(&file.path())) {
            let about = process.path().join("fdinfo").join(file.file_name());
            let about = fs::read_to_string(about).unwrap_or_default();
            let watched = about.lines().filter(|line| line.starts_with("inotify wd:")).count();
            instances += 1;
            watches += u64::try_from(watched).unwrap_or(0);
        }
    }
    (instances, watches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        let users = "    0:     9 8/8 3/1000000 40/25000000\n\
                     100000:   220 220/220 220/200 3736/20000\n100100:    44 44/44 44/200 372/20000\n";
        assert_eq!(keys(users), (220, 3736));
        assert_eq!(keys(""), (0, 0));
        assert_eq!(tasks("3.34 4.57 4.58 4/1318 4829\n"), Some(1318));
        let table = "entries  allocs destroys\n000000ce  00000001 00000000\n000000ce 0 0\n";
        assert_eq!(neighbours(table), Some(206));
        let limits = |most: &str| {
            let text =
                format!("Limit  Soft Limit\nMax processes             {most}   9  processes\n");
            processes(&text).unwrap().most
        };
        assert_eq!((limits("96364"), limits("unlimited")), (Some(96_364), None));
    }

    #[test]
    fn this_host_says_what_it_counts() {
        let all = read(false, false);
        assert!(all["kernel.pid_max"].most > all["kernel.pid_max"].used);
        assert!(all.contains_key(ID_RANGES));
    }
}
