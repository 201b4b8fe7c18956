use crate::engine::key::ContainerStep;
use async_trait::async_trait;

use super::*;
use crate::config::load::Profiles;
use crate::config::overrides::Overrides;
use crate::engine::graph::Graph;
use crate::engine::options::{RunOptions, Slots};
use crate::engine::report::Report;
use crate::engine::run::run;
use crate::host::fake::containers::FakeContainers;
use crate::host::fake::empty;
use crate::host::fake::records::FakeRecords;
use crate::host::{Containers, Host, Http, Request, Response};
use crate::model::cloud::Cloud;
use crate::plan::bootstrap;
use crate::plan::change::waits_for;
use crate::render::builtin_tests::each_scenario;
use crate::render::{Renderer, testing};

const STORE: &str = r#"
service: store
summary: x
containers:
  db:
    summary: x
    memory: {idle_mib: 1, limit_mib: 2}
    units: [{name: db.service, start: cluster, timeout_secs: 2}]
    cluster:
      unit: db.service
      form_timeout_secs: 2
      size: {from: http, port: 1, path: /nodes, user: x, secret: x, filter: {running: true}}
"#;

const WEB: &str = r#"
service: web
summary: x
needs: [store]
containers:
  api: {summary: x, memory: {idle_mib: 1, limit_mib: 2}, units: [{name: api.service}]}
  worker: {summary: x, memory: {idle_mib: 1, limit_mib: 2}, units: [{name: worker.service}]}
"#;

/// Three members of a cluster, two of a service behind it, one of another kind.
fn cloud(memory_limit_mib: u64) -> (Profiles, Cloud) {
    let profiles = Profiles::from_texts([
        ("services/store.yml", STORE),
        ("services/web.yml", WEB),
        ("releases/2025.1.yml", "{release: '2025.1', summary: x, suite: trixie, base: {}}"),
    ])
    .unwrap();
    let member = |service, kind: &str, member, number| {
        let mut container = testing::container_of(service, kind, member, number);
        container.units = vec![format!("{kind}.service")];
        container.memory_limit_mib = memory_limit_mib;
        container
    };
    let cloud = Cloud {
        release: profiles.releases["2025.1"].clone(),
        services: vec![profiles.services["store"].clone(), profiles.services["web"].clone()],
        containers: vec![
            member("store", "db", 1, 1),
            member("store", "db", 2, 2),
            member("store", "db", 3, 3),
            member("web", "api", 1, 4),
            member("web", "api", 2, 5),
            member("web", "worker", 1, 6),
        ],
        ..testing::cloud(&testing::profiles(&[]))
    };
    (profiles, cloud)
}

/// Members of the cluster see those whose unit runs.
struct Nodes(Arc<FakeContainers>, Vec<String>);

#[async_trait]
impl Http for Nodes {
    async fn send(&self, _: Request) -> Result<Response> {
        let mut nodes = Vec::new();
        for name in &self.1 {
            let running = self.0.active_units(name, &["db.service".to_owned()]).await?;
            nodes.push(serde_json::json!({ "running": running == [true] }));
        }
        let body = serde_json::to_string(&nodes).unwrap();
        Ok(Response { status: 200, headers: Vec::new(), body })
    }
}

struct World {
    containers: Arc<FakeContainers>,
    records: Arc<FakeRecords>,
    host: Arc<Host>,
}

impl World {
    fn new() -> Self {
        let containers = Arc::new(FakeContainers::default());
        let (_, cloud) = cloud(1);
        let names = cloud.members("db").map(|member| member.name.clone()).collect();
        let records = Arc::new(FakeRecords::default());
        let host = Host {
            containers: Arc::clone(&containers) as Arc<_>,
            http: Arc::new(Nodes(Arc::clone(&containers), names)),
            records: Arc::clone(&records) as Arc<_>,
            ..empty()
        };
        Self { containers, records, host: Arc::new(host) }
    }

