//! From profiles, choices and host facts to the desired [`Cloud`]. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::addresses::{self, Identity, Member, Recorded};
use super::cloud::Cloud;
use super::facts::{Ability, Answer, CgroupLayout, HostFacts};
use super::layer::LayerSpec;
use super::layers::{self, Stack};
use super::renew::renewed;
use super::sizing::Sizing;
use super::topology::{Container, Data, Networks, SharedDirectory};
use crate::config::network::NetworkRole;
use crate::config::profile::{ContainerKind, HostDirectory, ServiceProfile};
use crate::config::release::{Behind, Releases};
use crate::error::{Error, ErrorKind, Result};
use crate::model::paths::Paths;

pub struct Inputs<'a> {
    pub paths: &'a Paths,
    pub region: &'a str,
    /// See [`Cloud::patience`].
    pub patience: u32,
    pub releases: Releases<'a>,
    pub scenario: &'a str,
    /// Members by kind; a kind with none is not deployed.
    pub members: &'a BTreeMap<String, u32>,
    pub services: Vec<&'a ServiceProfile>,
    pub networks: &'a Networks,
    /// The cloud that is there: what its containers are made of.
    pub former: Option<&'a Cloud>,
    /// Addresses and ids that containers already have.
    pub recorded: &'a BTreeMap<String, Recorded>,
    pub facts: &'a HostFacts,
    pub sizing: Sizing,
    pub variables: BTreeMap<String, serde_json::Value>,
    /// Packages by kind besides those of the profiles.
    pub packages: &'a BTreeMap<String, Vec<String>>,
    /// What the host's package sources are, as one text: part of every layer's id.
    pub sources: &'a str,
}

/// # Errors
/// When services need one another in a circle, or a range has no address left.
pub fn build(inputs: Inputs<'_>) -> Result<Cloud> {
    let count = |kind: &str| inputs.members.get(kind).copied().unwrap_or(0);
    let deployed: Vec<ServiceProfile> = inputs
        .services
        .iter()
        .filter(|service| service.containers.keys().any(|kind| count(kind) > 0))
        .map(|service| (*service).clone())
        .collect();
    let services = in_order(deployed)?;
    let kinds: Vec<(&str, &str, &ContainerKind)> = services
        .iter()
        .flat_map(|service| {
            let name = service.service.as_str();
            service.containers.iter().map(move |(kind, it)| (name, kind.as_str(), it))
        })
        .filter(|(_, kind, _)| count(kind) > 0)
        .collect();
    let stack = layers::stack(
        inputs.releases.main,
        kinds
            .iter()
            .filter(|(_, kind, _)| !inputs.releases.is_behind(kind))
            .map(|(_, kind, definition)| (*kind, *definition)),
        inputs.packages,
        inputs.sources,
    )?;
    let mut wanted = Vec::new();
    for (_, kind, definition) in &kinds {
        for member in 1..=count(kind) {
            wanted.push(Member {
                kind: (*kind).to_owned(),
                member,
                networks: roles(&definition.networks)?,
                unaddressed: roles(&definition.unaddressed)?,
                virtual_address: definition.virtual_address,
            });
        }
    }
    let cloud_name = &inputs.paths.cloud;
    let identities = addresses::allocate(cloud_name, inputs.networks, &wanted, inputs.recorded)?;
    let mut containers = Vec::new();
    let mut layers = stack.layers.clone();
    for identity in identities {
        let Some((service, kind, definition)) =
            kinds.iter().find(|(_, kind, _)| *kind == identity.kind)
        else {
            continue;
        };
        let chain = stack.chains.get(*kind).cloned().unwrap_or_default();
        let mut made = container(&inputs, service, definition, identity, chain);
        if let Some(former) = inputs.former {
            if inputs.releases.is_behind(kind) {
                stay(&mut made, former);
            } else if definition.renewed_in_place {
                renew(&mut made, former, &stack);
            }
            keep_layers(&mut layers, former, &made.layers);
        }
        containers.push(made);
    }
    Ok(Cloud {
        name: cloud_name.clone(),
        region: inputs.region.to_owned(),
        patience: inputs.patience,
        release: inputs.releases.main.clone(),
        behind: behind(inputs.releases.behind, count),
        scenario: inputs.scenario.to_owned(),
        networks: inputs.networks.clone(),
        outside: None,
        inside: None,
        resolvers: Some(own_resolvers(inputs.facts)),
        services,
        containers,
        layers,
        sizing: inputs.sizing,
        variables: inputs.variables,
        health: BTreeMap::new(),
        unified_cgroups: inputs.facts.kernel.cgroup == CgroupLayout::Unified,
        standby: BTreeSet::new(),
    })
}

/// A container of a kind that is behind is made of what it was made of, a new one of what the others are.
fn stay(container: &mut Container, former: &Cloud) {
    if let Some(before) = former.container(&container.name) {
        container.layers.clone_from(&before.layers);
        container.renewed.clone_from(&before.renewed);
    } else if let Some(sibling) = former.members(&container.kind).next() {
        container.layers = sibling.software().to_vec();
    }
}

