//! What the kernel can do: tried where that is possible, derived elsewhere.
//!
//! Root tries in a network namespace of its own, which goes with the process: nothing of the host
//! changes. Others derive from the kernel's lists of drivers and from its version.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::drivers::Drivers;
use crate::host::network::{pins, rules};
use crate::host::tool::run;
use crate::model::facts::{
    Ability, Answer, CgroupLayout, KernelFacts, NetworkFacts, Presence, StorageFacts,
};
use crate::model::host_network::{Exposed, HostNetworkSpec, Port};
use crate::model::ranges;

/// All abilities. `thorough`: also with processes; `root`: where that helps, by trying.
pub async fn read(
    kernel: &KernelFacts,
    storage: &StorageFacts,
    thorough: bool,
    root: bool,
) -> BTreeMap<Ability, Presence> {
    let drivers = Drivers::new(&kernel.release, configuration(thorough).await);
    let mut all = BTreeMap::new();
    for ability in Ability::ALL {
        let tried = if thorough && root { attempt(ability).await } else { None };
        all.insert(ability, tried.unwrap_or_else(|| derive(ability, kernel, storage, &drivers)));
    }
    all
}

/// The configuration that some kernels carry with them, compressed.
async fn configuration(wanted: bool) -> Option<String> {
    let carried = Path::new("/proc/config.gz");
    if !wanted || !carried.exists() {
        return None;
    }
    run("read the kernel's configuration", "zcat", &["/proc/config.gz"], "").await.ok()
}

/// Tries it; nothing when that says nothing.
async fn attempt(ability: Ability) -> Option<Presence> {
    let outcome = match ability {
        Ability::Bridge => {
            unshared("ip", &["link", "add", "name", "b", "type", "bridge"], "").await
        }
        Ability::Veth => {
            let args = ["link", "add", "name", "a", "type", "veth", "peer", "name", "b"];
            unshared("ip", &args, "").await
        }
        Ability::NfTables => {
            unshared("nft", &["-f", "-"], &rules::ruleset(&sample_network()?)).await
        }
        Ability::BridgeTables => {
            unshared("nft", &["-f", "-"], &pins::ruleset(&sample_network()?)).await
        }
        _ => return None,
    };
    match outcome {
        Ok(()) => Some(Presence::yes("tried")),
        // Not allowed even here (in a container, say): that says nothing about the kernel.
        Err(why) if why.contains("not permitted") || why.contains("Permission denied") => None,
        // The tool itself is missing.
        Err(why) if why.contains("No such file or directory (os error") => None,
        Err(why) if why.contains("unshare: failed to execute") => None,
        Err(why) => Some(Presence::no(format!("tried: {why}"))),
    }
}

async fn unshared(program: &str, args: &[&str], input: &str) -> Result<(), String> {
    let all: Vec<&str> = ["--net", program].into_iter().chain(args.iter().copied()).collect();
    let outcome = run("try it", "unshare", &all, input).await;
    outcome.map(drop).map_err(|error| {
        let said = error.output.unwrap_or_default();
        let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        // The line that says what, without the lines that show where.
        let what = lines.clone().find(|line| line.contains("Error")).or(lines.clone().next());
        what.map_or_else(|| error.causes.join(": "), str::to_owned)
    })
}

/// A network whose tables have everything that a cloud's may have.
fn sample_network() -> Option<HostNetworkSpec> {
    let choice = ranges::choose("probe", &BTreeMap::new(), &NetworkFacts::default()).ok()?;
    let port = |name: &str, switch| Port {
        name: name.to_owned(),
        mac: "00:16:3e:00:00:01".to_owned(),
        addresses: [[192, 0, 2, 1].into()].into(),
        switch,
        pool: switch.then(|| ([192, 0, 2, 2].into(), [192, 0, 2, 3].into())),
    };
    Some(HostNetworkSpec {
        exposed: vec![Exposed {
            address: [192, 0, 2, 1].into(),
            port: 1,
            door: [192, 0, 2, 2].into(),
        }],
        guest_ports: BTreeSet::from([1]),
        resolvers: Some(vec![[192, 0, 2, 1].into()]),
        ports: vec![port("a", false), port("b", true)],
        ..HostNetworkSpec::closed("probe", &choice.networks)
    })
}

