//! From the desired cloud to the graph of steps that makes it so. Pure: files are rendered, nothing
//! is looked at.
//!
//! The keys are an interface: `aio plan` prints them, records and logs name them.
//!
//! | key | what it does |
//! |---|---|
//! | `host/settings`, `host/network` | kernel limits; bridges, routes, firewall |
//! | `layer/NAME` | builds an image layer |
//! | `container/KIND/MEMBER/define`, `…/files`, `…/start`, `…/units` | one container |
//! | `cluster/KIND/seed`, `cluster/KIND/form` | members that form one cluster |
//! | `database/access`, `database/NAME` | accounts and schemas |
//! | `setup/SERVICE/NAME` | a profile's own commands |
//! | `identity/catalog` | domains, projects, users, roles, endpoints |
//! | `service/NAME/ready`, `cloud/verify` | the last looks |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::config::profile::{
    Cluster, ContainerKind, File, Probe, ServiceProfile, SetupCommand, SetupPhase, Unit,
};
use crate::engine::event::{Phase, Resource, StepKey};
use crate::engine::step::{Action, Step};
use crate::error::{Error, Result};
use crate::host::{Command, HostNetworkSpec};
use crate::model::cloud::Cloud;
use crate::model::topology::Container;
use crate::render::Renderer;
use crate::steps::catalog::Catalog;
use crate::steps::cluster::{Form, Seed};
use crate::steps::container::{Define, DesiredFile, Files, Start};
use crate::steps::database::{Access, Database};
use crate::steps::host::{Binary, BootUnit, KernelSettings, Network};
use crate::steps::layer::{BuildLayer, DownloadPackages, FindPackages};
use crate::steps::service::{Ready, Verify};
use crate::steps::setup::Setup;
use crate::steps::shared::{Shared, address};
use crate::steps::units::Units;

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
fn ready_key(service: &str) -> StepKey {
    StepKey::new(format!("service/{service}/ready"))
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
    let exposed = match cloud.networks.exposed_address {
        None => Vec::new(),
        Some(address) => cloud
            .frontends()
            .filter(|(_, frontend)| frontend.expose)
            .map(|(_, frontend)| (address, frontend.port, frontend.port))
            .collect(),
    };
    HostNetworkSpec {
        cloud: cloud.name.clone(),
        networks: cloud.networks.networks.clone(),
        virtual_address: cloud.networks.virtual_address,
        exposed,
    }
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

    fn host(&mut self) {
        let sysctls = self.shared.cloud.release.kernel_settings.clone();
        self.add(
            StepKey::new("host/settings"),
            "kernel limits".to_owned(),
            (Phase::Host, Resource::Light, 20),
            Vec::new(),
            KernelSettings { sysctls },
        );
        self.add(
            StepKey::new("host/binary"),
            "copy of the binary for hooks".to_owned(),
            (Phase::Host, Resource::Light, 50),
            Vec::new(),
            Binary,
        );
        self.add(
            StepKey::new("host/boot-unit"),
            "unit that starts the cloud at boot".to_owned(),
            (Phase::Host, Resource::Light, 50),
            vec![StepKey::new("host/binary")],
            BootUnit,
        );
        let spec = network_spec(&self.shared);
        self.add(
            StepKey::new("host/network"),
            "bridges, routes and firewall".to_owned(),
            (Phase::Host, Resource::Light, 200),
            vec![StepKey::new("host/settings")],
            Network { spec },
        );
    }

    fn layers(&mut self) {
        let layers = self.shared.cloud.layers.clone();
        let index = StepKey::new("packages/index");
        self.add(
            index.clone(),
            "package index".to_owned(),
            (Phase::Images, Resource::Package, 5_000),
            Vec::new(),
            FindPackages { layers: layers.clone() },
        );
        self.add(
            StepKey::new("packages/download"),
            "package downloads".to_owned(),
            (Phase::Images, Resource::Download, 20_000),
            vec![index.clone()],
            DownloadPackages { layers: layers.clone() },
        );
        for (id, spec) in layers.clone() {
            let parents = layers
                .iter()
                .filter(|(parent, _)| Some(parent) == spec.parent.as_ref())
                .map(|(_, parent)| StepKey::new(format!("layer/{}", parent.name)));
            let needs = std::iter::once(index.clone()).chain(parents).collect();
            self.add(
                StepKey::new(format!("layer/{}", spec.name)),
                format!("image layer {}", spec.name),
                (Phase::Images, Resource::Package, 5_000 + 150 * spec.packages.len() as u64),
                needs,
                BuildLayer { id, spec },
            );
        }
    }

    fn layer_keys(&self, container: &Container) -> Vec<StepKey> {
        let layers = self.shared.cloud.layers.iter();
        layers
            .filter(|(id, _)| container.layers.contains(id))
            .map(|(_, spec)| StepKey::new(format!("layer/{}", spec.name)))
            .collect()
    }

    /// Every file of a container: those that all have, then the kind's own.
    fn files_of(
        &self,
        definition: &ContainerKind,
        container: &Container,
        units: &[String],
    ) -> Result<Vec<DesiredFile>> {
        let release = &self.shared.cloud.release;
        let common_units: Vec<String> =
            release.units.iter().map(|unit| unit.name.clone()).collect();
        let mut files = Vec::new();
        for file in &release.files {
            files.push(self.file(container, file, &common_units)?);
        }
        for file in &definition.files {
            files.push(self.file(container, file, units)?);
        }
        Ok(files)
    }

    fn file(&self, container: &Container, file: &File, units: &[String]) -> Result<DesiredFile> {
        let rendered = self.renderer.render_file(container, file)?;
        let restarts = file.restarts.clone().unwrap_or_else(|| units.to_vec());
        let apply = match &file.apply {
            // Its effect reaches the whole cluster: once is enough.
            Some(_) if file.apply_once && container.member != 1 => Some("true".to_owned()),
            Some(script) => Some(self.text(container, script)?),
            None => None,
        };
        Ok(DesiredFile { file: rendered, restarts, apply })
    }

    fn text(&self, container: &Container, text: &str) -> Result<String> {
        self.renderer.render_text(container, text)
    }

    fn kind(
        &mut self,
        service: &ServiceProfile,
        kind: &str,
        definition: &ContainerKind,
    ) -> Result<()> {
        let members: Vec<Container> = self.shared.cloud.members(kind).cloned().collect();
        if members.is_empty() {
            return Ok(());
        }
        let rolling = Arc::new(Mutex::new(()));
        for container in &members {
            self.container(service, definition, container, &rolling)?;
        }
        if let Some(cluster) = &definition.cluster {
            self.cluster(definition, cluster, &members)?;
        }
        Ok(())
    }

    fn container(
        &mut self,
        service: &ServiceProfile,
        definition: &ContainerKind,
        container: &Container,
        rolling: &Arc<Mutex<()>>,
    ) -> Result<()> {
        let label = format!("{}/{}", container.kind, container.member);
        let cluster_unit = definition.cluster.as_ref().map(|cluster| cluster.unit.as_str());
        let names: Vec<String> = definition.units.iter().map(|unit| unit.name.clone()).collect();
        let files = self.files_of(definition, container, &names)?;
        self.add(
            container_key(container, "define"),
            format!("define container {label}"),
            (Phase::Containers, Resource::Light, 100),
            self.layer_keys(container),
            Define { container: container.clone(), balancer: Arc::clone(&self.shared.balancer) },
        );
        self.add(
            container_key(container, "files"),
            format!("files of {label}"),
            (Phase::Containers, Resource::Light, 50),
            vec![container_key(container, "define")],
            Files { container: container.name.clone(), files },
        );
        let mut before_start = vec![
            container_key(container, "files"),
            StepKey::new("host/binary"),
            StepKey::new("host/network"),
            StepKey::new("host/settings"),
        ];
        if definition.cluster.as_ref().is_some_and(|cluster| !cluster.seed.is_empty()) {
            before_start.push(StepKey::new(format!("cluster/{}/seed", container.kind)));
        }
        self.add(
            container_key(container, "start"),
            format!("start container {label}"),
            (Phase::Containers, Resource::Start, 700),
            before_start,
            Start { container: container.name.clone() },
        );
        let common = self.shared.cloud.release.units.clone();
        let own = definition.units.iter().filter(|unit| cluster_unit != Some(unit.name.as_str()));
        let units: Vec<Unit> = common.into_iter().chain(own.cloned()).collect();
        let mut needs = vec![container_key(container, "start")];
        needs.extend(self.before_units(service, container));
        // A cluster's own step asks for the health of its members.
        let probes = match cluster_unit {
            Some(_) => Vec::new(),
            None => self.shared.cloud.probes(container).to_vec(),
        };
        self.add(
            container_key(container, "units"),
            format!("units of {label}"),
            (Phase::Services, Resource::Load, 2_500),
            needs,
            Units {
                container: container.clone(),
                units,
                probes,
                shared: Arc::clone(&self.shared),
                rolling: Arc::clone(rolling),
            },
        );
        Ok(())
    }

    /// What a service's units wait for: its own set-up, and the services that it needs.
    fn before_units(&self, service: &ServiceProfile, container: &Container) -> Vec<StepKey> {
        if service.containers.get(&container.kind).is_some_and(|kind| kind.cluster.is_some()) {
            return Vec::new();
        }
        let mut needs: Vec<StepKey> = service
            .setup
            .iter()
            .filter(|command| command.before == SetupPhase::Units)
            .map(|command| setup_key(&service.service, &command.name))
            .collect();
        needs.extend(self.foundations(service));
        needs
    }

    /// What must be there before a service can be prepared or started: its databases, and the
    /// services that it needs, in service. The identity service is left out: nobody asks it before
    /// a user does, and a cloud is up seconds earlier when both load side by side.
    fn foundations(&self, service: &ServiceProfile) -> Vec<StepKey> {
        let databases = service.databases.iter();
        let mut keys: Vec<StepKey> =
            databases.map(|database| StepKey::new(format!("database/{}", database.name))).collect();
        let needed = self.shared.cloud.services.iter().filter(|other| {
            service.needs.contains(&other.service) && other.identity_server.is_none()
        });
        keys.extend(needed.map(|other| ready_key(&other.service)));
        keys
    }

    fn cluster(
        &mut self,
        definition: &ContainerKind,
        cluster: &Cluster,
        members: &[Container],
    ) -> Result<()> {
        let Some(first) = members.first() else { return Ok(()) };
        let kind = &first.kind;
        if !cluster.seed.is_empty() {
            let mut seeds = Vec::new();
            for member in members {
                let files: Result<Vec<DesiredFile>> =
                    cluster.seed.iter().map(|file| self.file(member, file, &[])).collect();
                seeds.push((member.name.clone(), files?));
            }
            self.add(
                StepKey::new(format!("cluster/{kind}/seed")),
                format!("first state of the {kind} cluster"),
                (Phase::Containers, Resource::Light, 50),
                // Not beside them: two writers would mount the same root at the same time.
                members.iter().map(|member| container_key(member, "files")).collect(),
                Seed { members: seeds },
            );
        }
        let unit = definition.units.iter().find(|unit| unit.name == cluster.unit).cloned();
        let unit = unit.ok_or_else(|| {
            Error::failed(format!("find the unit `{}` of `{kind}`", cluster.unit))
        })?;
        let form = Form {
            members: members.to_vec(),
            cluster: cluster.clone(),
            unit,
            shared: Arc::clone(&self.shared),
        };
        self.add(
            form_key(kind),
            format!("form the {kind} cluster"),
            (Phase::Services, Resource::Light, 9_000),
            // After the other units, which record what is pending in the same place.
            members.iter().map(|member| container_key(member, "units")).collect(),
            form,
        );
        Ok(())
    }

    fn access(&mut self) -> Result<()> {
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

    fn databases(&mut self, service: &ServiceProfile) -> Result<()> {
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

    fn setup(&mut self, service: &ServiceProfile, command: &SetupCommand) -> Result<()> {
        let cloud = &self.shared.cloud;
        let Some(container) = cloud.members(&command.container).next().cloned() else {
            return Ok(());
        };
        let mut environment = BTreeMap::new();
        for (name, value) in &command.environment {
            environment.insert(name.clone(), self.text(&container, value)?);
        }
        let script = self.text(&container, &command.script)?;
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
            command: Command { environment, ..Command::shell(script) },
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

    fn ready(&mut self, service: &ServiceProfile) {
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

    fn catalog(&mut self) {
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
