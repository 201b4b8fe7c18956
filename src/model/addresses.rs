//! Names, addresses and ids of containers. Pure, and the same on every build of the same cloud.
//!
//! Everything follows from a hash of cloud, kind and member. Where two hashes want the same
//! address, the one that comes first by kind and member gets it and the other takes the next free
//! one. An address that an earlier run recorded is kept, so that adding a kind moves nobody.
//!
//! Ids of the host, which stand for a container's own, come in slots of one size, counted from the
//! cloud's first id: those that are recorded are kept, the others are dealt in order, without gaps,
//! so that a cloud asks the host for no more ids than it has containers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use sha2::{Digest, Sha256};

use super::ranges::{first_container_number, last_container_number};
use super::topology::{Interface, Networks};
use crate::config::network::NetworkRole;
use crate::error::{Error, ErrorKind, Result};
use crate::model::topology::Network;

/// What an earlier run recorded of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub addresses: BTreeMap<NetworkRole, Ipv4Addr>,
    pub id_slot: Option<u32>,
}

/// A container that needs a name and addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `heat_engine`.
    pub kind: String,
    /// 1, 2, …
    pub member: u32,
    /// Networks beside the NAT network.
    pub networks: Vec<NetworkRole>,
    /// Those of them whose interface comes without its address.
    pub unaddressed: Vec<NetworkRole>,
    /// Whether the virtual address stands on its management interface.
    pub virtual_address: bool,
}

/// What a container is called and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub kind: String,
    pub member: u32,
    /// `aio1_heat_engine_container-36e270c9`.
    pub name: String,
    /// The name with `_` as `-`.
    pub hostname: String,
    /// 32 hex digits.
    pub machine_id: String,
    /// See [`super::topology::Container::id_slot`].
    pub id_slot: u32,
    /// Interfaces, `eth0` first.
    pub interfaces: Vec<Interface>,
}

/// The container's name: `aio1_heat_engine_container-36e270c9`.
pub fn container_name(cloud: &str, kind: &str, member: u32) -> String {
    format!("{cloud}_{kind}_container-{}", suffix(cloud, kind, member))
}

/// The host name inside. RFC 1123 knows no underscore and 63 bytes at most: a name that is too
/// long loses its middle, never its suffix.
pub fn hostname(container: &str) -> String {
    const LONGEST: usize = 63;
    let name = container.replace('_', "-").to_ascii_lowercase();
    if name.len() <= LONGEST || !name.is_ascii() {
        return name;
    }
    let (_, suffix) = name.rsplit_once('-').unwrap_or(("", &name));
    let room = LONGEST.saturating_sub(suffix.len() + 1);
    format!("{}-{suffix}", name[..room].trim_end_matches('-'))
}

/// The machine id, in the form of a random UUID as systemd makes them.
pub fn machine_id(container: &str) -> String {
    let mut digest = Sha256::digest(format!("machine-id/{container}"));
    digest[6] = (digest[6] & 0x0F) | 0x40;
    digest[8] = (digest[8] & 0x3F) | 0x80;
    hex::encode(&digest[..16])
}

/// The name of the host's end of a veth pair: `36e270c9_eth1`, as OpenStack-Ansible's.
pub fn veth_name(container: &str, role: NetworkRole) -> String {
    let suffix = container.rsplit_once('-').map_or(container, |(_, suffix)| suffix);
    let short: String = suffix.chars().take(8).collect();
    format!("{short}_{}", role.interface())
}

/// Names, addresses and ids of all `members`, in their order. `recorded` maps a container's name to
/// what it had, as far as that is still possible.
pub fn allocate(
    cloud: &str,
    networks: &Networks,
    members: &[Member],
    recorded: &BTreeMap<String, Recorded>,
) -> Result<Vec<Identity>> {
    let mut order: Vec<&Member> = members.iter().collect();
    order.sort_by(|one, two| (&one.kind, one.member).cmp(&(&two.kind, two.member)));
    let mut addresses = BTreeMap::new();
    for network in &networks.networks {
        addresses
            .insert(network.role, allocate_network(cloud, networks, network, &order, recorded)?);
    }
    let macs = allocate_macs(cloud, &order);
    let slots = allocate_slots(cloud, &order, recorded);
    members
        .iter()
        .map(|member| {
            let name = container_name(cloud, &member.kind, member.member);
            let interfaces = roles(member)
                .map(|role| interface(networks, member, &name, role, &addresses, &macs))
                .collect::<Result<_>>()?;
            Ok(Identity {
                kind: member.kind.clone(),
                member: member.member,
                hostname: hostname(&name),
                machine_id: machine_id(&name),
                id_slot: slots.get(&name).copied().unwrap_or_default(),
                name,
                interfaces,
            })
        })
        .collect()
}

/// The networks of a member, NAT first, each once.
fn roles(member: &Member) -> impl Iterator<Item = NetworkRole> + '_ {
    NetworkRole::ALL
        .into_iter()
        .filter(|role| *role == NetworkRole::Nat || member.networks.contains(role))
}