fn derive(
    ability: Ability,
    kernel: &KernelFacts,
    storage: &StorageFacts,
    drivers: &Drivers,
) -> Presence {
    match ability {
        Ability::Overlayfs => overlayfs(drivers),
        Ability::IdMappedMounts => id_mapped(kernel, &storage.filesystem),
        Ability::UserNamespaces => user_namespaces(kernel),
        Ability::Bridge => drivers.find("bridge", "CONFIG_BRIDGE"),
        Ability::Veth => drivers.find("veth", "CONFIG_VETH"),
        Ability::NfTables => nf_tables(drivers),
        // A part of nf_tables, no module of its own.
        Ability::BridgeTables => drivers.find("nf_tables", "CONFIG_NF_TABLES_BRIDGE"),
        Ability::Tun if Path::new("/dev/net/tun").exists() => Presence::yes("the device is there"),
        Ability::Tun => drivers.find("tun", "CONFIG_TUN"),
        Ability::MemoryLimits => controller(kernel.cgroup, "memory"),
        Ability::CpuWeights => controller(kernel.cgroup, "cpu"),
    }
}

fn overlayfs(drivers: &Drivers) -> Presence {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if known.split_whitespace().any(|name| name == "overlay") {
        return Presence::yes("in /proc/filesystems");
    }
    drivers.find("overlay", "CONFIG_OVERLAY_FS")
}

/// All parts must be there; the first that is not decides.
fn nf_tables(drivers: &Drivers) -> Presence {
    let parts = [
        ("nf_tables", "CONFIG_NF_TABLES"),
        ("nft_ct", "CONFIG_NFT_CT"),
        ("nft_chain_nat", "CONFIG_NFT_NAT"),
        ("nft_masq", "CONFIG_NFT_MASQ"),
    ];
    let found = parts.map(|(module, symbol)| drivers.find(module, symbol));
    let worst = |answer| found.iter().find(|presence| presence.is == answer);
    let decisive = worst(Answer::No).or_else(|| worst(Answer::Unknown)).unwrap_or(&found[0]);
    decisive.clone()
}

/// Since which kernel a file system can be mounted with other ids, and an overlay be made of such
/// mounts (5.19).
fn id_mapped(kernel: &KernelFacts, filesystem: &str) -> Presence {
    const OVERLAY: (u32, u32) = (5, 19);
    let since = match filesystem {
        "ext4" | "xfs" | "btrfs" | "f2fs" | "erofs" => OVERLAY,
        "tmpfs" => (6, 3),
        "bcachefs" => (6, 7),
        // Since OpenZFS 2.2, which does not show in the kernel's version.
        "zfs" => return Presence::unknown("it depends on the version of ZFS"),
        other => return Presence::no(format!("the file system {other} has none")),
    };
    let needed = format!("{filesystem} has them since kernel {}.{}", since.0, since.1);
    match kernel.version() {
        Some(version) if version >= since => Presence::yes(needed),
        Some(_) => Presence::no(needed),
        None => Presence::unknown(needed),
    }
}

fn user_namespaces(kernel: &KernelFacts) -> Presence {
    if !Path::new("/proc/self/ns/user").exists() {
        return Presence::no("the kernel was built without CONFIG_USER_NS");
    }
    match kernel.settings.get("user.max_user_namespaces") {
        Some(0) => Presence::no("user.max_user_namespaces is 0"),
        _ => Presence::yes("/proc/self/ns/user"),
    }
}

/// Whether containers can be ruled by a controller of control groups. The fields of `/proc/cgroups` are
/// name, hierarchy (0: of none in version 1), groups, enabled.
fn controller(layout: CgroupLayout, name: &str) -> Presence {
    let says = |present: bool, file: &str| {
        if present { Presence::yes(file) } else { Presence::no(format!("not in {file}")) }
    };
    if layout == CgroupLayout::Unified {
        let file = "/sys/fs/cgroup/cgroup.controllers";
        let controllers = fs::read_to_string(file).unwrap_or_default();
        return says(controllers.split_whitespace().any(|known| known == name), file);
    }
    let file = "/proc/cgroups";
    let enabled = fs::read_to_string(file).unwrap_or_default().lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [known, hierarchy, _, "1"] if known == name && hierarchy != "0")
    });
    says(enabled, file)
}