/// A container goes on with its layers where that will do.
fn renew(container: &mut Container, former: &Cloud, stack: &Stack) {
    let Some(before) = former.container(&container.name) else { return };
    container.renewed = renewed(former, before, stack, &container.layers);
    if container.renewed.is_some() {
        container.layers.clone_from(&before.layers);
    }
}

/// Adds layers of before that a container still stands on. Their names are taken.
pub fn keep_layers(layers: &mut Vec<(String, LayerSpec)>, former: &Cloud, ids: &[String]) {
    for (id, spec) in former.layers.iter().filter(|(id, _)| ids.contains(id)) {
        if !layers.iter().any(|(it, _)| it == id) {
            layers.push((id.clone(), LayerSpec { name: id.clone(), ..spec.clone() }));
        }
    }
}

/// What of those that are behind is deployed.
fn behind(behind: Option<&Behind>, count: impl Fn(&str) -> u32) -> Option<Behind> {
    let mut behind = behind?.clone();
    behind.kinds.retain(|kind| count(kind) > 0);
    (!behind.kinds.is_empty()).then_some(behind)
}

/// The network roles that a profile names.
fn roles(names: &[String]) -> Result<Vec<NetworkRole>> {
    names
        .iter()
        .map(|name| {
            NetworkRole::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| {
                Error::new(ErrorKind::Config, format!("find the network `{name}`"))
                    .because("there are nat, management, tunnel, storage and provider")
            })
        })
        .collect()
}

/// Services, each after those that it needs; otherwise in the order given.
fn in_order(mut waiting: Vec<ServiceProfile>) -> Result<Vec<ServiceProfile>> {
    let names: Vec<String> = waiting.iter().map(|service| service.service.clone()).collect();
    let mut ordered: Vec<ServiceProfile> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|service| {
            service.needs.iter().all(|needed| {
                !names.contains(needed) || ordered.iter().any(|done| done.service == *needed)
            })
        });
        let Some(index) = ready else {
            let circle: Vec<&str> = waiting.iter().map(|it| it.service.as_str()).collect();
            return Err(Error::new(ErrorKind::Config, "put the services in order")
                .because(format!("these need one another: {}", circle.join(", "))));
        };
        ordered.push(waiting.remove(index));
    }
    Ok(ordered)
}

fn container(
    inputs: &Inputs<'_>,
    service: &str,
    definition: &ContainerKind,
    identity: Identity,
    layers: Vec<String>,
) -> Container {
    let data = definition.data.iter().map(|directory| Data {
        path: directory.path.clone(),
        owner: directory.owner.clone(),
        mode: directory.mode.clone(),
        from_image: directory.from_image,
        precious: directory.precious,
        keep: directory.keep,
        source: inputs.paths.data_dir(&identity.name, &directory.path).display().to_string(),
    });
    let shared = definition.shared.iter().map(|shared| SharedDirectory {
        path: shared.path.clone(),
        source: match shared.directory {
            HostDirectory::Packages => inputs.paths.packages_dir(),
            HostDirectory::Wheels => inputs.paths.wheels_dir(),
        }
        .display()
        .to_string(),
    });
    let common = &inputs.releases.of(&identity.kind).units;
    let units = definition.units.iter().chain(common);
    let floor = definition.memory.limit_mib;
    let limit = inputs.sizing.memory_limit_mib.get(&identity.kind).copied().unwrap_or(floor);
    let weighted = inputs.facts.can(Ability::CpuWeights) == Answer::Yes;
    Container {
        kind: identity.kind,
        service: service.to_owned(),
        member: identity.member,
        layers,
        renewed: None,
        privileged: definition.privileged.clone(),
        id_slot: identity.id_slot,
        interfaces: identity.interfaces,
        devices: definition.devices.clone(),
        nesting: definition.nesting,
        memory_limit_mib: limit,
        cpu_weight: definition.cpu_weight.filter(|_| weighted),
        data: data.collect(),
        shared: shared.collect(),
        environment: definition.environment.clone(),
        units: units.map(|unit| unit.name.clone()).collect(),
        identity_files: BTreeMap::from([
            ("/etc/hostname".to_owned(), format!("{}\n", identity.hostname)),
            ("/etc/machine-id".to_owned(), format!("{}\n", identity.machine_id)),
            ("/etc/resolv.conf".to_owned(), resolver(inputs.facts)),
        ]),
        hostname: identity.hostname,
        machine_id: identity.machine_id,
        name: identity.name,
    }
}

/// What containers have as `/etc/resolv.conf`.
fn resolver(facts: &HostFacts) -> String {
    reachable_resolvers(facts).map(|address| format!("nameserver {address}\n")).collect()
}

/// The host's resolvers that containers can reach.
fn reachable_resolvers(facts: &HostFacts) -> impl Iterator<Item = Ipv4Addr> {
    facts.network.resolvers.iter().filter_map(|address| match address {
        IpAddr::V4(address) => (!address.is_loopback()).then_some(*address),
        // Containers have no IPv6 way out.
        IpAddr::V6(_) => None,
    })
}

/// Returns those of them that the host runs itself, on an address of its own.
fn own_resolvers(facts: &HostFacts) -> Vec<Ipv4Addr> {
    let own = |address: &Ipv4Addr| facts.network.addresses.iter().any(|it| it.address == *address);
    reachable_resolvers(facts).filter(own).collect()
}