    /// How many containers are marked as never finished.
    fn unfinished(&self) -> usize {
        let records = self.records.records.lock().unwrap();
        records.keys().filter(|key| key.starts_with("unfinished/")).count()
    }

    /// Brings the cloud to where every container has that limit. Returns what was changed.
    async fn bootstrap(&self, memory_limit_mib: u64, replaced: &[&str]) -> (Report, Vec<String>) {
        let replaced = named(memory_limit_mib, replaced);
        self.run(steps_on_containers(memory_limit_mib, &replaced, &[])).await
    }

    /// Returns what was changed.
    async fn run(&self, steps: Vec<Step>) -> (Report, Vec<String>) {
        let before = self.containers.changes().len();
        let options = RunOptions {
            command: "bootstrap".to_owned(),
            slots: Slots { package: 1, download: 1, start: 2, load: 2 },
            ..RunOptions::default()
        };
        let graph = Graph::new(steps).unwrap();
        let report = run(&graph, Arc::clone(&self.host), options, Vec::new()).await;
        (report, self.containers.changes().split_off(before))
    }
}

/// The containers of [`cloud`] with these labels.
fn named(memory_limit_mib: u64, labels: &[&str]) -> Vec<Container> {
    let (_, cloud) = cloud(memory_limit_mib);
    let named = |it: &Container| labels.contains(&it.label().as_str());
    cloud.containers.into_iter().filter(named).collect()
}

fn steps_on_containers(
    memory_limit_mib: u64,
    replaced: &[Container],
    unwell: &[Container],
) -> Vec<Step> {
    let (profiles, cloud) = cloud(memory_limit_mib);
    let secrets: std::collections::BTreeMap<_, _> =
        [("x".to_owned(), secrecy::SecretString::from("x"))].into();
    let renderer = Renderer::new(&cloud, &secrets, &profiles, &Overrides::default()).unwrap();
    let site = Arc::new(Site::new(cloud, secrets));
    let mut steps = bootstrap::steps(&site, &renderer).unwrap();
    let ours = ["container/", "cluster/", "service/"];
    steps.retain(|step| ours.iter().any(|prefix| step.key.to_string().starts_with(prefix)));
    let mut steps = one_at_a_time(only_among(steps), &site, replaced).unwrap();
    stay_first(&mut steps, &site, replaced, unwell);
    only_among(steps)
}

/// `db/1` of `stop aio1_db_container-00000001`, for one kind, repetitions dropped.
fn order(changes: &[String], kind: &str) -> Vec<String> {
    let mut order: Vec<String> = changes
        .iter()
        .filter(|change| change.contains(&format!("_{kind}_container")))
        .map(|change| format!("{kind}/{}", change.chars().last().unwrap()))
        .collect();
    order.dedup();
    order
}

const ALL: [&str; 6] = ["db/1", "db/2", "db/3", "api/1", "api/2", "worker/1"];

#[tokio::test]
async fn members_that_serve_are_replaced_one_after_another() {
    let world = World::new();
    let (first, _) = world.bootstrap(1, &[]).await;
    assert!(first.error().is_none(), "{:?}", first.error());
    let (report, changes) = world.bootstrap(2, &ALL).await;
    assert!(report.error().is_none(), "{:?}", report.error());
    // All that is done to a member is done before anything is done to the next.
    assert_eq!(order(&changes, "db"), ["db/1", "db/2", "db/3"]);
    assert_eq!(order(&changes, "api"), ["api/4", "api/5"]);
    assert_eq!(changes.iter().filter(|change| change.starts_with("stop ")).count(), ALL.len());
    // Who needs the cluster goes on running until it is whole again.
    let last_of_db = changes.iter().rposition(|change| change.contains("_db_")).unwrap();
    let first_of_web = changes.iter().position(|change| !change.contains("_db_")).unwrap();
    assert!(last_of_db < first_of_web, "{changes:?}");

    let (again, changes) = world.bootstrap(2, &[]).await;
    assert_eq!(again.summary.changed, 0);
    assert_eq!(changes, [""; 0]);
}

