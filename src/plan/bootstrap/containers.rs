//! Steps on containers, and on the clusters that members of a kind form.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::builder::{Builder, container_key, form_key, setup_key};
use crate::config::profile::{Cluster, ContainerKind, File, ServiceProfile, SetupPhase, Unit};
use crate::engine::event::{Phase, Resource};
use crate::engine::key::{ContainerStep, HostStep, StepKey};
use crate::error::Result;
use crate::model::file::ContainerFile;
use crate::model::startup::Startup;
use crate::model::topology::Container;
use crate::steps::cluster::{Form, Seed};
use crate::steps::container::{Define, Files, Start};
use crate::steps::dropped_data::{Forget, Grow};
use crate::steps::pending::DesiredFile;
use crate::steps::units::Units;

impl Builder<'_> {
    pub(super) fn kind(
        &mut self,
        service: &ServiceProfile,
        kind: &str,
        definition: &ContainerKind,
    ) -> Result<()> {
        let members: Vec<Container> = self.site.cloud.members(kind).cloned().collect();
        if members.is_empty() {
            return Ok(());
        }
        let rolling = Arc::new(Mutex::new(()));
        for container in &members {
            self.container(service, definition, container, &rolling)?;
        }
        if let Some(cluster) = &definition.cluster {
            self.cluster(cluster, &members)?;
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
        let label = container.label();
        let cluster_unit = definition.cluster.as_ref().map(|cluster| cluster.unit.as_str());
        let names: Vec<String> = definition.units.iter().map(|unit| unit.name.clone()).collect();
        let files = self.files_of(definition, container, &names)?;
        if let Some(layer) = container.software().first().filter(|_| container.member == 1) {
            let startup = startup(service, definition, container, &files);
            self.startups.entry(layer.clone()).or_default().push(startup);
        }
        self.add(
            container_key(container, ContainerStep::Define),
            format!("define container {label}"),
            (Phase::Containers, Resource::Light, 100),
            self.layer_keys(container),
            Define {
                container: container.clone(),
                programs: programs(definition),
                balancer: Arc::clone(&self.site.balancer),
            },
        );
        self.add(
            container_key(container, ContainerStep::Files),
            format!("files of {label}"),
            (Phase::Containers, Resource::Light, 50),
            vec![container_key(container, ContainerStep::Define)],
            Files { container: container.name.clone(), files },
        );
        let mut before_start = vec![
            container_key(container, ContainerStep::Files),
            StepKey::Host(HostStep::Binary),
            StepKey::Host(HostStep::Network),
            StepKey::Host(HostStep::Filters),
            StepKey::Host(HostStep::Settings),
        ];
        if definition.cluster.as_ref().is_some_and(|cluster| !cluster.seed.is_empty()) {
            before_start.push(StepKey::ClusterSeed(container.kind.clone()));
        }
        self.add(
            container_key(container, ContainerStep::Start),
            format!("start container {label}"),
            (Phase::Containers, Resource::Start, 700),
            before_start,
            Start { container: container.name.clone() },
        );
        let common = self.site.cloud.releases().of(&container.kind).units.clone();
        let own = definition.units.iter().filter(|unit| cluster_unit != Some(unit.name.as_str()));
        let units: Vec<Unit> = common.into_iter().chain(own.cloned()).collect();
        let mut needs = vec![container_key(container, ContainerStep::Start)];
        if definition.cluster.as_ref().is_some_and(|cluster| cluster.forget.is_some()) {
            needs.push(container_key(container, ContainerStep::Forget));
        }
        needs.extend(self.before_units(service, container));
        // A cluster's own step asks for the health of its members.
        let probes = match cluster_unit {
            Some(_) => Vec::new(),
            None => self.site.cloud.probes(container).to_vec(),
        };
        self.add(
            container_key(container, ContainerStep::Units),
            format!("units of {label}"),
            (Phase::Services, Resource::Load, 2_500),
            needs,
            Units {
                container: container.clone(),
                units,
                probes,
                site: Arc::clone(&self.site),
                rolling: Arc::clone(rolling),
            },
        );
        Ok(())
    }

    fn layer_keys(&self, container: &Container) -> Vec<StepKey> {
        let layers = self.site.cloud.layers.iter();
        layers
            .filter(|(id, _)| container.layers.contains(id) || container.software().contains(id))
            .map(|(_, spec)| StepKey::Layer(spec.name.clone()))
            .collect()
    }

    /// Every file of a container: those that all have, then the kind's own.
    fn files_of(
        &self,
        definition: &ContainerKind,
        container: &Container,
        units: &[String],
    ) -> Result<Vec<DesiredFile>> {
        let release = self.site.cloud.releases().of(&container.kind);
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
        Ok(DesiredFile { file: rendered, restarts, apply, extends_image: file.extends_image })
    }

    /// What a kind's units wait for: its service's set-up and the services that this needs, kinds that
    /// come first, the catalog.
    fn before_units(&self, service: &ServiceProfile, container: &Container) -> Vec<StepKey> {
        let kind = service.containers.get(&container.kind);
        if kind.is_some_and(|kind| kind.cluster.is_some()) {
            return Vec::new();
        }
        let mut needs: Vec<StepKey> = self
            .setup_commands(service, SetupPhase::Units)
            .map(|command| setup_key(&service.service, &command.name))
            .collect();
        needs.extend(self.foundations(service));
        if let Some(kind) = kind {
            let first = kind.after.iter().flat_map(|other| self.site.cloud.members(other));
            needs.extend(first.map(|member| container_key(member, ContainerStep::Units)));
            if kind.needs_catalog {
                needs.extend(self.catalog_if_any());
            }
        }
        needs
    }

    fn cluster(&mut self, cluster: &Cluster, members: &[Container]) -> Result<()> {
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
                StepKey::ClusterSeed(kind.to_owned()),
                format!("first state of the {kind} cluster"),
                (Phase::Containers, Resource::Light, 50),
                // Not beside them: two writers would mount the same root at the same time.
                members.iter().map(|member| container_key(member, ContainerStep::Files)).collect(),
                Seed { members: seeds },
            );
        }
        let Some(form) = Form::of(&self.site, kind)? else { return Ok(()) };
        self.add(
            form_key(kind),
            format!("form the {kind} cluster"),
            (Phase::Services, Resource::Light, 9_000),
            // After the other units, which record what is pending in the same place.
            members.iter().map(|member| container_key(member, ContainerStep::Units)).collect(),
            form,
        );
        for member in members {
            self.dropped(cluster, member, members)?;
        }
        Ok(())
    }

    /// What becomes of a member whose data was dropped.
    fn dropped(
        &mut self,
        cluster: &Cluster,
        member: &Container,
        members: &[Container],
    ) -> Result<()> {
        let Some(forget) = &cluster.forget else { return Ok(()) };
        let label = member.label();
        let departing = serde_json::json!({ "departing": {
            "name": member.name, "hostname": member.hostname, "member": member.member,
            "address": member.management_address() } });
        let mut siblings = Vec::new();
        for sibling in members.iter().filter(|it| it.name != member.name) {
            let script = self.renderer.render_text_with(sibling, forget, &departing)?;
            siblings.push((sibling.name.clone(), script));
        }
        self.add(
            container_key(member, ContainerStep::Forget),
            format!("make the cluster forget {label}"),
            (Phase::Services, Resource::Light, 2_000),
            vec![container_key(member, ContainerStep::Start)],
            Forget { departing: member.clone(), unit: cluster.unit.clone(), siblings },
        );
        let script = cluster.grow.as_ref().map(|script| self.text(member, script)).transpose()?;
        self.add(
            container_key(member, ContainerStep::Grow),
            format!("give {label} its share again"),
            (Phase::Services, Resource::Light, 2_000),
            vec![form_key(&member.kind)],
            Grow { member: member.clone(), script, site: Arc::clone(&self.site) },
        );
        Ok(())
    }
}

/// What starts in a container, with all that may write files before.
fn startup(
    service: &ServiceProfile,
    definition: &ContainerKind,
    container: &Container,
    files: &[DesiredFile],
) -> Startup {
    let identity = container.identity_files.iter().map(|(path, text)| ContainerFile {
        path: path.clone(),
        owner: "root:root".to_owned(),
        mode: 0o644,
        content: text.clone().into_bytes(),
    });
    let seeds = definition.cluster.iter().flat_map(|cluster| &cluster.seed);
    let applied = files.iter().filter_map(|desired| desired.apply.clone());
    let commands = service.setup.iter().map(|command| command.script.clone());
    Startup {
        kind: container.kind.clone(),
        units: container.units.clone(),
        files: files.iter().map(|desired| desired.file.clone()).chain(identity).collect(),
        data: container.data.iter().map(|data| data.path.clone()).collect(),
        scripts: seeds.map(|seed| seed.path.clone()).chain(applied).chain(commands).collect(),
    }
}

/// The units that run OpenStack's own programs.
fn programs(definition: &ContainerKind) -> Vec<String> {
    let units = definition.units.iter().filter(|unit| unit.runs_openstack());
    units.map(|unit| unit.name.clone()).collect()
}