fn interface(
    networks: &Networks,
    member: &Member,
    name: &str,
    role: NetworkRole,
    addresses: &BTreeMap<NetworkRole, BTreeMap<String, Ipv4Addr>>,
    macs: &BTreeMap<(String, NetworkRole), String>,
) -> Result<Interface> {
    let missing =
        || Error::failed(format!("give {name} an address on the {} network", role.name()));
    let network = networks.get(role).ok_or_else(missing)?;
    let own = addresses.get(&role).and_then(|of| of.get(name)).ok_or_else(missing)?;
    let mut all = vec![(*own, network.range.prefix)];
    if member.virtual_address && role == NetworkRole::Management {
        all.push((networks.virtual_address, network.range.prefix));
    }
    Ok(Interface {
        role,
        bridge: network.bridge.clone(),
        host_name: veth_name(name, role),
        mac: macs.get(&(name.to_owned(), role)).cloned().ok_or_else(missing)?,
        addresses: all,
        configured: !member.unaddressed.contains(&role),
        gateway: (role == NetworkRole::Nat).then_some(network.host_address),
    })
}

/// Addresses on one network by container name.
fn allocate_network(
    cloud: &str,
    networks: &Networks,
    network: &Network,
    order: &[&Member],
    recorded: &BTreeMap<String, Recorded>,
) -> Result<BTreeMap<String, Ipv4Addr>> {
    let first = first_container_number(network.role);
    let last = last_container_number(network.role, network.range);
    let usable = |address: Ipv4Addr| {
        let number = u32::from(address).wrapping_sub(u32::from(network.range.base));
        network.range.contains(address)
            && (first..=last).contains(&number)
            && address != network.host_address
            && address != networks.virtual_address
    };
    let names: Vec<String> = order
        .iter()
        .filter(|member| roles(member).any(|role| role == network.role))
        .map(|member| container_name(cloud, &member.kind, member.member))
        .collect();
    let mut taken = BTreeSet::new();
    let mut result = BTreeMap::new();
    for name in &names {
        let kept = recorded.get(name).and_then(|it| it.addresses.get(&network.role)).copied();
        if let Some(address) = kept.filter(|address| usable(*address) && taken.insert(*address)) {
            result.insert(name.clone(), address);
        }
    }
    let room = u64::from(last + 1 - first);
    for name in &names {
        if result.contains_key(name) {
            continue;
        }
        let start = hash64(&format!("address/{name}")) % room;
        let found = (0..room)
            .filter_map(|step| u32::try_from((start + step) % room).ok())
            .map(|number| network.range.address(first + number))
            .find(|address| usable(*address) && !taken.contains(address));
        let address = found.ok_or_else(|| full(network, room))?;
        taken.insert(address);
        result.insert(name.clone(), address);
    }
    Ok(result)
}

fn full(network: &Network, room: u64) -> Error {
    let role = network.role.name();
    Error::new(ErrorKind::Config, format!("give every container an address in {}", network.range))
        .because(format!("the {role} network has room for {room} containers"))
        .hint(format!("Set networks.{role} to a larger range."))
}

/// Slots of ids by container name, no two alike.
fn allocate_slots(
    cloud: &str,
    order: &[&Member],
    recorded: &BTreeMap<String, Recorded>,
) -> BTreeMap<String, u32> {
    let names = order.iter().map(|member| container_name(cloud, &member.kind, member.member));
    let mut taken = BTreeSet::new();
    let (kept, fresh): (Vec<_>, Vec<_>) = names
        .map(|name| {
            // A cloud of old has one slot, which its first container keeps.
            let slot = recorded.get(&name).and_then(|it| it.id_slot);
            (name, slot.filter(|slot| taken.insert(*slot)))
        })
        .partition(|(_, slot)| slot.is_some());
    let free = (0..).filter(|slot| !taken.contains(slot));
    let dealt = fresh.into_iter().zip(free).map(|((name, _), slot)| (name, slot));
    kept.into_iter().filter_map(|(name, slot)| Some((name, slot?))).chain(dealt).collect()
}

/// A hardware address for every interface, no two alike.
fn allocate_macs(cloud: &str, order: &[&Member]) -> BTreeMap<(String, NetworkRole), String> {
    let mut taken = BTreeSet::new();
    let mut result = BTreeMap::new();
    for member in order {
        let name = container_name(cloud, &member.kind, member.member);
        for role in roles(member) {
            let mut number = hash64(&format!("mac/{name}/{}", role.name())) & 0x00FF_FFFF;
            while !taken.insert(number) {
                number = (number + 1) & 0x00FF_FFFF;
            }
            result.insert((name.clone(), role), mac(number));
        }
    }
    result
}

/// An address of the prefix that Xen gave to everybody's virtual machines.
fn mac(number: u64) -> String {
    let [.., high, middle, low] = number.to_be_bytes();
    format!("00:16:3e:{high:02x}:{middle:02x}:{low:02x}")
}

/// A hardware address for a bridge, out of the locally administered ones.
pub fn bridge_mac(bridge: &str) -> String {
    let digest = Sha256::digest(format!("bridge/{bridge}"));
    let bytes: Vec<String> = digest[..5].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("02:{}", bytes.join(":"))
}

fn suffix(cloud: &str, kind: &str, member: u32) -> String {
    hex::encode(&Sha256::digest(format!("{cloud}/{kind}/{member}"))[..4])
}

fn hash64(text: &str) -> u64 {
    let digest = Sha256::digest(text);
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
