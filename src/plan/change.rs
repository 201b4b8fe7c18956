//! Parts of the graph, for commands that change less than `bootstrap`: rebuild, start, stop.
//!
//! They reuse the steps of [`super::bootstrap`]: a rebuilt container is made by the same steps as a new
//! one, and `start` is `bootstrap` without anything that changes what was already chosen.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::event::{Phase, Resource};
use crate::engine::key::{ContainerStep, StepKey};
use crate::engine::step::{Action, Step};
use crate::model::topology::Container;
use crate::plan::bootstrap::{container_key, form_key};
use crate::steps::container::{Discard, StopContainer};
use crate::steps::remove::{ReleaseHost, RemoveContainer, RemoveFiles, RemoveNetwork};
use crate::steps::site::Site;

/// Whether a step brings up what a reboot takes away, and nothing else.
pub fn is_start(step: &Step) -> bool {
    use ContainerStep::{Define, Discard, Files, Forget, Grow, Rejoin, Remove, Start, Stop, Units};
    match &step.key {
        StepKey::Host(_) | StepKey::Ready(_) | StepKey::ClusterForm(_) => true,
        StepKey::Container { step, .. } => match step {
            Start | Forget | Units | Grow => true,
            Define | Files | Rejoin | Stop | Discard | Remove => false,
        },
        StepKey::PackageIndex
        | StepKey::PackageDownload
        | StepKey::Layer(_)
        | StepKey::ClusterSeed(_)
        | StepKey::DatabaseAccess
        | StepKey::Database(_)
        | StepKey::Setup { .. }
        | StepKey::Catalog
        | StepKey::CloudVerify
        | StepKey::Own(_) => false,
    }
}

/// Whether a step makes image layers: nothing of a cloud changes by it.
pub fn is_of_layers(step: &Step) -> bool {
    matches!(step.key, StepKey::PackageIndex | StepKey::PackageDownload | StepKey::Layer(_))
}

/// Whether a step is about the host as a whole.
pub fn is_of_host(step: &Step) -> bool {
    matches!(step.key, StepKey::Host(_))
}

/// Whether a step starts one of these containers, or waits for all that belongs to its service.
pub fn waits_for(step: &Step, containers: &[Container]) -> bool {
    containers.iter().any(|container| match &step.key {
        StepKey::Container { kind, member, .. } => {
            *kind == container.kind && *member == container.member
        }
        StepKey::Ready(service) => *service == container.service,
        _ => false,
    })
}

/// Lets the containers of services that need a cluster wait until it has formed.
///
/// Their units start with them, and those that find no database or messages start again and again.
/// With a whole cloud on two cores that left so little for the clusters that galera took 127 s.
pub fn clusters_first(steps: &mut [Step], site: &Site) {
    let cloud = &site.cloud;
    for service in &cloud.services {
        let needed = cloud.services.iter().filter(|other| service.needs.contains(&other.service));
        let clusters: Vec<StepKey> = needed
            .flat_map(|other| &other.containers)
            .filter(|(_, definition)| definition.cluster.is_some())
            .map(|(kind, _)| form_key(kind))
            .collect();
        let members = service.containers.keys().flat_map(|kind| cloud.members(kind));
        let starts: BTreeSet<_> =
            members.map(|member| container_key(member, ContainerStep::Start)).collect();
        for step in steps.iter_mut().filter(|step| starts.contains(&step.key)) {
            step.needs.extend(clusters.iter().cloned());
        }
    }
}

/// Whether a step is about one of these containers, or is the last look at what they belong to.
pub fn concerns(step: &Step, targets: &[Container]) -> bool {
    waits_for(step, targets) || targets.iter().any(|target| step.key == form_key(&target.kind))
}

/// The steps that throw containers away and make them anew. At most one target of each kind: the
/// other members serve meanwhile.
pub fn rebuild(
    mut steps: Vec<Step>,
    site: &Arc<Site>,
    targets: &[Container],
    data: bool,
) -> Vec<Step> {
    steps.retain(|step| concerns(step, targets));
    for target in targets {
        let discard = container_key(target, ContainerStep::Discard);
        let define = container_key(target, ContainerStep::Define);
        for step in steps.iter_mut().filter(|step| step.key == define) {
            step.needs.push(discard.clone());
        }
        steps.push(Step {
            key: discard,
            title: format!("throw away {}", target.label()),
            phase: Phase::Containers,
            resource: Resource::Light,
            needs: Vec::new(),
            estimate_ms: 1_500,
            action: Arc::new(Discard {
                container: target.clone(),
                data,
                told: remembers(site, target),
                balancer: Arc::clone(&site.balancer),
            }),
        });
    }
    only_among(steps)
}

/// Whether the cluster of a member goes on counting on data that the member no longer has.
fn remembers(site: &Site, target: &Container) -> bool {
    let definition = site.cloud.kind(&target.kind);
    let cluster = definition.and_then(|(_, definition)| definition.cluster.as_ref());
    cluster.is_some_and(|cluster| cluster.forget.is_some())
}

/// Drops needs of steps that are not part of this run.
pub fn only_among(mut steps: Vec<Step>) -> Vec<Step> {
    let keys: BTreeSet<StepKey> = steps.iter().map(|step| step.key.clone()).collect();
    for step in &mut steps {
        step.needs.retain(|need| keys.contains(need));
    }
    steps
}

