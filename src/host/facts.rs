//! Reads all facts about this host. Changes nothing; what cannot be read is left unknown.

pub mod abilities;
pub mod drivers;
pub mod limits;
pub mod online;
pub mod parse;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::network::obstacles;
use super::tool::run;
use crate::config::network::Range;
use crate::lxc::process::TOOL_PATH;
use crate::model::facts::{HostFacts, KernelFacts, NetworkFacts, StorageFacts};

/// Programs that `aio` runs.
pub const PROGRAMS: [&str; 7] =
    ["apt-get", "dpkg-deb", "ip", "lxc-start", "mmdebstrap", "nft", "setpriv"];

/// Settings of the kernel that decisions depend on, beside those that a release names.
const KERNEL_SETTINGS: [&str; 7] = [
    "fs.inotify.max_queued_events",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "kernel.pid_max",
    "net.bridge.bridge-nf-call-iptables",
    "net.ipv4.ip_forward",
    "user.max_user_namespaces",
];

/// How far to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What planning needs: milliseconds, no packet is sent.
    Quick,
    /// Everything: abilities are tried (as root), the package index and the resolver are asked.
    Thorough,
}

/// Reads the facts of this host, with the file system where `state_dir` is or will be.
pub async fn read(state_dir: &Path, depth: Depth) -> HostFacts {
    let root = rustix::process::geteuid().is_root();
    let thorough = depth == Depth::Thorough;
    let kernel = kernel();
    let storage = storage(state_dir);
    let (abilities, network, liblxc, online) = tokio::join!(
        abilities::read(&kernel, &storage, thorough, root),
        network(state_dir, thorough && root),
        run("ask for LXC's version", "lxc-start", &["--version"], ""),
        async { if thorough { online::read().await } else { online::Online::default() } },
    );
    HostFacts {
        read_as_root: root,
        cores: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory: parse::memory(&limits::text("/proc/meminfo")),
        storage,
        kernel,
        limits: limits::read(root, thorough),
        distribution: parse::distribution(&limits::text("/etc/os-release")),
        abilities,
        liblxc: liblxc.ok().and_then(|said| parse::version(&said)),
        programs: programs(),
        network: NetworkFacts { resolves_names: online.resolves, ..network },
        clock: online::clock(online.index_date),
        package_index: online.index,
    }
}

fn kernel() -> KernelFacts {
    let system = rustix::system::uname();
    let settings = KERNEL_SETTINGS.iter().filter_map(|name| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let value = fs::read_to_string(path).ok()?.trim().parse().ok()?;
        Some(((*name).to_owned(), value))
    });
    KernelFacts {
        release: system.release().to_string_lossy().into_owned(),
        machine: system.machine().to_string_lossy().into_owned(),
        cgroup: parse::cgroup_layout(&limits::text("/proc/self/mountinfo")),
        // What systemd's own `sd_booted` asks.
        systemd: Path::new("/run/systemd/system").is_dir(),
        apparmor: limits::text("/sys/module/apparmor/parameters/enabled").starts_with('Y'),
        settings: settings.collect(),
    }
}

/// What a cloud's file system still has for it; `None` while there is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Free, in MiB.
    pub free_mib: u64,
    /// What should be left free, in MiB.
    pub reserve_mib: u64,
}

impl Shortage {
    /// What a user should know of it, with what to do.
    pub fn sentence(&self, directory: &Path) -> String {
        format!(
            "{} MiB are free in {}, and {} should be: images, volumes, objects and logs of the cloud are \
             there. `aio image prune` removes layers that no container uses.",
            self.free_mib,
            directory.display(),
            self.reserve_mib
        )
    }
}

/// Whether less is free below a directory than should be: a twentieth, and no more than 5 GiB. What
/// tenants and services write ends up there, and what is full has no place for a way out.
pub fn shortage(directory: &Path) -> Option<Shortage> {
    const MIB: u64 = 1 << 20;
    let found = rustix::fs::statvfs(directory).ok()?;
    is_short(found.f_bavail * found.f_frsize / MIB, found.f_blocks * found.f_frsize / MIB)
}

