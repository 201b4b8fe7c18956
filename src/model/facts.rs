//! Everything about a host that decisions depend on, as one value.
//!
//! [`crate::host::facts`] reads it, `aio size --output json` prints it, and every decision takes
//! it as an argument: a host that is not here is tested from the JSON that it printed. A fact
//! that could not be read is `Unknown` (or absent), never a guess: only what is known to be wrong
//! refuses a host.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::config::network::Range;
use crate::model::topology::bridge_prefix;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct HostFacts {
    /// Whether root read them: some facts are only visible to root.
    pub read_as_root: bool,
    /// Processor cores that may be used.
    pub cores: u32,
    pub memory: MemoryFacts,
    /// The file system on which the state directory lives or will live.
    pub storage: StorageFacts,
    pub kernel: KernelFacts,
    pub distribution: DistributionFacts,
    /// What the kernel counts: see [`crate::model::sizing::limits::LIMITS`].
    #[serde(default)]
    pub limits: BTreeMap<String, LimitFact>,
    /// What the kernel can do.
    pub abilities: BTreeMap<Ability, Presence>,
    /// liblxc's version, if it is installed: `5.0.2`.
    pub liblxc: Option<String>,
    /// Where programs that `aio` runs were found; absent ones map to nothing.
    pub programs: BTreeMap<String, Option<String>>,
    pub network: NetworkFacts,
    pub clock: ClockFacts,
    pub package_index: IndexFacts,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct MemoryFacts {
    /// All of it.
    pub total_mib: u64,
    /// What can be given out without swapping, now.
    pub available_mib: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct StorageFacts {
    /// The directory asked about.
    pub path: String,
    /// `ext4`.
    pub filesystem: String,
    /// Free for everybody, in MiB.
    pub free_mib: u64,
    /// Free inodes; absent where the file system makes them as it needs them.
    pub free_inodes: Option<u64>,
    pub read_only: bool,
}

/// How the kernel presents control groups.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CgroupLayout {
    /// Version 2 alone.
    Unified,
    /// Version 1 controllers beside a version 2 tree.
    Hybrid,
    /// Version 1 alone.
    Legacy,
    /// None is mounted.
    Absent,
}

/// The kernel and its settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct KernelFacts {
    /// `6.12.48+deb13-amd64`.
    pub release: String,
    /// `x86_64`.
    pub machine: String,
    pub cgroup: CgroupLayout,
    /// Whether systemd is process 1.
    pub systemd: bool,
    /// Whether AppArmor is enabled.
    pub apparmor: bool,
    /// Settings that matter, by name; those that are not there are left out.
    pub settings: BTreeMap<String, i64>,
}

impl KernelFacts {
    /// Major and minor version, if the release begins with them.
    pub fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(['.', '-', '+']);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

/// One of the things that the kernel counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct LimitFact {
    /// How many there may be; absent where nobody could tell, and where there is no limit.
    pub most: Option<u64>,
    /// How many there are; of what is counted for each user, how many the one who has most of those
    /// that stand for a container's.
    pub used: Option<u64>,
}

/// The distribution, from `/etc/os-release`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct DistributionFacts {
    /// `debian`.
    pub id: String,
    /// `trixie`; empty when it has none.
    pub codename: String,
    /// `Debian GNU/Linux 13 (trixie)`.
    pub name: String,
}

/// What `aio` needs the kernel to be able to do.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Stacked file systems: a container's root.
    Overlayfs,
    /// ID-mapped mounts of the state directory's file system, and overlays of them: unprivileged
    /// containers.
    IdMappedMounts,
    /// User namespaces: unprivileged containers.
    UserNamespaces,
    Bridge,
    Veth,
    /// nf_tables with connection tracking and address translation.
    NfTables,
    /// nf_tables on frames of bridges: addresses of containers pinned to their interfaces.
    BridgeTables,
    Tun,
    /// Limits of memory by control group.
    MemoryLimits,
    /// Shares of the processors by control group.
    CpuWeights,
}

impl Ability {
    pub const ALL: [Self; 10] = [
        Self::Overlayfs,
        Self::IdMappedMounts,
        Self::UserNamespaces,
        Self::Bridge,
        Self::Veth,
        Self::NfTables,
        Self::BridgeTables,
        Self::Tun,
        Self::MemoryLimits,
        Self::CpuWeights,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::Overlayfs => "overlay file system",
            Self::IdMappedMounts => "ID-mapped mounts",
            Self::UserNamespaces => "user namespaces",
            Self::Bridge => "bridges",
            Self::Veth => "veth pairs",
            Self::NfTables => "nf_tables with address translation",
            Self::BridgeTables => "nf_tables on bridges",
            Self::Tun => "/dev/net/tun",
            Self::MemoryLimits => "memory limits by control group",
            Self::CpuWeights => "shares of the processors by control group",
        }
    }
}

