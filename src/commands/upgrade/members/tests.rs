use super::*;
use crate::config::load::Profiles;
use crate::host::fake::containers::FakeContainers;
use crate::host::fake::empty;
use crate::host::{Containers, Host};
use crate::model::cloud::Cloud;
use crate::render::testing;

const WEB: &str = "
service: web
summary: x
containers:
  api: {summary: x, memory: {idle_mib: 1, limit_mib: 2}, units: [{name: api.service, timeout_secs: 9}]}
  db:
    summary: x
    memory: {idle_mib: 1, limit_mib: 2}
    units: [{name: db.service}]
    cluster:
      unit: db.service
      form_timeout_secs: 2
      size: {from: http, port: 1, path: /nodes, user: x, secret: x, filter: {running: true}}
";

/// Three members of `api` and one of a cluster, with that memory.
fn cloud(memory_limit_mib: u64) -> Cloud {
    let profiles = Profiles::from_texts([("services/web.yml", WEB)]).unwrap();
    let member = |kind: &str, member, number| {
        let mut container = testing::container_of("web", kind, member, number);
        container.units = vec![format!("{kind}.service")];
        container.memory_limit_mib = memory_limit_mib;
        container
    };
    Cloud {
        services: vec![profiles.services["web"].clone()],
        containers: vec![
            member("api", 1, 1),
            member("api", 2, 2),
            member("api", 3, 3),
            member("db", 1, 4),
        ],
        ..testing::cloud(&testing::profiles(&[]))
    }
}

/// Labels of those that serve, and of those that do not seem to.
type Found = (Vec<String>, Vec<String>);

fn labels(serving: &[&str], unwell: &[&str]) -> Found {
    let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
    (owned(serving), owned(unwell))
}

/// The cloud of before, of which every member runs, and some with their units.
struct World {
    containers: Arc<FakeContainers>,
    context: StepContext,
    wanted: Cloud,
    /// As whom members of before may count.
    as_before: Vec<Cloud>,
}

impl World {
    async fn new(well: &[&str]) -> Self {
        let (former, wanted) = (cloud(1), cloud(2));
        let containers = Arc::new(FakeContainers::default());
        for container in &former.containers {
            containers.define(container).await.unwrap();
            containers.start(&container.name).await.unwrap();
            let active = well.contains(&container.label().as_str());
            containers.set_active(&container.name, &container.units[0], active);
        }
        let host = Host { containers: Arc::clone(&containers) as Arc<_>, ..empty() };
        let context = StepContext::silent(Arc::new(host));
        Self { containers, context, wanted, as_before: vec![former] }
    }

    fn of(&self, label: &str) -> Container {
        let mut all = self.wanted.containers.iter();
        all.find(|it| it.label() == label).unwrap().clone()
    }

    async fn found(&self, serving: &[&str], patience: Patience) -> Found {
        let site = |cloud: &Cloud| Arc::new(Site::new(cloud.clone(), testing::secrets()));
        let serving = serving.iter().map(|label| self.of(label)).collect();
        let as_before: Vec<Arc<Site>> = self.as_before.iter().map(site).collect();
        let wanted = site(&self.wanted);
        let found = Members::of(&self.context, &wanted, &as_before, serving, patience).await;
        let labels = |all: &[Container]| all.iter().map(Container::label).collect();
        (labels(&found.serving), labels(&found.unwell))
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_gets_well_in_time_serves_and_the_others_do_not() {
    let world = World::new(&["api/1"]).await;
    let (late, name) = (Arc::clone(&world.containers), world.of("api/2").name);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        late.set_active(&name, "api.service", true);
    });
    let begun = tokio::time::Instant::now();
    let found = world.found(&["api/1"], Patience::Looks).await;
    assert_eq!(found, labels(&["api/1"], &["api/2", "api/3"]));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let found = world.found(&["api/1"], Patience::Waits).await;
    assert_eq!(found, labels(&["api/1", "api/2"], &["api/3"]));
    // As long as its units may take, and no longer.
    assert_eq!(begun.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_or_as_it_should_be_is_not_waited_for() {
    let world = World::new(&[]).await;
    world.containers.kill(&world.of("api/1").name);
    let made = world.of("api/2");
    world.containers.kill(&made.name);
    world.containers.define(&made).await.unwrap();
    world.containers.start(&made.name).await.unwrap();
    assert_eq!(world.found(&[], Patience::Waits).await, labels(&[], &["api/3"]));
}

#[tokio::test(start_paused = true)]
async fn a_member_of_the_former_release_is_well_as_that_has_it() {
    let mut world = World::new(&["api/1", "api/2"]).await;
    // It was written down that the kind is of the next release, which has a unit more.
    let more = WEB.replace("[{name: api.service, timeout_secs: 9}]", "[{name: more.service}]");
    let profiles = Profiles::from_texts([("services/web.yml", more.as_str())]).unwrap();
    let recorded =
        Cloud { services: vec![profiles.services["web"].clone()], ..world.wanted.clone() };
    let former = std::mem::replace(&mut world.as_before, vec![recorded]);
    let found = world.found(&[], Patience::Looks).await;
    assert_eq!(found, labels(&[], &["api/1", "api/2", "api/3"]));
    world.as_before.extend(former);
    let found = world.found(&[], Patience::Looks).await;
    assert_eq!(found, labels(&["api/1", "api/2"], &["api/3"]));
}
