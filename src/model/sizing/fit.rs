//! Whether a host can carry a cloud, and which one it gets when nobody says.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::demand::Demand;
use super::limits;
use crate::config::profile::ServiceProfile;
use crate::config::release::Release;
use crate::config::scenario::Scenario;
use crate::error::{Error, ErrorKind, Result};
use crate::model::facts::{Ability, Answer, CgroupLayout, HostFacts, package_of};

/// A clock that is further behind than this is wrong: an index signed in its future is refused.
const CLOCK_TOLERANCE_SECS: u64 = 24 * 3600;

/// What a file system must not be for the upper directories of overlays.
const UNSUITED_FILESYSTEMS: [&str; 9] =
    ["overlay", "nfs", "nfs4", "cifs", "vfat", "exfat", "ntfs", "fuseblk", "ecryptfs"];

/// The oldest liblxc on which containers were run: Debian 12 has it.
const LEAST_LIBLXC: u32 = 5;

/// Something that the host lacks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// What: "memory".
    pub what: String,
    /// What was found: "3900 MiB".
    pub found: String,
    /// What is needed: "5408 MiB".
    pub needed: String,
    /// What to do, as a sentence.
    pub advice: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub scenario: String,
    /// Why this one: a comment for `cloud.yml`.
    pub reason: String,
}

#[derive(Clone, Copy)]
pub struct Alternatives<'a> {
    pub scenarios: &'a [&'a Scenario],
    /// Members by kind of the cloud that each would be, with all that the user wants besides.
    pub members: &'a (dyn Fn(&Scenario) -> BTreeMap<String, u32> + Sync),
}

/// The largest scenario that fits, for a host that cannot carry what is wanted: a sentence.
pub fn smaller(
    facts: &HostFacts,
    demand: &Demand<'_>,
    alternatives: &Alternatives<'_>,
) -> Option<String> {
    let fits = candidates(alternatives.scenarios).into_iter().find(|scenario| {
        let members = (alternatives.members)(scenario);
        refusals(facts, &Demand { members: &members, existing: false, ..*demand }).is_empty()
    })?;
    let name = &fits.scenario;
    Some(format!("The scenario `{name}` fits: aio bootstrap --scenario {name}"))
}

/// Which of the services that were added to a scenario fit, if the host cannot carry them all: a
/// sentence. `members` gives the cloud's members with the services that are named.
pub fn fewer_services(
    facts: &HostFacts,
    demand: &Demand<'_>,
    added: &[String],
    members: &dyn Fn(&[String]) -> BTreeMap<String, u32>,
) -> Option<String> {
    let fits = |added: &[String]| {
        refusals(facts, &Demand { members: &members(added), ..*demand }).is_empty()
    };
    let kept = (0..added.len()).rev().map(|count| &added[..count]).find(|kept| fits(kept))?;
    Some(match kept {
        [] => format!("Without {} it fits.", added.join(", ")),
        some => format!("Fewer services fit: --with {}", some.join(",")),
    })
}

/// # Errors
/// When there is anything in `refusals`: one error that names all of it.
pub fn permit(refusals: &[Refusal]) -> Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    let mut error = Error::new(ErrorKind::Host, "build this cloud on this host");
    for refusal in refusals {
        error = error.because(format!(
            "{}: found {}, needed {}",
            refusal.what, refusal.found, refusal.needed
        ));
        if !error.hints.contains(&refusal.advice) {
            error = error.hint(refusal.advice.clone());
        }
    }
    Err(error)
}

/// Ports of the host that are to lead into the cloud and that a program of the host has: its
/// clients would reach the cloud instead.
pub fn taken_ports(
    facts: &HostFacts,
    demand: &Demand<'_>,
    (address, tls): (Ipv4Addr, bool),
) -> Vec<Refusal> {
    let deployed = |kind: &String| demand.members.get(kind).is_some_and(|members| *members > 0);
    let frontends = demand.services.iter().flat_map(|service| &service.frontends);
    let exposed = frontends.filter(|frontend| frontend.expose && deployed(&frontend.backend));
    let taken = exposed.filter(|frontend| {
        facts.network.listening.iter().any(|listener| {
            let meant = listener.address.is_unspecified() || listener.address == address;
            listener.port == frontend.port_by(tls) && meant
        })
    });
    taken
        .map(|frontend| Refusal {
            what: format!("port {} of {address}, for {}", frontend.port_by(tls), frontend.name),
            found: "a program that listens".to_owned(),
            needed: "a free port".to_owned(),
            advice: "Expose the cloud on another address of this host: --expose ADDRESS."
                .to_owned(),
        })
        .collect()
}