/// The steps that stop containers, those that need others before those that they need.
pub fn stop(site: &Arc<Site>, targets: &[Container], whole_cloud: bool) -> Vec<Step> {
    let needs_service = |user: &Container, used: &Container| {
        let mut services = site.cloud.services.iter();
        services.any(|it| it.service == user.service && it.needs.contains(&used.service))
    };
    let mut steps = Vec::new();
    for target in targets {
        let users = targets.iter().filter(|user| needs_service(user, target));
        let needs = users.map(|user| container_key(user, ContainerStep::Stop)).collect();
        let balancer = (!whole_cloud).then(|| Arc::clone(&site.balancer));
        let action: Arc<dyn Action> =
            Arc::new(StopContainer { container: target.clone(), balancer });
        steps.push(Step {
            key: container_key(target, ContainerStep::Stop),
            title: format!("stop container {}", target.label()),
            phase: Phase::Containers,
            resource: Resource::Light,
            needs,
            estimate_ms: 2_000,
            action,
        });
    }
    steps
}

/// The steps that remove single containers with their data. They are out of service by then and have
/// ended in an orderly way: `site` is the cloud with them.
pub fn remove(site: &Arc<Site>, containers: &[Container]) -> Vec<Step> {
    let mut steps = stop(site, containers, false);
    steps.extend(containers.iter().map(|container| {
        let name = container.name.clone();
        let label = container.label();
        let action = RemoveContainer { name, container: Some(container.clone()) };
        let key = container_key(container, ContainerStep::Remove);
        let needs = vec![container_key(container, ContainerStep::Stop)];
        Step { needs, ..removal(key, format!("remove container {label}"), action) }
    }));
    steps
}

fn removal(key: StepKey, title: String, action: RemoveContainer) -> Step {
    Step {
        key,
        title,
        phase: Phase::Containers,
        resource: Resource::Light,
        needs: Vec::new(),
        estimate_ms: 500,
        action: Arc::new(action),
    }
}

/// The steps that remove a cloud from the host. `strays` are containers that LXC knows and the
/// cloud no longer does; `trees` and `empty` are the files that go last.
pub fn destroy(
    site: &Arc<Site>,
    strays: &[String],
    trees: Vec<std::path::PathBuf>,
    empty: Vec<std::path::PathBuf>,
) -> Vec<Step> {
    let known = site.cloud.containers.iter();
    let known = known.map(|container| (container.name.clone(), Some(container.clone())));
    let strays = strays
        .iter()
        .filter(|name| site.cloud.container(name).is_none())
        .map(|name| (name.clone(), None));
    let mut steps: Vec<Step> = known
        .chain(strays)
        .map(|(name, container)| {
            let key = StepKey::new(format!("destroy/{name}"));
            removal(key, format!("remove container {name}"), RemoveContainer { name, container })
        })
        .collect();
    let containers: Vec<StepKey> = steps.iter().map(|step| step.key.clone()).collect();
    let mut last = containers;
    let tail: [(&str, &str, Arc<dyn Action>); 3] = [
        (
            "destroy/network",
            "remove bridges, routes and the firewall table",
            Arc::new(RemoveNetwork { spec: super::bootstrap::network_spec(site) }),
        ),
        ("destroy/host", "restore the host's settings", Arc::new(ReleaseHost)),
        ("destroy/files", "remove files", Arc::new(RemoveFiles { trees, empty })),
    ];
    for (key, title, action) in tail {
        let key = StepKey::new(key);
        steps.push(Step {
            key: key.clone(),
            title: title.to_owned(),
            phase: Phase::Host,
            resource: Resource::Light,
            needs: std::mem::replace(&mut last, vec![key]),
            estimate_ms: 300,
            action,
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::graph::Graph;
    use crate::engine::key::ContainerStep;
    use crate::plan::bootstrap;
    use crate::render::builtin_tests::each_scenario;

    #[test]
    fn containers_that_need_a_cluster_start_after_it_has_formed() {
        each_scenario(|cloud, renderer| {
            let site = Arc::new(Site::new(cloud.clone(), Default::default()));
            let mut steps = bootstrap::steps(&site, renderer).unwrap();
            steps.retain(is_start);
            clusters_first(&mut steps, &site);
            let graph = Graph::new(only_among(steps)).unwrap();
            let place =
                |key: StepKey| graph.steps().iter().position(|step| step.key == key).unwrap();
            for (kind, cluster) in [("keystone", "galera"), ("heat_engine", "rabbit_mq")] {
                let member = site.cloud.members(kind).next().unwrap();
                let start = place(container_key(member, ContainerStep::Start));
                assert!(graph.needs(start).contains(&place(form_key(cluster))), "{kind}");
            }
        });
    }

    #[test]
    fn a_member_is_forgotten_after_its_new_container_starts_and_before_its_units_do() {
        use ContainerStep::{Define, Discard, Forget, Grow, Start, Units};
        let mut seen = 0;
        each_scenario(|cloud, renderer| {
            let site = Arc::new(Site::new(cloud.clone(), Default::default()));
            let targets: Vec<Container> =
                site.cloud.members("rabbit_mq").take(1).cloned().collect();
            let steps = bootstrap::steps(&site, renderer).unwrap();
            let graph = Graph::new(rebuild(steps, &site, &targets, true)).unwrap();
            let order = [Discard, Define, Start, Forget, Units];
            let place = |what: ContainerStep| {
                let key = container_key(&targets[0], what);
                graph.steps().iter().position(|step| step.key == key).unwrap()
            };
            for pair in order.windows(2) {
                assert!(graph.needs(place(pair[1])).contains(&place(pair[0])) || pair[1] == Start);
            }
            assert!(place(Units) < place(Grow));
            seen += 1;
        });
        assert!(seen > 1);
    }
}
