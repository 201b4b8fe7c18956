//! Steps on services: databases, set-up commands, the last looks, and the catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Builder, container_key, form_key, ready_key, setup_key};
use crate::config::profile::{ServiceProfile, SetupCommand, SetupPhase};
use crate::engine::event::{Phase, Resource, StepKey};
use crate::error::Result;
use crate::host::Command;
use crate::model::topology::Container;
use crate::render::Renderer;
use crate::steps::catalog::Catalog;
use crate::steps::database::{Access, Database};
use crate::steps::service::{Ready, Verify};
use crate::steps::setup::Setup;
use crate::steps::shared::address;

/// A set-up command as it runs in a container, secrets in its environment.
pub fn setup_command(
    renderer: &Renderer,
    container: &Container,
    command: &SetupCommand,
) -> Result<Command> {
    let mut environment = BTreeMap::new();
    for (name, value) in &command.environment {
        environment.insert(name.clone(), renderer.render_text(container, value)?);
    }
    let script = renderer.render_text(container, &command.script)?;
    Ok(Command { environment, ..Command::shell(script) })
}

impl Builder<'_> {
    /// What must be there before a service can be prepared or started: its databases, and the
    /// services that it needs, in service. The identity service is left out: nobody asks it before
    /// a user does, and a cloud is up seconds earlier when both load side by side.
    pub(super) fn foundations(&self, service: &ServiceProfile) -> Vec<StepKey> {
        let databases = service.databases.iter();
        let mut keys: Vec<StepKey> =
            databases.map(|database| StepKey::new(format!("database/{}", database.name))).collect();
        let needed = self.shared.cloud.services.iter().filter(|other| {
            service.needs.contains(&other.service) && other.identity_server.is_none()
        });
        keys.extend(needed.map(|other| ready_key(&other.service)));
        keys
    }

    pub(super) fn access(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        if !shared.cloud.services.iter().any(|service| service.sql_server.is_some()) {
            return Ok(());
        }
        let definition = shared.sql_definition()?;
        let members: Vec<Container> = shared.cloud.members(&definition.kind).cloned().collect();
        let Some(first) = members.first() else { return Ok(()) };
        let sql = self.text(first, &definition.access)?;
        self.add(
            StepKey::new("database/access"),
            "accounts of the databases".to_owned(),
            (Phase::Services, Resource::Light, 100),
            vec![form_key(&definition.kind)],
            Access { members, sql, shared: Arc::clone(&shared) },
        );
        Ok(())
    }

    pub(super) fn databases(&mut self, service: &ServiceProfile) -> Result<()> {
        let cloud = &self.shared.cloud;
        let balancers = cloud.services.iter().filter_map(|service| service.load_balancer.as_ref());
        let balancer_kinds: Vec<String> =
            balancers.map(|definition| definition.kind.clone()).collect();
        let mut databases = Vec::new();
        for definition in &service.databases {
            let mut hosts = BTreeSet::new();
            for kind in balancer_kinds.iter().chain(&definition.direct_from) {
                for member in cloud.members(kind) {
                    hosts.insert(address(member)?.to_string());
                }
            }
            databases.push((definition.clone(), hosts));
        }
        for (definition, hosts) in databases {
            self.add(
                StepKey::new(format!("database/{}", definition.name)),
                format!("database {}", definition.name),
                (Phase::Services, Resource::Light, 100),
                vec![StepKey::new("database/access")],
                Database { definition, hosts, shared: Arc::clone(&self.shared) },
            );
        }
        Ok(())
    }

    pub(super) fn setup(&mut self, service: &ServiceProfile, command: &SetupCommand) -> Result<()> {
        let cloud = &self.shared.cloud;
        let Some(container) = cloud.members(&command.container).next().cloned() else {
            return Ok(());
        };
        let rendered = setup_command(self.renderer, &container, command)?;
        let mut needs = vec![container_key(&container, "start")];
        needs.extend(self.foundations(service));
        // Commands of one service run in the order in which the profile lists them.
        let earlier = service.setup.iter().take_while(|other| other.name != command.name);
        needs.extend(
            earlier
                .filter(|other| other.before == command.before)
                .map(|other| setup_key(&service.service, &other.name)),
        );
        if command.before == SetupPhase::Ready {
            let kinds = service.containers.keys();
            let members = kinds.flat_map(|kind| cloud.members(kind));
            needs.extend(members.map(|member| container_key(member, "units")));
        }
        let setup = Setup {
            title: command.title.clone(),
            record: format!("setup/{}/{}", service.service, command.name),
            container,
            command: rendered,
            done: command.done.clone(),
            shared: Arc::clone(&self.shared),
        };
        self.add(
            setup_key(&service.service, &command.name),
            command.title.clone(),
            (Phase::Services, Resource::Load, 3_000),
            needs,
            setup,
        );
        Ok(())
    }

    pub(super) fn ready(&mut self, service: &ServiceProfile) {
        let cloud = &self.shared.cloud;
        let mut needs: Vec<StepKey> = Vec::new();
        for (kind, definition) in &service.containers {
            needs.extend(cloud.members(kind).map(|member| container_key(member, "units")));
            if definition.cluster.is_some() && cloud.members(kind).next().is_some() {
                needs.push(form_key(kind));
            }
        }
        needs.extend(service.setup.iter().map(|it| setup_key(&service.service, &it.name)));
        let balancers = cloud.services.iter().filter_map(|it| it.load_balancer.as_ref());
        for definition in balancers {
            let members = cloud.members(&definition.kind);
            needs.extend(members.map(|member| container_key(member, "units")));
        }
        if service.sql_server.is_some() {
            // The balancer's own check logs in with an account that this step makes.
            needs.push(StepKey::new("database/access"));
        }
        let mut servers = Vec::new();
        for frontend in &service.frontends {
            for member in cloud.members(&frontend.backend) {
                servers.push((member.clone(), frontend.name.clone()));
            }
        }
        let shared = Arc::clone(&self.shared);
        self.add(
            ready_key(&service.service),
            format!("{} is in service", service.service),
            (Phase::Verify, Resource::Light, 1_000),
            needs,
            Ready { servers, shared },
        );
    }

    pub(super) fn catalog(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(service) =
            shared.cloud.services.iter().find(|service| service.identity_server.is_some())
        else {
            return;
        };
        let mut needs: Vec<StepKey> = vec![ready_key(&service.service)];
        needs.extend(
            service
                .needs
                .iter()
                .filter(|needed| {
                    shared.cloud.services.iter().any(|other| other.service == **needed)
                })
                .map(|needed| ready_key(needed)),
        );
        self.add(
            StepKey::new("identity/catalog"),
            "users, roles and the catalog".to_owned(),
            (Phase::Services, Resource::Light, 1_500),
            needs,
            Catalog { shared: Arc::clone(&shared) },
        );
        let mut needs = vec![StepKey::new("identity/catalog")];
        needs.extend(shared.cloud.services.iter().map(|service| ready_key(&service.service)));
        self.add(
            StepKey::new("cloud/verify"),
            "a token, and every endpoint of the catalog".to_owned(),
            (Phase::Verify, Resource::Light, 700),
            needs,
            Verify { shared },
        );
    }
}
