//! From the desired cloud to the graph of steps that makes it so. Pure: files are rendered, nothing
//! is looked at.
//!
//! The keys are an interface: `aio plan` prints them, records and logs name them.
//!
//! | key | what it does |
//! |---|---|
//! | `host/settings`, `host/network` | kernel limits; bridges, routes, firewall |
//! | `host/filters` | what each container lets in |
//! | `layer/NAME` | builds an image layer |
//! | `container/KIND/MEMBER/define`, `…/files`, `…/start`, `…/units` | one container |
//! | `cluster/KIND/seed`, `cluster/KIND/form` | members that form one cluster |
//! | `container/KIND/MEMBER/forget`, `…/grow` | a member whose data was dropped |
//! | `container/KIND/MEMBER/rejoin` | a member is back, before [`super::rolling`] lets the next go |
//! | `database/access`, `database/NAME` | accounts and schemas |
//! | `setup/SERVICE/NAME` | a profile's own commands; those `before: cloud` after all services |
//! | `identity/catalog` | domains, projects, users, roles, endpoints |
//! | `service/NAME/ready`, `cloud/verify` | the last looks |

mod containers;
mod host;
mod inbound;
mod services;

pub use services::setup_command;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::config::profile::Probe;
use crate::engine::event::{Phase, Resource, StepKey};
use crate::engine::step::{Action, Step};
use crate::error::Result;
use crate::model::cloud::{Cloud, Outside};
use crate::model::host_network::{Exposed, HostNetworkSpec, Port};
use crate::model::ranges;
use crate::model::topology::{Container, Interface};
use crate::render::Renderer;
use crate::steps::shared::Shared;

/// Builds the graph's nodes for one cloud.
pub struct Builder<'a> {
    shared: Arc<Shared>,
    renderer: &'a Renderer,
    steps: Vec<Step>,
}

/// The key of a step on one container.
pub fn container_key(container: &Container, what: &str) -> StepKey {
    StepKey::new(format!("container/{}/{}/{what}", container.kind, container.member))
}

/// The key of a service's last look.
pub(super) fn ready_key(service: &str) -> StepKey {
    StepKey::new(format!("service/{service}/ready"))
}

/// The key of the identity service's contents.
pub(super) fn catalog_key() -> StepKey {
    StepKey::new("identity/catalog")
}

/// The key of a set-up command.
fn setup_key(service: &str, command: &str) -> StepKey {
    StepKey::new(format!("setup/{service}/{command}"))
}

/// The key of a cluster's formation.
pub fn form_key(kind: &str) -> StepKey {
    StepKey::new(format!("cluster/{kind}/form"))
}

/// All steps of a cloud, in no particular order.
pub fn steps(shared: &Arc<Shared>, renderer: &Renderer) -> Result<Vec<Step>> {
    let mut builder = Builder { shared: Arc::clone(shared), renderer, steps: Vec::new() };
    builder.host();
    builder.layers();
    for service in &shared.cloud.services {
        for (kind, definition) in &service.containers {
            builder.kind(service, kind, definition)?;
        }
        builder.databases(service)?;
        for command in &service.setup {
            builder.setup(service, command)?;
        }
        builder.ready(service);
    }
    builder.access()?;
    builder.catalog();
    Ok(builder.steps)
}

/// When each container of a cloud is healthy, by full name.
pub fn health(cloud: &Cloud, renderer: &Renderer) -> Result<BTreeMap<String, Vec<Probe>>> {
    let mut health = BTreeMap::new();
    for container in &cloud.containers {
        let Some((_, definition)) = cloud.kind(&container.kind) else { continue };
        let probes = definition.health.iter().map(|probe| match probe {
            Probe::Run { script } => {
                Ok(Probe::Run { script: renderer.render_text(container, script)? })
            }
            other => Ok(other.clone()),
        });
        health.insert(container.name.clone(), probes.collect::<Result<_>>()?);
    }
    Ok(health)
}

/// What the host's network should be for a cloud.
pub fn network_spec(shared: &Shared) -> HostNetworkSpec {
    let cloud = &shared.cloud;
    let tls = cloud.outside.as_ref().is_some_and(Outside::tls);
    let exposed = match (cloud.networks.exposed_address, cloud.outside_door()) {
        (Some(address), Some(door)) => cloud
            .frontends()
            .filter(|(_, frontend)| frontend.expose)
            .map(|(_, frontend)| frontend.port_by(tls))
            .map(|port| Exposed { address, port, door })
            .collect(),
        _ => Vec::new(),
    };
    HostNetworkSpec {
        exposed,
        guest_ports: guest_ports(cloud),
        resolvers: cloud.resolvers.clone(),
        ports: ports(cloud),
        ..HostNetworkSpec::closed(&cloud.name, &cloud.networks)
    }
}

/// What is plugged into the cloud's bridges.
fn ports(cloud: &Cloud) -> Vec<Port> {
    let of = |container: &Container| -> Vec<Port> {
        let all = container.interfaces.iter().flat_map(|it| &it.addresses);
        let all: BTreeSet<Ipv4Addr> = all.map(|(address, _)| *address).collect();
        let port = |interface: &Interface| {
            let switch = !interface.configured;
            let own = interface.addresses.iter().map(|(address, _)| *address);
            let range = cloud.networks.get(interface.role).map(|network| network.range);
            Port {
                name: interface.host_name.clone(),
                mac: interface.mac.clone(),
                addresses: if switch { own.collect() } else { all.clone() },
                switch,
                pool: range.filter(|_| switch).and_then(|it| ranges::pool(interface.role, it)),
            }
        };
        container.interfaces.iter().map(port).collect()
    };
    cloud.containers.iter().flat_map(of).collect()
}

/// Ports of the virtual address for users' servers: what is for the world, and what a service says
/// that its own servers need.
fn guest_ports(cloud: &Cloud) -> BTreeSet<u16> {
    let needed = |name: &String| cloud.services.iter().any(|it| it.guests_reach.contains(name));
    cloud
        .frontends()
        .filter(|(_, frontend)| frontend.expose || needed(&frontend.name))
        .filter(|(_, frontend)| cloud.members(&frontend.backend).next().is_some())
        .map(|(_, frontend)| cloud.port(frontend))
        .collect()
}

impl Builder<'_> {
    fn add(
        &mut self,
        key: StepKey,
        title: String,
        (phase, resource, estimate_ms): (Phase, Resource, u64),
        needs: Vec<StepKey>,
        action: impl Action + 'static,
    ) {
        let action = Arc::new(action);
        self.steps.push(Step { key, title, phase, resource, needs, estimate_ms, action });
    }

    fn text(&self, container: &Container, text: &str) -> Result<String> {
        self.renderer.render_text(container, text)
    }
}

#[cfg(test)]
mod tests;