pub fn members(scenario: &Scenario) -> BTreeMap<String, u32> {
    scenario.members.iter().map(|(kind, count)| (kind.clone(), *count)).collect()
}

/// The scenarios among which one is chosen when the user names none, the largest first.
fn candidates<'a>(scenarios: &[&'a Scenario]) -> Vec<&'a Scenario> {
    let mut all: Vec<&Scenario> =
        scenarios.iter().filter(|scenario| scenario.rank > 0).copied().collect();
    all.sort_by(|one, two| (two.rank, &one.scenario).cmp(&(one.rank, &two.scenario)));
    all
}

/// The largest scenario for which this host has room beside what runs on it already; if there is
/// none, the smallest.
pub fn choose_scenario(
    facts: &HostFacts,
    alternatives: &Alternatives<'_>,
    release: &Release,
    services: &[&ServiceProfile],
) -> Result<Chosen> {
    let members = alternatives.members;
    let candidates = candidates(alternatives.scenarios);
    let mut larger: Option<String> = None;
    for scenario in &candidates {
        let members = members(scenario);
        let demand = Demand { release, services, members: &members, existing: false };
        let why_not = refusals(facts, &demand).into_iter().next().map(|refusal| {
            format!("{} {} found, {} needed", refusal.what, refusal.found, refusal.needed)
        });
        let why_not = why_not.or_else(|| tight(facts, &demand));
        let Some(why_not) = why_not else {
            let reason = larger.unwrap_or_else(|| {
                format!(
                    "the largest that fits {} cores and {} MiB",
                    facts.cores, facts.memory.total_mib
                )
            });
            return Ok(Chosen { scenario: scenario.scenario.clone(), reason });
        };
        larger = Some(format!("`{}` does not fit: {why_not}", scenario.scenario));
    }
    let Some(smallest) = candidates.last() else {
        return Err(Error::new(ErrorKind::Config, "choose a scenario")
            .because("there is none with a rank above 0")
            .hint("Name one: --scenario NAME."));
    };
    let members = members(smallest);
    let demand = Demand { release, services, members: &members, existing: false };
    let reason = if refusals(facts, &demand).is_empty() {
        larger.map_or_else(String::new, |why| format!("the smallest, and tight: {why}"))
    } else {
        "the smallest, and not even that fits".to_owned()
    };
    Ok(Chosen { scenario: smallest.scenario.clone(), reason })
}

/// Returns why the cloud at its busiest would have to share memory with what runs on the host now.
fn tight(facts: &HostFacts, demand: &Demand<'_>) -> Option<String> {
    let (available, needed) = (facts.memory.available_mib, demand.least_mib(1));
    (available < needed)
        .then(|| format!("free memory {available} MiB found, {needed} MiB needed at its busiest"))
}

/// What the host lacks for that cloud.
pub fn refusals(facts: &HostFacts, demand: &Demand<'_>) -> Vec<Refusal> {
    let mut all = host_refusals(facts);
    for count in limits::counts(facts, demand.containers(), demand.existing) {
        let (Some(advice), Some(most)) = (count.advice, count.most) else { continue };
        all.push(Refusal {
            what: count.title.to_owned(),
            found: most.saturating_sub(count.used.unwrap_or(0)).to_string(),
            needed: count.needed.to_string(),
            advice: advice.to_owned(),
        });
    }
    let mut refuse = |what: &str, found: u64, needed: u64, unit: &str, advice: &str| {
        if found < needed {
            all.push(Refusal {
                what: what.to_owned(),
                found: format!("{found}{unit}"),
                needed: format!("{needed}{unit}"),
                advice: advice.to_owned(),
            });
        }
    };
    // Limits that add up to more than there is protect nobody: the kernel then kills as it likes.
    let least = demand.least_mib(1);
    let fewer = "Take fewer members (--set KIND.members=1) or a machine with more memory.";
    refuse("memory", facts.memory.total_mib, least, " MiB", fewer);
    if !demand.existing {
        let stop = "Stop something else on this host first.";
        let idle = demand.idle_mib(1);
        refuse("free memory", facts.memory.available_mib, idle, " MiB", stop);
        let elsewhere = "Free some, or put the cloud elsewhere: --state-dir DIRECTORY.";
        let disk = format!("free disk under {}", facts.storage.path);
        refuse(&disk, facts.storage.free_mib, demand.disk_mib(), " MiB", elsewhere);
        let inodes = format!("free inodes under {}", facts.storage.path);
        let free = facts.storage.free_inodes.unwrap_or(u64::MAX);
        refuse(&inodes, free, demand.inodes(), "", elsewhere);
    }
    all
}