#[tokio::test]
async fn a_member_that_does_not_come_back_leaves_the_others_running() {
    let world = World::new();
    world.bootstrap(1, &[]).await;
    world.containers.fail("start", 1, "no memory");
    let (report, changes) = world.bootstrap(2, &ALL).await;
    assert!(report.error().is_some());
    assert_eq!(changes.len(), 3, "{changes:?}");
    assert_eq!(order(&changes, "db"), ["db/1"]);
    // The next run finds it stopped: it comes first, and the others follow.
    let (report, changes) = world.bootstrap(2, &ALL[1..]).await;
    assert!(report.error().is_none(), "{:?}", report.error());
    assert_eq!(order(&changes, "db"), ["db/1", "db/2", "db/3"]);
}

/// A cloud of which all was made anew but the second member of `api`, which serves or does not seem to; the
/// first one is up without its unit. With those two, and what is still to be done.
async fn cut_off(seems_to_serve: bool) -> (World, Container, Container, Vec<Step>) {
    let world = World::new();
    world.bootstrap(1, &[]).await;
    let (containers, next) = (&world.containers, named(2, &["api/2"]));
    for container in named(2, &["db/1", "db/2", "db/3", "api/1", "worker/1"]) {
        containers.kill(&container.name);
        containers.define(&container).await.unwrap();
        containers.start(&container.name).await.unwrap();
        containers.set_active(&container.name, &container.units[0], container.kind != "api");
    }
    let steps = match seems_to_serve {
        true => steps_on_containers(2, &next, &[]),
        false => steps_on_containers(2, &[], &next),
    };
    let first = named(2, &["api/1"]).remove(0);
    (world, first, next[0].clone(), steps)
}

#[tokio::test]
async fn a_member_that_is_on_its_way_up_serves_before_the_next_one_goes() {
    for seems_to_serve in [true, false] {
        let (world, first, next, steps) = cut_off(seems_to_serve).await;
        let (report, changes) = world.run(steps).await;
        assert!(report.error().is_none(), "{:?}", report.error());
        let place = |change: String| changes.iter().position(|it| *it == change);
        let started = place(format!("run {}", first.name)).unwrap();
        let stopped = place(format!("stop {}", next.name)).unwrap();
        assert!(started < stopped, "{seems_to_serve}: {changes:?}");
        assert_eq!(place(format!("stop {}", first.name)), None);
    }
}

#[tokio::test]
async fn a_member_that_does_not_come_up_leaves_the_one_that_may_serve() {
    for seems_to_serve in [true, false] {
        let (world, first, next, steps) = cut_off(seems_to_serve).await;
        world.containers.kill(&first.name);
        world.containers.fail("start", 1, "no memory");
        let (report, changes) = world.run(steps).await;
        assert!(report.error().is_some());
        assert!(!changes.contains(&format!("stop {}", next.name)), "{changes:?}");
    }
}

#[test]
fn a_balancer_that_does_not_seem_to_serve_stays_until_the_others_run() {
    let (profiles, mut cloud) = cloud(1);
    let defaults = serde_json::json!({ "http": "", "tcp": "" });
    let balancer =
        serde_json::json!({ "kind": "api", "socket": "/x", "server_defaults": defaults });
    cloud.services[1].load_balancer = Some(serde_json::from_value(balancer).unwrap());
    // A balancer needs no service: they need it.
    cloud.services[1].needs.clear();
    let secrets: std::collections::BTreeMap<_, _> =
        [("x".to_owned(), secrecy::SecretString::from("x"))].into();
    let renderer = Renderer::new(&cloud, &secrets, &profiles, &Overrides::default()).unwrap();
    let site = Arc::new(Site::new(cloud, secrets));
    let mut steps = bootstrap::steps(&site, &renderer).unwrap();
    let [first, second] = ["api/1", "api/2"].map(|label| named(1, &[label]).remove(0));
    let define = container_key(&second, ContainerStep::Define);
    let units = container_key(&first, ContainerStep::Units);
    assert!(!depends_on(&steps, &define, &units));
    stay_first(&mut steps, &site, &[], std::slice::from_ref(&second));
    assert!(depends_on(&steps, &define, &units));
    Graph::new(steps).unwrap();
}