fn is_short(free_mib: u64, total_mib: u64) -> Option<Shortage> {
    let reserve_mib = (total_mib / 20).min(5 << 10);
    (free_mib < reserve_mib).then_some(Shortage { free_mib, reserve_mib })
}

fn storage(state_dir: &Path) -> StorageFacts {
    let there = state_dir.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new("/"));
    let real = fs::canonicalize(there).unwrap_or_else(|_| there.to_owned());
    let (filesystem, read_only) =
        parse::filesystem_of(&limits::text("/proc/self/mountinfo"), &real.to_string_lossy());
    let found = rustix::fs::statvfs(&real).ok();
    StorageFacts {
        path: state_dir.display().to_string(),
        filesystem,
        free_mib: found.as_ref().map_or(0, |it| it.f_bavail * it.f_frsize / (1024 * 1024)),
        // A file system that counts none (btrfs) makes them as it needs them.
        free_inodes: found.as_ref().filter(|it| it.f_files > 0).map(|it| it.f_favail),
        read_only,
    }
}

fn programs() -> BTreeMap<String, Option<String>> {
    let find = |program: &str| {
        let mut places =
            TOOL_PATH.split(':').map(|directory| PathBuf::from(directory).join(program));
        places.find(|path| path.is_file()).map(|path| path.display().to_string())
    };
    PROGRAMS.iter().map(|program| ((*program).to_owned(), find(program))).collect()
}

async fn network(state_dir: &Path, firewalls: bool) -> NetworkFacts {
    let doing = "look at the host's network";
    let (addresses, routes, forward_chains) = tokio::join!(
        run(doing, "ip", &["-json", "-4", "address", "show"], ""),
        run(doing, "ip", &["-json", "-4", "route", "show", "table", "all"], ""),
        async { if firewalls { obstacles::read().await } else { Vec::new() } },
    );
    let mut listening = parse::listeners(&limits::text("/proc/net/tcp"));
    listening.extend(parse::listeners(&limits::text("/proc/net/tcp6")));
    listening.sort_by_key(|listener| (listener.port, listener.address));
    listening.dedup();
    NetworkFacts {
        addresses: parse::addresses(&addresses.unwrap_or_default()),
        routes: parse::routes(&routes.unwrap_or_default()),
        clouds: clouds(state_dir),
        listening,
        resolvers: resolvers(),
        resolves_names: None,
        forward_chains,
    }
}

/// Name servers that are of use to containers. A resolver of the host's own stands on loopback;
/// systemd and NetworkManager write down beside it whom it asks.
fn resolvers() -> Vec<IpAddr> {
    let files = [
        "/etc/resolv.conf",
        "/run/systemd/resolve/resolv.conf",
        "/run/NetworkManager/no-stub-resolv.conf",
    ];
    let mut all = files.iter().map(|file| parse::resolvers(&limits::text(file)));
    all.find(|found| !found.is_empty()).unwrap_or_default()
}

/// Ranges of the clouds that this state directory holds, which only root can see.
fn clouds(state_dir: &Path) -> BTreeMap<String, Vec<Range>> {
    let entries = fs::read_dir(state_dir.join("private/clouds"));
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut all = BTreeMap::new();
    for name in names.filter_map(|name| name.into_string().ok()) {
        let paths = crate::model::paths::Paths {
            config_dir: PathBuf::new(),
            state_dir: state_dir.to_owned(),
            cloud: name.clone(),
        };
        let recorded = fs::read_to_string(paths.recorded_cloud_file()).unwrap_or_default();
        let cloud: serde_json::Value = serde_json::from_str(&recorded).unwrap_or_default();
        let networks = cloud["networks"]["networks"].as_array().into_iter().flatten();
        let ranges: Vec<Range> =
            networks.filter_map(|network| network["range"].as_str()?.parse().ok()).collect();
        if !ranges.is_empty() {
            all.insert(name, ranges);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_is_kept_free_and_never_more_than_5_gib() {
        assert_eq!(is_short(1024, 20 << 10), None);
        assert_eq!(is_short(1023, 20 << 10), Some(Shortage { free_mib: 1023, reserve_mib: 1024 }));
        assert_eq!(is_short(5 << 10, 4 << 20), None);
        assert!(is_short(4 << 10, 4 << 20).is_some());
    }
}
