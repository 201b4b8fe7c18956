//! The cloud as it is: what `aio status` and `aio ls` show. Looks, changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::cluster;
use super::probe::unhealthy;
use super::site::Site;
use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::host::ContainerState;
use crate::model::cloud::Outside;
use crate::model::health::{
    CloudHealth, ClusterHealth, ContainerHealth, Health, ServerState, overall,
};
use crate::model::lock::Lock;
use crate::model::topology::Container;
use crate::secrets::tls::pair::ends;

/// Looks at everything at once.
pub async fn observe(context: &StepContext, site: &Arc<Site>) -> Result<CloudHealth> {
    let mut looks = JoinSet::new();
    for (index, container) in site.cloud.containers.iter().enumerate() {
        let (context, site, container) = (context.clone(), Arc::clone(site), container.clone());
        looks.spawn(async move { (index, look(&context, &site, &container).await) });
    }
    let (clusters, backends) =
        tokio::join!(clusters(context, site), site.balancer.servers(context));
    let backends: Vec<ServerState> = backends
        .into_iter()
        .filter(|server| site.cloud.container(&server.server).is_some())
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
    let state = overall(&containers, &clusters, &backends);
    let behind = site.cloud.behind.iter();
    Ok(CloudHealth {
        cloud: site.cloud.name.clone(),
        release: site.cloud.release.release.clone(),
        behind: behind.map(|it| (it.release.release.clone(), it.kinds.clone())).collect(),
        built: Lock::of(&site.cloud.release).iter().flat_map(Lock::built).collect(),
        state,
        containers,
        clusters,
        backends,
        outside: site.cloud.outside.as_ref().map(Outside::url),
        certificates_end: site.cloud.certificates().filter_map(|text| ends(text)).min(),
        unapplied_secrets: site.unapplied.clone(),
    })
}

pub async fn look(
    context: &StepContext,
    site: &Site,
    container: &Container,
) -> Result<ContainerHealth> {
    let state = context.host.containers.state(&container.name).await?;
    let units = own_units(site, container);
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
                    let probes = site.cloud.probes(container);
                    unhealthy(context, site, container, probes).await?
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
fn own_units(site: &Site, container: &Container) -> Vec<String> {
    let kind = site.cloud.kind(&container.kind);
    let own = kind.map(|(_, definition)| definition.units.as_slice()).unwrap_or_default();
    let common = &site.cloud.releases().of(&container.kind).units;
    own.iter().chain(common).map(|unit| unit.name.clone()).collect()
}

async fn clusters(context: &StepContext, site: &Site) -> BTreeMap<String, ClusterHealth> {
    let mut clusters = BTreeMap::new();
    let kinds = site.cloud.services.iter().flat_map(|service| &service.containers);
    for (kind, definition) in kinds {
        let Some(definition) = &definition.cluster else { continue };
        let expected = site.cloud.members(kind).count();
        if expected == 0 {
            continue;
        }
        let mut size = Some(0);
        for member in site.cloud.members(kind) {
            let running = matches!(
                context.host.containers.state(&member.name).await,
                Ok(ContainerState::Running { .. })
            );
            if !running {
                continue;
            }
            if let Ok(seen) = cluster::size(context, site, member, &definition.size).await {
                size = seen;
                break;
            }
        }
        clusters.insert(kind.clone(), ClusterHealth { size, expected });
    }
    clusters
}
