//! The cloud as it is: what `aio status` and `aio ls` show. Looks, changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;
use time::Date;
use tokio::task::JoinSet;

use super::balancer::ServerState;
use super::cluster;
use super::probe::unhealthy;
use super::shared::Shared;
use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::host::ContainerState;
use crate::model::cloud::Outside;
use crate::model::topology::Container;
use crate::secrets::tls::pair::ends;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All that was promised.
    Healthy,
    /// It serves, but something that should be there is not.
    Degraded,
    /// It does not serve.
    Down,
}

impl Health {
    /// The word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One container as it is.
#[derive(Clone, Debug, Serialize)]
pub struct ContainerHealth {
    /// Full name.
    pub name: String,
    /// `heat_engine`.
    pub kind: String,
    /// `heat`.
    pub service: String,
    /// 1, 2, …
    pub member: u32,
    /// `running`, `stopped`, `absent`.
    pub state: &'static str,
    /// How well it is.
    pub health: Health,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many of its processes the kernel killed since its start, because they reached its memory
    /// limit.
    pub memory_kills: u64,
    /// That limit, in MiB.
    pub memory_limit_mib: u64,
    /// Whether its root is an ordinary user on the host.
    pub unprivileged: bool,
    /// Addresses by network role.
    pub addresses: BTreeMap<&'static str, Ipv4Addr>,
    /// Each unit with whether it runs.
    pub units: BTreeMap<String, bool>,
}

/// One cluster as it is.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterHealth {
    /// Members that see one another; `None` when they cannot be asked.
    pub size: Option<usize>,
    /// Members that there should be.
    pub expected: usize,
}

/// The whole cloud as it is.
#[derive(Clone, Debug, Serialize)]
pub struct CloudHealth {
    /// The cloud's name.
    pub cloud: String,
    /// How well it is.
    pub state: Health,
    /// Every container.
    pub containers: Vec<ContainerHealth>,
    /// Clusters by container kind.
    pub clusters: BTreeMap<String, ClusterHealth>,
    /// Servers as the load balancer sees them.
    pub backends: Vec<ServerState>,
    /// Where it is reached from outside, if at all: the address with the scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
    /// The day on which the first of its certificates ends, if it has any: `2027-12-31`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub certificates_end: Option<Date>,
    /// Secrets that were edited and that the cloud does not use yet.
    pub unapplied_secrets: BTreeSet<String>,
}

fn shown<S: serde::Serializer>(
    date: &Option<Date>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&date.map(|date| date.to_string()).unwrap_or_default())
}

/// Looks at everything at once.
pub async fn observe(context: &StepContext, shared: &Arc<Shared>) -> Result<CloudHealth> {
    let mut looks = JoinSet::new();
    for (index, container) in shared.cloud.containers.iter().enumerate() {
        let (context, shared, container) = (context.clone(), Arc::clone(shared), container.clone());
        looks.spawn(async move { (index, look(&context, &shared, &container).await) });
    }
    let (clusters, backends) =
        tokio::join!(clusters(context, shared), shared.balancer.servers(context));
    let backends: Vec<ServerState> = backends
        .into_iter()
        .filter(|server| shared.cloud.container(&server.server).is_some())
        .collect();
    let mut containers = Vec::new();
    while let Some(result) = looks.join_next().await {
        let (index, health) =
            result.map_err(|error| Error::failed("look at a container").because(error))?;
        containers.push((index, health?));
    }
    containers.sort_by_key(|(index, _)| *index);
    let containers: Vec<ContainerHealth> =
        containers.into_iter().map(|(_, health)| health).collect();
    let state = overall(&containers, &clusters);
    Ok(CloudHealth {
        cloud: shared.cloud.name.clone(),
        state,
        containers,
        clusters,
        backends,
        outside: shared.cloud.outside.as_ref().map(Outside::url),
        certificates_end: shared.cloud.certificates().filter_map(|text| ends(text)).min(),
        unapplied_secrets: shared.unapplied.clone(),
    })
}

/// Down when a kind has no healthy member, degraded when anything is not healthy.
fn overall(containers: &[ContainerHealth], clusters: &BTreeMap<String, ClusterHealth>) -> Health {
    let mut best: BTreeMap<&str, Health> = BTreeMap::new();
    for container in containers {
        let known = best.entry(&container.kind).or_insert(Health::Down);
        *known = (*known).min(container.health);
    }
    let whole =
        clusters.values().all(|cluster| cluster.size.is_none_or(|size| size == cluster.expected));
    if best.values().any(|health| *health == Health::Down) {
        Health::Down
    } else if whole && containers.iter().all(|it| it.health == Health::Healthy) {
        Health::Healthy
    } else {
        Health::Degraded
    }
}