/// Whether the host has something, and how that is known.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Presence {
    pub is: Answer,
    /// "tried", "a module that loads by itself", "kernel 6.12", …
    pub because: String,
}

/// An answer that may be missing.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is there, or loads by itself when it is used.
    Yes,
    /// It is known not to be there.
    No,
    Unknown,
}

impl Presence {
    pub fn yes(because: impl Into<String>) -> Self {
        Self { is: Answer::Yes, because: because.into() }
    }

    pub fn no(because: impl Into<String>) -> Self {
        Self { is: Answer::No, because: because.into() }
    }

    pub fn unknown(because: impl Into<String>) -> Self {
        Self { is: Answer::Unknown, because: because.into() }
    }
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NetworkFacts {
    pub addresses: Vec<HostAddress>,
    /// IPv4 routes of all tables but the kernel's own `local`.
    pub routes: Vec<HostRoute>,
    /// Ranges that clouds of this state directory hold, running or not (root only).
    pub clouds: BTreeMap<String, Vec<Range>>,
    /// TCP ports on which something listens.
    pub listening: Vec<Listener>,
    /// Servers that resolve names for containers: those of the host that are not on loopback.
    pub resolvers: Vec<IpAddr>,
    pub resolves_names: Option<bool>,
    /// Chains that other tools hook into forwarding (root only).
    pub forward_chains: Vec<ForwardChain>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct HostAddress {
    /// `eth0`.
    pub interface: String,
    pub address: Ipv4Addr,
    pub prefix: u8,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct HostRoute {
    /// Where it leads; 0.0.0.0/0 for the default.
    pub destination: Range,
    /// `unicast`, `unreachable`, `blackhole`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// By which interface; absent for routes that lead nowhere.
    pub interface: Option<String>,
    pub metric: u32,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// On which address; 0.0.0.0 or `::` for all.
    pub address: IpAddr,
    pub port: u16,
}

/// A chain of a foreign firewall that decides about forwarded packets.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct ForwardChain {
    /// Whose it is: `docker`, `ufw`, `firewalld` or `unknown`.
    pub owner: String,
    /// Where it stands: `ip filter FORWARD`, `inet firewalld filter_FORWARD`.
    pub chain: String,
    /// What becomes of packets for which no rule speaks: `accept`, `drop`, `reject`.
    pub otherwise: String,
    /// Interfaces, or patterns of them, from which its rules let new connections through.
    pub accepts_from: Vec<String>,
    /// Interfaces, or patterns of them, towards which its rules let new connections through.
    pub accepts_to: Vec<String>,
    /// Whether answers to connections that were let through are let through.
    pub accepts_answers: bool,
    /// Whether connections that were sent on to another address (exposed ports) are let through.
    #[serde(default)]
    pub accepts_translated: bool,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct ClockFacts {
    /// Seconds since the epoch.
    pub now: u64,
    /// The latest moment that something on this host, or the package index, is known to be from:
    /// a clock that is far before it is wrong.
    pub not_before: u64,
}

/// The package index that this host's APT uses.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct IndexFacts {
    /// The address asked, if the host has one.
    pub uri: Option<String>,
    /// Whether it answered; absent when nobody asked.
    pub reachable: Option<bool>,
    pub error: Option<String>,
}

/// What to install for a program that is missing, on Debian and its relatives.
pub fn package_of(program: &str) -> &str {
    match program {
        "ip" => "iproute2",
        "nft" => "nftables",
        "lxc-start" => "lxc",
        "apt-get" => "apt",
        "dpkg-deb" => "dpkg",
        "setpriv" | "unshare" => "util-linux",
        other => other,
    }
}

impl HostFacts {
    pub fn can(&self, ability: Ability) -> Answer {
        self.abilities.get(&ability).map_or(Answer::Unknown, |presence| presence.is)
    }

    /// Returns why the host is known not to have an ability.
    pub fn missing(&self, ability: Ability) -> Option<&str> {
        let presence = self.abilities.get(&ability)?;
        (presence.is == Answer::No).then_some(presence.because.as_str())
    }

    /// The address by which others know this host: that of the interface of the default route.
    pub fn own_address(&self) -> Option<Ipv4Addr> {
        let defaults = self.network.routes.iter().filter(|route| route.destination.prefix == 0);
        let interface = defaults.min_by_key(|route| route.metric)?.interface.as_ref()?;
        let own = self.network.addresses.iter().find(|it| it.interface == *interface);
        own.map(|it| it.address)
    }

    /// Whether the cloud, or what an unfinished `bootstrap` left of it, is on this host.
    pub fn holds(&self, cloud: &str) -> bool {
        let prefix = bridge_prefix(cloud);
        self.network.clouds.contains_key(cloud)
            || self.network.addresses.iter().any(|it| it.interface.starts_with(&prefix))
    }
}
