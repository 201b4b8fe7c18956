//! Which ranges, bridges and host addresses a cloud gets. Pure.
//!
//! Every network has a default range. A default that the host already uses gives way to the next
//! free range of its block, always the same one on the same host, with a reason for `cloud.yml`.
//! A range that the user named is used or refused, never replaced.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use sha2::{Digest, Sha256};

use super::facts::{HostRoute, NetworkFacts};
use super::topology::Networks;
use crate::config::network::{NetworkRole, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::model::topology::{Network, bridge_prefix};

/// The least metric of guard routes: far above every route that a host's own tools make, so that
/// the bridge's connected route wins while it is there.
const GUARD_METRIC: u32 = 4096;

/// Host number of `aio`'s own address on all networks but the NAT network, OpenStack-Ansible's.
const HOST_NUMBER: u32 = 100;

/// Host number of the internal virtual address, OpenStack-Ansible's.
const VIRTUAL_NUMBER: u32 = 101;

/// Containers' addresses follow after this host number, except on the NAT network.
const LAST_RESERVED_NUMBER: u32 = 110;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub networks: Networks,
    /// Why a network has another range than its default: comments for `cloud.yml`.
    pub reasons: BTreeMap<NetworkRole, String>,
}

/// The range of a role when nobody names one and the host does not use it.
pub fn default_range(role: NetworkRole) -> Range {
    let (base, prefix) = match role {
        NetworkRole::Nat => ([10, 0, 3, 0], 24),
        NetworkRole::Management => ([172, 29, 236, 0], 22),
        NetworkRole::Tunnel => ([172, 29, 240, 0], 22),
        NetworkRole::Storage => ([172, 29, 244, 0], 22),
        NetworkRole::Provider => ([172, 29, 248, 0], 22),
    };
    Range { base: Ipv4Addr::from(base), prefix }
}

/// Where a default's replacement is looked for, in this order: the role's own private block, the
/// other private blocks (RFC 1918; hosts in company networks often have routes for one or two of
/// them), and the block for benchmarks (RFC 2544), which no real network uses.
fn blocks(role: NetworkRole) -> [Range; 4] {
    let ten = Range { base: Ipv4Addr::new(10, 0, 0, 0), prefix: 8 };
    let middle = Range { base: Ipv4Addr::new(172, 16, 0, 0), prefix: 12 };
    let small = Range { base: Ipv4Addr::new(192, 168, 0, 0), prefix: 16 };
    let benchmark = Range { base: Ipv4Addr::new(198, 18, 0, 0), prefix: 15 };
    match role {
        NetworkRole::Nat => [ten, middle, small, benchmark],
        _ => [middle, ten, small, benchmark],
    }
}

/// The metric of a cloud's guard routes: its own, so that each cloud knows which are its.
pub fn guard_metric(cloud: &str) -> u32 {
    let digest = Sha256::digest(format!("guard/{cloud}"));
    GUARD_METRIC + (u32::from(digest[0]) << 16 | u32::from(digest[1]) << 8 | u32::from(digest[2]))
}

/// The bridge's name: `aio1-mgmt`. A cloud's name that is too long is cut and told apart by a
/// hash; the result has a length that no short name has, so the two kinds never meet.
pub fn bridge_name(cloud: &str, role: NetworkRole) -> String {
    let suffix = match role {
        NetworkRole::Nat => "nat",
        NetworkRole::Management => "mgmt",
        NetworkRole::Tunnel => "tun",
        NetworkRole::Storage => "stor",
        NetworkRole::Provider => "prov",
    };
    format!("{}{suffix}", bridge_prefix(cloud))
}

/// The first host number that a container may get.
pub fn first_container_number(role: NetworkRole) -> u32 {
    match role {
        // The gateway, and room for what a user puts there by hand.
        NetworkRole::Nat => 10,
        _ => LAST_RESERVED_NUMBER + 1,
    }
}

/// The last host number that a container may get. The upper half of the provider network belongs to
/// what runs in the cloud: see [`pool`].
pub fn last_container_number(role: NetworkRole, range: Range) -> u32 {
    let size = if role == NetworkRole::Provider { range.size() / 2 } else { range.size() };
    // The last address of a range is its broadcast address.
    u32::try_from(size - 2).unwrap_or(u32::MAX - 1)
}