/// Looks at one container.
pub async fn look(
    context: &StepContext,
    shared: &Shared,
    container: &Container,
) -> Result<ContainerHealth> {
    let state = context.host.containers.state(&container.name).await?;
    let units = own_units(shared, container);
    let mut active = vec![false; units.len()];
    let reason = match state {
        ContainerState::Absent => Some("it does not exist".to_owned()),
        ContainerState::Stopped => Some("it is stopped".to_owned()),
        ContainerState::Running { .. } => {
            active = context.host.containers.active_units(&container.name, &units).await?;
            let idle = units.iter().zip(&active).find(|(_, active)| !**active);
            match idle {
                Some((unit, _)) => Some(format!("{unit} does not run")),
                None => {
                    let probes = shared.cloud.probes(container);
                    unhealthy(context, shared, container, probes).await?
                }
            }
        }
    };
    let addresses = container
        .interfaces
        .iter()
        .filter_map(|it| it.addresses.first().map(|(address, _)| (it.role.name(), *address)));
    Ok(ContainerHealth {
        name: container.name.clone(),
        kind: container.kind.clone(),
        service: container.service.clone(),
        member: container.member,
        state: match state {
            ContainerState::Absent => "absent",
            ContainerState::Stopped => "stopped",
            ContainerState::Running { .. } => "running",
        },
        health: if reason.is_none() { Health::Healthy } else { Health::Down },
        reason,
        memory_kills: context.host.containers.memory_kills(&container.name).await?,
        memory_limit_mib: container.memory_limit_mib,
        unprivileged: container.privileged.is_none(),
        addresses: addresses.collect(),
        units: units.into_iter().zip(active).collect(),
    })
}

/// The units that must run in a container: its kind's and those that every container has.
fn own_units(shared: &Shared, container: &Container) -> Vec<String> {
    let kind = shared.cloud.kind(&container.kind);
    let own = kind.map(|(_, definition)| definition.units.as_slice()).unwrap_or_default();
    let common = &shared.cloud.release.units;
    own.iter().chain(common).map(|unit| unit.name.clone()).collect()
}

async fn clusters(context: &StepContext, shared: &Shared) -> BTreeMap<String, ClusterHealth> {
    let mut clusters = BTreeMap::new();
    let kinds = shared.cloud.services.iter().flat_map(|service| &service.containers);
    for (kind, definition) in kinds {
        let Some(definition) = &definition.cluster else { continue };
        let expected = shared.cloud.members(kind).count();
        if expected == 0 {
            continue;
        }
        let mut size = Some(0);
        for member in shared.cloud.members(kind) {
            let running = matches!(
                context.host.containers.state(&member.name).await,
                Ok(ContainerState::Running { .. })
            );
            if !running {
                continue;
            }
            if let Ok(seen) = cluster::size(context, shared, member, &definition.size).await {
                size = seen;
                break;
            }
        }
        clusters.insert(kind.clone(), ClusterHealth { size, expected });
    }
    clusters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(kind: &str, health: Health) -> ContainerHealth {
        ContainerHealth {
            name: kind.to_owned(),
            kind: kind.to_owned(),
            service: kind.to_owned(),
            member: 1,
            state: "running",
            health,
            reason: None,
            memory_kills: 0,
            memory_limit_mib: 64,
            unprivileged: true,
            addresses: BTreeMap::new(),
            units: BTreeMap::new(),
        }
    }

    #[test]
    fn one_member_of_two_down_is_degraded_and_all_members_down_is_down() {
        let none = BTreeMap::new();
        let pair = [member("a", Health::Healthy), member("a", Health::Down)];
        assert_eq!(overall(&pair, &none), Health::Degraded);
        let gone = [member("a", Health::Healthy), member("b", Health::Down)];
        assert_eq!(overall(&gone, &none), Health::Down);
        assert_eq!(overall(&[member("a", Health::Healthy)], &none), Health::Healthy);
    }

    #[test]
    fn a_cluster_that_lacks_a_member_is_degraded() {
        let state = |size| {
            let clusters = BTreeMap::from([("a".to_owned(), ClusterHealth { size, expected: 3 })]);
            overall(&[member("a", Health::Healthy)], &clusters)
        };
        assert_eq!(state(Some(2)), Health::Degraded);
        assert_eq!(state(Some(3)), Health::Healthy);
        // It could not be asked, which is no ailment of its own.
        assert_eq!(state(None), Health::Healthy);
    }
}
