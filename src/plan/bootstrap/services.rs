//! Steps on services: databases, set-up commands, the last looks, and the catalog.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::builder::{
    Builder, back_in_service, catalog_key, container_key, form_key, ready_key, setup_key,
};
use crate::config::profile::{Done, ServiceProfile, SetupCommand, SetupPhase};
use crate::engine::event::{Phase, Resource};
use crate::engine::key::{ContainerStep, StepKey};
use crate::engine::step::Step;
use crate::error::Result;
use crate::model::command::Command;
use crate::model::hash::sha256_hex;
use crate::model::topology::Container;
use crate::render::Renderer;
use crate::steps::catalog::Catalog;
use crate::steps::database::{Access, Database};
use crate::steps::service::{Ready, Verify};
use crate::steps::setup::{Keepsake, Setup};
use crate::steps::site::ATTEMPTS;

/// A set-up command as it runs in a container, secrets in its environment.
pub fn setup_command(
    renderer: &Renderer,
    container: &Container,
    command: &SetupCommand,
) -> Result<Command> {
    let environment = renderer.render_environment(container, &command.environment)?;
    let script = renderer.render_text(container, &command.script)?;
    Ok(Command { environment, ..Command::shell(script) })
}

/// How a command is seen to be done, with its script or query as `render` makes it.
pub fn rendered_done(done: &Done, render: impl Fn(&str) -> Result<String>) -> Result<Done> {
    Ok(match done {
        Done::Run { script } => Done::Run { script: render(script)? },
        Done::Sql { query } => Done::Sql { query: render(query)? },
        Done::AdminToken => Done::AdminToken,
    })
}