/// The first and the last address of a range that neither the host nor a container ever gets: for
/// guests of the cloud.
pub fn pool(role: NetworkRole, range: Range) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let first = u32::try_from(range.size() / 2).ok()?;
    let last = u32::try_from(range.size() - 2).ok()?;
    (role == NetworkRole::Provider).then(|| (range.address(first), range.address(last)))
}

/// Chooses a range for every role. `named` are the ranges from the user's files, which include
/// those that an earlier run recorded there.
pub fn choose(
    cloud: &str,
    named: &BTreeMap<NetworkRole, Range>,
    host: &NetworkFacts,
) -> Result<Choice> {
    let occupied = occupied(cloud, host);
    let mut chosen: BTreeMap<NetworkRole, Range> = BTreeMap::new();
    for (role, range) in named {
        check_named(*role, *range, &chosen, &occupied, named)?;
        chosen.insert(*role, *range);
    }
    let mut reasons = BTreeMap::new();
    for role in NetworkRole::ALL {
        if chosen.contains_key(&role) {
            continue;
        }
        let wanted = default_range(role);
        let taken = conflict(wanted, &chosen, &occupied);
        let range = match &taken {
            None => wanted,
            Some(_) => next_free(role, wanted, &chosen, &occupied).ok_or_else(|| no_room(role))?,
        };
        if let Some(by) = taken {
            reasons.insert(role, format!("{range} in place of {wanted}: {by}"));
        }
        chosen.insert(role, range);
    }
    Ok(Choice { networks: networks(cloud, &chosen), reasons })
}

/// A range that is in use, and the sentence that says by whom.
struct Occupied {
    range: Range,
    by: String,
}

/// Returns the parts of the host's network that are in the way: all but what this cloud itself has put there.
fn occupied(cloud: &str, host: &NetworkFacts) -> Vec<Occupied> {
    let ours: Vec<String> = NetworkRole::ALL.iter().map(|role| bridge_name(cloud, *role)).collect();
    let metric = guard_metric(cloud);
    let mut all = Vec::new();
    for address in &host.addresses {
        if !ours.contains(&address.interface) {
            all.push(Occupied {
                range: covering(address.address, address.prefix),
                by: format!("{} has {}/{}", address.interface, address.address, address.prefix),
            });
        }
    }
    for route in &host.routes {
        let guard = route.metric == metric && route.kind == "unreachable";
        let own = route.interface.as_ref().is_some_and(|interface| ours.contains(interface));
        // A default route leads everywhere and says nothing about who is where; so do the two
        // halves of the address space that VPNs use in its place.
        if !guard && !own && route.destination.prefix > 1 {
            all.push(Occupied { range: route.destination, by: route_by(route) });
        }
    }
    for (other, ranges) in &host.clouds {
        if other != cloud {
            all.extend(ranges.iter().map(|range| Occupied {
                range: *range,
                by: format!("the cloud {other} has {range}"),
            }));
        }
    }
    all
}

fn route_by(route: &HostRoute) -> String {
    let destination = route.destination;
    match &route.interface {
        Some(interface) => format!("the host has a route to {destination} through {interface}"),
        None => format!("the host has a route for {destination} ({})", route.kind),
    }
}

/// The range of that prefix length around an address.
fn covering(address: Ipv4Addr, prefix: u8) -> Range {
    let prefix = prefix.min(32);
    let mask = if prefix == 0 { 0 } else { u32::MAX << (32 - u32::from(prefix)) };
    Range { base: Ipv4Addr::from(u32::from(address) & mask), prefix }
}

/// Returns who holds a part of `range`, if anybody.
fn conflict(
    range: Range,
    chosen: &BTreeMap<NetworkRole, Range>,
    occupied: &[Occupied],
) -> Option<String> {
    let cloud = chosen.iter().find(|(_, other)| other.overlaps(range));
    if let Some((role, other)) = cloud {
        return Some(format!("the cloud's own {} network is {other}", role.name()));
    }
    occupied.iter().find(|other| other.range.overlaps(range)).map(|other| other.by.clone())
}

