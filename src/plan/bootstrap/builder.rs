//! The nodes of the graph, and their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::profile::Probe;
use crate::engine::event::{Phase, Resource};
use crate::engine::key::{ContainerStep, StepKey};
use crate::engine::step::{Action, Step};
use crate::error::Result;
use crate::model::cloud::Cloud;
use crate::model::startup::Startup;
use crate::model::topology::Container;
use crate::render::Renderer;
use crate::steps::cluster::Form;
use crate::steps::rejoin::Rejoin;
use crate::steps::service::Ready;
use crate::steps::site::Site;

/// Builds the graph's nodes for one cloud.
pub struct Builder<'a> {
    pub(super) site: Arc<Site>,
    pub(super) renderer: &'a Renderer,
    /// What starts in the containers of a layer, by its id.
    pub(super) startups: BTreeMap<String, Vec<Startup>>,
    steps: Vec<Step>,
}

/// The key of a step on one container.
pub fn container_key(container: &Container, step: ContainerStep) -> StepKey {
    StepKey::Container { kind: container.kind.clone(), member: container.member, step }
}

/// The step that sees a member back where it serves.
pub(in crate::plan) fn back_in_service(
    site: &Arc<Site>,
    form: Option<&Form>,
    member: &Container,
) -> Step {
    let units = |member| container_key(member, ContainerStep::Units);
    let frontends = site.cloud.frontends().filter(|(_, it)| it.backend == member.kind);
    let servers = frontends.map(|(_, it)| (member.clone(), it.name.clone())).collect();
    Step {
        key: container_key(member, ContainerStep::Rejoin),
        title: format!("{} is back in service", member.label()),
        phase: Phase::Services,
        resource: Resource::Light,
        needs: std::iter::once(member).chain(site.cloud.balancers()).map(units).collect(),
        estimate_ms: 8_000,
        action: Arc::new(Rejoin {
            member: member.clone(),
            form: form.cloned(),
            ready: Ready { servers, site: Arc::clone(site) },
        }),
    }
}

pub(in crate::plan) fn ready_key(service: &str) -> StepKey {
    StepKey::Ready(service.to_owned())
}

pub(in crate::plan) fn catalog_key() -> StepKey {
    StepKey::Catalog
}

pub(super) fn setup_key(service: &str, command: &str) -> StepKey {
    StepKey::Setup { service: service.to_owned(), command: command.to_owned() }
}

pub fn form_key(kind: &str) -> StepKey {
    StepKey::ClusterForm(kind.to_owned())
}

/// All steps of a cloud, in no particular order.
pub fn steps(site: &Arc<Site>, renderer: &Renderer) -> Result<Vec<Step>> {
    let mut builder =
        Builder { site: Arc::clone(site), renderer, startups: BTreeMap::new(), steps: Vec::new() };
    builder.host();
    for service in &site.cloud.services {
        for (kind, definition) in &service.containers {
            builder.kind(service, kind, definition)?;
        }
        builder.databases(service)?;
        for command in &service.setup {
            builder.setup(service, command)?;
        }
        builder.ready(service);
    }
    builder.layers();
    builder.access()?;
    builder.catalog();
    Ok(builder.steps)
}

/// Returns when each container of a cloud is healthy, by full name.
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

impl Builder<'_> {
    pub(super) fn add(
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

    pub(super) fn extend(&mut self, steps: Vec<Step>) {
        self.steps.extend(steps);
    }

    pub(super) fn text(&self, container: &Container, text: &str) -> Result<String> {
        self.renderer.render_text(container, text)
    }
}

#[cfg(test)]
mod tests;