/// What the host lacks for any cloud.
fn host_refusals(facts: &HostFacts) -> Vec<Refusal> {
    let mut all = Vec::new();
    let mut refuse = |what: &str, found: String, needed: &str, advice: String| {
        let what = what.to_owned();
        all.push(Refusal { what, found, needed: needed.to_owned(), advice });
    };
    let modules = "Use the distribution's own kernel with all its modules.";
    let newer = "Boot a newer kernel (5.19 or later for ext4, XFS and Btrfs), or put the cloud on a \
        file system that has them: --state-dir DIRECTORY.";
    let allow =
        "Allow them (sysctl user.max_user_namespaces=65536), or use a kernel that has them.";
    for (ability, advice) in [
        (Ability::Overlayfs, modules),
        (Ability::Bridge, modules),
        (Ability::Veth, modules),
        (Ability::NfTables, modules),
        (Ability::IdMappedMounts, newer),
        (Ability::UserNamespaces, allow),
    ] {
        if let Some(because) = facts.missing(ability) {
            let needed = "a kernel that has it";
            refuse(ability.title(), because.to_owned(), needed, advice.to_owned());
        }
    }
    if facts.kernel.cgroup == CgroupLayout::Absent {
        let advice = "Mount them: mount -t cgroup2 cgroup2 /sys/fs/cgroup".to_owned();
        refuse("control groups", "none mounted".to_owned(), "version 1 or 2", advice);
    }
    for (program, _) in facts.programs.iter().filter(|(_, place)| place.is_none()) {
        let advice = format!("Install it: apt install {}", package_of(program));
        refuse(&format!("the program {program}"), "nothing".to_owned(), "it", advice);
    }
    if let Some(version) = &facts.liblxc {
        let major = version.split('.').next().and_then(|text| text.parse::<u32>().ok());
        if major.is_some_and(|major| major < LEAST_LIBLXC) {
            let advice = "Upgrade the distribution, or install a newer LXC.".to_owned();
            refuse("liblxc", version.clone(), "5.0 or later", advice);
        }
    }
    let storage = &facts.storage;
    if UNSUITED_FILESYSTEMS.contains(&storage.filesystem.as_str()) {
        let advice = "Put the cloud elsewhere: --state-dir DIRECTORY.".to_owned();
        let what = format!("file system of {}", storage.path);
        refuse(&what, storage.filesystem.clone(), "ext4, xfs, btrfs or another local one", advice);
    }
    if storage.read_only {
        let advice = "Put the cloud elsewhere: --state-dir DIRECTORY.".to_owned();
        refuse(&storage.path, "read-only".to_owned(), "a file system to write to", advice);
    }
    if facts.clock.now + CLOCK_TOLERANCE_SECS < facts.clock.not_before {
        let days = (facts.clock.not_before - facts.clock.now) / (24 * 3600);
        let advice = "Set it: timedatectl set-ntp true, or date -s …".to_owned();
        refuse("clock", format!("{days} days behind"), "the right time", advice);
    }
    all
}

/// What a user should know about the host although it refuses nothing.
pub fn notes(facts: &HostFacts) -> Vec<String> {
    let mut all = Vec::new();
    if facts.can(Ability::MemoryLimits) == Answer::No {
        all.push(
            "Memory limits have no effect: the kernel has no memory control group.".to_owned(),
        );
    }
    if !facts.kernel.apparmor {
        all.push(
            "Containers are not confined by AppArmor, which this kernel does not use: their user \
             namespaces alone hold them."
                .to_owned(),
        );
    }
    if facts.can(Ability::BridgeTables) == Answer::No {
        all.push(
            "Containers can speak under each other's addresses: the kernel has no nf_tables on \
             bridges (CONFIG_NF_TABLES_BRIDGE)."
                .to_owned(),
        );
    }
    if facts.package_index.reachable == Some(false) {
        let uri = facts.package_index.uri.as_deref().unwrap_or_default();
        let error = facts.package_index.error.as_deref().unwrap_or("no answer");
        all.push(format!("Only layers that are built already can be used: {uri}: {error}."));
    }
    if facts.network.resolves_names == Some(false) {
        all.push(
            "Names do not resolve on this host: packages come by a proxy or not at all.".into(),
        );
    }
    if !facts.network.resolvers.iter().any(std::net::IpAddr::is_ipv4) {
        all.push(
            "Containers will not resolve names of the world: the host's only resolver is on \
             loopback or has no IPv4 address."
                .to_owned(),
        );
    }
    all
}