/// The first free range of the size of `wanted`: after it in its own block, then from the
/// beginning of each block. Other roles' defaults are passed over, so that one taken range moves
/// one network and not all.
fn next_free(
    role: NetworkRole,
    wanted: Range,
    chosen: &BTreeMap<NetworkRole, Range>,
    occupied: &[Occupied],
) -> Option<Range> {
    let others: Vec<Range> =
        NetworkRole::ALL.into_iter().filter(|other| *other != role).map(default_range).collect();
    let free = |range: &Range| {
        conflict(*range, chosen, occupied).is_none()
            && !others.iter().any(|other| other.overlaps(*range))
    };
    let own = u64::from(u32::from(wanted.base));
    blocks(role).into_iter().find_map(|block| {
        let first = u64::from(u32::from(block.base));
        let count = block.size() / wanted.size();
        let start = if block.contains(wanted.base) { (own - first) / wanted.size() } else { 0 };
        (0..count)
            .map(|step| ((start + step) % count) * wanted.size())
            .filter_map(|offset| u32::try_from(offset).ok())
            .map(|offset| Range { base: block.address(offset), prefix: wanted.prefix })
            .find(|range| free(range))
    })
}

/// Refuses a range that the user named and that cannot be used.
fn check_named(
    role: NetworkRole,
    range: Range,
    chosen: &BTreeMap<NetworkRole, Range>,
    occupied: &[Occupied],
    named: &BTreeMap<NetworkRole, Range>,
) -> Result<()> {
    let wrong = |why: String| {
        Error::new(ErrorKind::Config, format!("use {range} for the {} network", role.name()))
            .because(why)
    };
    if !(8..=24).contains(&range.prefix) {
        return Err(wrong(format!("a network needs a prefix of /8 to /24, not /{}", range.prefix)));
    }
    let reserved = [[0, 0, 0, 0], [127, 0, 0, 0], [169, 254, 0, 0], [224, 0, 0, 0]];
    let lengths = [8, 8, 16, 3];
    for (base, prefix) in reserved.into_iter().zip(lengths) {
        if (Range { base: Ipv4Addr::from(base), prefix }).overlaps(range) {
            return Err(wrong("addresses there cannot be given to machines".to_owned()));
        }
    }
    let Some(by) = conflict(range, chosen, occupied) else { return Ok(()) };
    // The proposal must not run into another range that the user named.
    let mut others = chosen.clone();
    others.extend(named.iter().filter(|(other, _)| **other != role).map(|(k, v)| (*k, *v)));
    let default = default_range(role);
    let proposal = match conflict(default, &others, occupied) {
        None => Some(default),
        Some(_) => next_free(role, default, &others, occupied),
    };
    let error = wrong(by);
    Err(match proposal {
        Some(free) => error.hint(format!("{free} is free: set networks.{} to it.", role.name())),
        None => error,
    })
}

/// The networks with the virtual address that the user named.
///
/// # Errors
/// When it is not an address in the management range that a machine can have, or the host's own.
pub fn with_virtual_address(mut networks: Networks, address: Ipv4Addr) -> Result<Networks> {
    let wrong = |why: String| {
        Error::new(ErrorKind::Config, format!("use {address} as the virtual address")).because(why)
    };
    let Some(management) = networks.get(NetworkRole::Management) else { return Ok(networks) };
    let range = management.range;
    let number = u64::from(u32::from(address).wrapping_sub(u32::from(range.base)));
    if !range.contains(address) || number == 0 || number == range.size() - 1 {
        let hint = format!("Take one of {range}, for example {}.", range.address(VIRTUAL_NUMBER));
        return Err(wrong(format!("no machine in {range} can have it")).hint(hint));
    }
    if address == management.host_address {
        return Err(wrong("it is the host's own".to_owned()));
    }
    networks.virtual_address = address;
    Ok(networks)
}

fn no_room(role: NetworkRole) -> Error {
    Error::new(ErrorKind::Host, format!("find a range for the {} network", role.name()))
        .because("the host uses all private ranges")
        .hint(format!("Name a free range as networks.{} in cloud.yml.", role.name()))
}

fn networks(cloud: &str, ranges: &BTreeMap<NetworkRole, Range>) -> Networks {
    let range_of = |role| ranges.get(&role).copied().unwrap_or_else(|| default_range(role));
    let networks = NetworkRole::ALL
        .into_iter()
        .map(|role| {
            let range = range_of(role);
            let number = if role == NetworkRole::Nat { 1 } else { HOST_NUMBER };
            let bridge = bridge_name(cloud, role);
            Network { role, range, bridge, host_address: range.address(number) }
        })
        .collect();
    Networks {
        networks,
        virtual_address: range_of(NetworkRole::Management).address(VIRTUAL_NUMBER),
        exposed_address: None,
    }
}

#[cfg(test)]
mod tests;