#[tokio::test]
async fn a_container_is_unfinished_until_its_units_have_been_healthy() {
    let world = World::new();
    world.containers.fail("start", 1, "no memory");
    let (report, _) = world.bootstrap(1, &[]).await;
    assert!(report.error().is_some());
    assert!(world.unfinished() > 0);
    world.bootstrap(1, &[]).await;
    assert_eq!(world.unfinished(), 0);
    // One that has been healthy and does not come back is not made anew: `aio start` may try.
    world.containers.fail("start", 1, "no memory");
    world.bootstrap(2, &ALL).await;
    assert_eq!(world.unfinished(), 0);
}

#[test]
fn what_waits_for_an_unfinished_container_is_left_out_of_a_start() {
    let (_, cloud) = cloud(1);
    let db = cloud.members("db").next().cloned().unwrap();
    let steps = steps_on_containers(1, &[], &[]);
    let left_out = steps.iter().filter(|step| waits_for(step, std::slice::from_ref(&db)));
    let left_out: Vec<String> = left_out.map(|step| step.key.to_string()).collect();
    assert!(left_out.contains(&"container/db/1/units".to_owned()), "{left_out:?}");
    assert!(left_out.contains(&"service/store/ready".to_owned()), "{left_out:?}");
    assert!(!left_out.iter().any(|key| key.contains("api")), "{left_out:?}");
}

#[tokio::test]
async fn a_cluster_is_whole_before_a_member_is_stopped() {
    let world = World::new();
    world.bootstrap(1, &[]).await;
    let (_, cloud) = cloud(1);
    world.containers.destroy(&cloud.members("db").nth(2).unwrap().name);
    let (report, changes) =
        world.bootstrap(2, &["db/1", "db/2", "api/1", "api/2", "worker/1"]).await;
    assert!(report.error().is_none(), "{:?}", report.error());
    assert_eq!(order(&changes, "db"), ["db/3", "db/1", "db/2"]);
}

#[test]
fn where_nothing_that_serves_differs_the_graph_is_the_same() {
    let shape = |steps: &[Step]| -> Vec<(StepKey, Vec<StepKey>)> {
        steps.iter().map(|step| (step.key.clone(), step.needs.clone())).collect()
    };
    each_scenario(|cloud, renderer| {
        let site = Arc::new(Site::new(cloud.clone(), Default::default()));
        let steps = bootstrap::steps(&site, renderer).unwrap();
        let before = shape(&steps);
        assert_eq!(shape(&one_at_a_time(steps, &site, &[]).unwrap()), before);
    });
}

#[test]
fn members_of_every_built_in_kind_wait_for_the_one_before() {
    each_scenario(|cloud, renderer| {
        let site = Arc::new(Site::new(cloud.clone(), Default::default()));
        // Any subset must leave a graph without a circle; all of them make the longest rows.
        for skipped in 0..=cloud.containers.len() {
            let kept = cloud.containers.iter().enumerate().filter(|(index, _)| *index != skipped);
            let replaced: Vec<Container> = kept.map(|(_, container)| container.clone()).collect();
            let steps = bootstrap::steps(&site, renderer).unwrap();
            let steps = one_at_a_time(steps, &site, &replaced).unwrap();
            for pair in replaced.windows(2).filter(|pair| pair[0].kind == pair[1].kind) {
                let define = container_key(&pair[1], ContainerStep::Define);
                assert!(depends_on(
                    &steps,
                    &define,
                    &container_key(&pair[0], ContainerStep::Rejoin)
                ));
            }
            Graph::new(steps).unwrap();
        }
    });
}