impl Builder<'_> {
    /// What must be there before a service can be prepared or started: its databases, and the
    /// services that it needs, in service. The identity service is left out: nobody asks it before
    /// a user does, and a cloud is up seconds earlier when both load side by side.
    pub(super) fn foundations(&self, service: &ServiceProfile) -> Vec<StepKey> {
        let databases = service.databases.iter();
        let mut keys: Vec<StepKey> =
            databases.map(|database| StepKey::Database(database.name.clone())).collect();
        let needed = self.site.cloud.services.iter().filter(|other| {
            service.needs.contains(&other.service) && other.identity_server.is_none()
        });
        keys.extend(needed.map(|other| ready_key(&other.service)));
        keys
    }

    /// The step that makes users, roles and the catalog; none without an identity service.
    pub(super) fn catalog_if_any(&self) -> Option<StepKey> {
        self.site.cloud.identity_server().map(|_| catalog_key())
    }

    pub(super) fn access(&mut self) -> Result<()> {
        let site = Arc::clone(&self.site);
        let Some(definition) = site.cloud.sql_server() else { return Ok(()) };
        let members: Vec<Container> = site.cloud.members(&definition.kind).cloned().collect();
        let Some(first) = members.first() else { return Ok(()) };
        let sql = self.text(first, &definition.access)?;
        self.add(
            StepKey::DatabaseAccess,
            "accounts of the databases".to_owned(),
            (Phase::Services, Resource::Light, 100),
            vec![form_key(&definition.kind)],
            Access { members, sql, site: Arc::clone(&site) },
        );
        Ok(())
    }

    pub(super) fn databases(&mut self, service: &ServiceProfile) -> Result<()> {
        let cloud = &self.site.cloud;
        let mut databases = Vec::new();
        for definition in &service.databases {
            let mut hosts = BTreeSet::new();
            let direct = definition.direct_from.iter().flat_map(|kind| cloud.members(kind));
            for member in cloud.balancers().chain(direct) {
                hosts.insert(member.daemon_address()?.to_string());
            }
            databases.push((definition.clone(), hosts));
        }
        for (definition, hosts) in databases {
            self.add(
                StepKey::Database(definition.name.clone()),
                format!("database {}", definition.name),
                (Phase::Services, Resource::Light, 100),
                vec![StepKey::DatabaseAccess],
                Database { definition, hosts, site: Arc::clone(&self.site) },
            );
        }
        Ok(())
    }

    pub(super) fn setup(&mut self, service: &ServiceProfile, command: &SetupCommand) -> Result<()> {
        let cloud = &self.site.cloud;
        let Some(container) = cloud.members(&command.container).next().cloned() else {
            return Ok(());
        };
        let rendered = setup_command(self.renderer, &container, command)?;
        let done = rendered_done(&command.done, |text| self.text(&container, text))?;
        let mut needs = vec![container_key(&container, ContainerStep::Start)];
        needs.extend(self.foundations(service));
        // Commands of one service run in the order in which the profile lists them.
        let own = self.setup_commands(service, command.before);
        let earlier = own.take_while(|other| other.name != command.name);
        needs.extend(earlier.map(|other| setup_key(&service.service, &other.name)));
        match command.before {
            SetupPhase::Units => {}
            SetupPhase::Ready => {
                let kinds = service.containers.keys();
                let members = kinds.flat_map(|kind| cloud.members(kind));
                needs.extend(members.map(|member| container_key(member, ContainerStep::Units)));
            }
            SetupPhase::Cloud => needs.extend(self.whole_cloud(service)),
        }
        let keepsake = self.keepsake(service, command, &container);
        let setup = Setup {
            title: command.title.clone(),
            record: format!("setup/{}/{}", service.service, command.name),
            container,
            command: rendered,
            done,
            fills: command.fills.clone(),
            keepsake,
            upgrades: command.upgrades,
            attempts: if command.before == SetupPhase::Cloud { ATTEMPTS } else { 1 },
            site: Arc::clone(&self.site),
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

    /// Where what a command makes of empty databases is kept: the same software on the same databases
    /// makes the same of them.
    fn keepsake(
        &self,
        service: &ServiceProfile,
        command: &SetupCommand,
        container: &Container,
    ) -> Option<Keepsake> {
        let kept = command.kept.as_ref()?;
        let cloud = &self.site.cloud;
        let databases = cloud.members(&self.site.sql_definition().ok()?.kind).next()?;
        // As the profile has it: rendered, it may name members.
        let told = [&command.script, &command.fills.join(" "), &kept.without_rows_of.join(" ")];
        let environment = command.environment.iter().flat_map(|(name, text)| [name, text]);
        let layers = container.layers.iter().chain(&databases.layers);
        let parts = told.into_iter().chain(environment).chain(layers).map(String::as_str);
        let parts: Vec<&str> = parts.collect();
        let hash = sha256_hex(parts.join("\n"));
        Some(Keepsake {
            layer: container.layers.first()?.clone(),
            name: format!("{}-{}-{}.sql", service.service, command.name, &hash[..12]),
            without_rows_of: kept.without_rows_of.clone(),
        })
    }

    /// The set-up commands of one phase for which the cloud has a container, in order.
    pub(super) fn setup_commands<'a>(
        &'a self,
        service: &'a ServiceProfile,
        phase: SetupPhase,
    ) -> impl Iterator<Item = &'a SetupCommand> {
        let commands = service.setup.iter().filter(move |command| command.before == phase);
        commands.filter(move |command| self.site.cloud.members(&command.container).next().is_some())
    }

    /// What a command of that service waits for that uses the cloud as a user does: every service,
    /// the catalog, and what services that it needs, near or far, make in this way themselves.
    fn whole_cloud(&self, service: &ServiceProfile) -> Vec<StepKey> {
        let services = &self.site.cloud.services;
        let mut keys: Vec<StepKey> =
            services.iter().map(|other| ready_key(&other.service)).collect();
        keys.extend(self.catalog_if_any());
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        let mut waiting = vec![service];
        while let Some(next) = waiting.pop() {
            let new = services.iter().filter(|other| next.needs.contains(&other.service));
            waiting.extend(new.filter(|other| needed.insert(&other.service)));
        }
        for other in services.iter().filter(|other| needed.contains(other.service.as_str())) {
            let commands = self.setup_commands(other, SetupPhase::Cloud);
            keys.extend(commands.map(|command| setup_key(&other.service, &command.name)));
        }
        keys
    }

    pub(super) fn ready(&mut self, service: &ServiceProfile) {
        let cloud = &self.site.cloud;
        let mut needs: Vec<StepKey> = Vec::new();
        for (kind, definition) in &service.containers {
            needs.extend(
                cloud.members(kind).map(|member| container_key(member, ContainerStep::Units)),
            );
            if definition.cluster.is_some() && cloud.members(kind).next().is_some() {
                needs.push(form_key(kind));
            }
        }
        for phase in [SetupPhase::Units, SetupPhase::Ready] {
            let commands = self.setup_commands(service, phase);
            needs.extend(commands.map(|command| setup_key(&service.service, &command.name)));
        }
        let balancers = cloud.balancers().map(|it| container_key(it, ContainerStep::Units));
        needs.extend(balancers);
        needs.extend(self.back_in_service(service));
        let cloud = &self.site.cloud;
        if service.sql_server.is_some() {
            // The balancer's own check logs in with an account that this step makes.
            needs.push(StepKey::DatabaseAccess);
        }
        let mut servers = Vec::new();
        for frontend in &service.frontends {
            for member in cloud.members(&frontend.backend) {
                servers.push((member.clone(), frontend.name.clone()));
            }
        }
        let site = Arc::clone(&self.site);
        self.add(
            ready_key(&service.service),
            format!("{} is in service", service.service),
            (Phase::Verify, Resource::Light, 1_000),
            needs,
            Ready { servers, site },
        );
    }

    /// Members of a service whose commands use it before it counts as ready: each serves as soon as it
    /// can, if it was taken out of service before.
    fn back_in_service(&mut self, service: &ServiceProfile) -> Vec<StepKey> {
        if self.setup_commands(service, SetupPhase::Ready).next().is_none() {
            return Vec::new();
        }
        let site = Arc::clone(&self.site);
        let kinds = service.containers.keys().filter(|kind| site.cloud.is_balanced(kind));
        let members = kinds.flat_map(|kind| site.cloud.members(kind));
        let steps: Vec<Step> = members.map(|it| back_in_service(&site, None, it)).collect();
        let keys = steps.iter().map(|step| step.key.clone()).collect();
        self.extend(steps);
        keys
    }

    pub(super) fn catalog(&mut self) {
        let site = Arc::clone(&self.site);
        let Some(service) =
            site.cloud.services.iter().find(|service| service.identity_server.is_some())
        else {
            return;
        };
        let mut needs: Vec<StepKey> = vec![ready_key(&service.service)];
        needs.extend(
            service
                .needs
                .iter()
                .filter(|needed| site.cloud.services.iter().any(|other| other.service == **needed))
                .map(|needed| ready_key(needed)),
        );
        self.add(
            catalog_key(),
            "users, roles and the catalog".to_owned(),
            (Phase::Services, Resource::Light, 1_500),
            needs,
            Catalog { site: Arc::clone(&site) },
        );
        let mut needs = vec![catalog_key()];
        for service in &site.cloud.services {
            needs.push(ready_key(&service.service));
            let commands = self.setup_commands(service, SetupPhase::Cloud);
            needs.extend(commands.map(|command| setup_key(&service.service, &command.name)));
        }
        self.add(
            StepKey::CloudVerify,
            "a token, and every endpoint of the catalog".to_owned(),
            (Phase::Verify, Resource::Light, 700),
            needs,
            Verify { site },
        );
    }
}
