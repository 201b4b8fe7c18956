use std::collections::BTreeMap;

use super::*;
use crate::config::load::Profiles;
use crate::config::overrides::Overrides;
use crate::render::testing;

const STORE: &str = r#"
service: store
summary: x
containers:
  api: {summary: x, memory: {idle_mib: 1, limit_mib: 2}, units: [{name: api.service}]}
  extra: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
  worker:
    summary: x
    after: [api, extra]
    memory: {idle_mib: 1, limit_mib: 2}
    units: [{name: worker.service}]
setup:
  - {name: schema, title: x, container: api, script: x, done: {observe: run, script: x}}
  - {name: cells, title: x, container: api, before: ready, script: x, done: {observe: run, script: x}}
  - {name: image, title: x, container: client, before: cloud, script: x, done: {observe: run, script: x}}
  - {name: flavor, title: x, container: client, before: cloud, script: x, done: {observe: run, script: x}}
  - {name: lost, title: x, container: extra, script: x, done: {observe: run, script: x}}
"#;

const WEB: &str = r#"
service: web
summary: x
needs: [middle]
containers:
  web: {summary: x, memory: {idle_mib: 1, limit_mib: 2}, units: [{name: web.service}]}
setup:
  - name: page
    title: x
    container: web
    before: cloud
    script: x
    done: {observe: run, script: "test {{ container.member }} = 1"}
"#;

const MIDDLE: &str = r#"
service: middle
summary: x
needs: [store]
containers:
  client:
    summary: x
    needs_catalog: true
    memory: {idle_mib: 1, limit_mib: 2}
    units: [{name: client.service}]
"#;

const IDENTITY: &str = r#"
service: identity
summary: x
containers:
  keys: {summary: x, memory: {idle_mib: 1, limit_mib: 2}, units: [{name: keys.service}]}
frontends:
  - {name: keys, port: 5000, mode: http, backend: keys, server_options: check}
identity_server: {frontend: keys, user: admin, project: admin, secret: keys_password}
"#;

/// What each step of a cloud of an identity service, and of three services each of which needs the
/// one before, waits for.
fn needs() -> BTreeMap<String, Vec<String>> {
    let profiles = Profiles::from_texts([
        ("services/store.yml", STORE),
        ("services/middle.yml", MIDDLE),
        ("services/web.yml", WEB),
        ("services/identity.yml", IDENTITY),
        ("releases/2025.1.yml", "{release: '2025.1', summary: x, suite: trixie, base: {}}"),
    ])
    .unwrap();
    let cloud = Cloud {
        release: profiles.releases["2025.1"].clone(),
        services: ["store", "middle", "web", "identity"]
            .map(|name| profiles.services[name].clone())
            .into(),
        containers: vec![
            testing::container_of("store", "api", 1, 1),
            testing::container_of("middle", "client", 1, 2),
            testing::container_of("web", "web", 1, 3),
            testing::container_of("identity", "keys", 1, 4),
            testing::container_of("store", "worker", 1, 5),
        ],
        ..testing::cloud(&testing::profiles(&[]))
    };
    let renderer =
        Renderer::new(&cloud, &BTreeMap::new(), &profiles, &Overrides::default()).unwrap();
    let site = Arc::new(Site::new(cloud, BTreeMap::new()));
    let steps = steps(&site, &renderer).unwrap();
    let needs = steps
        .into_iter()
        .map(|step| (step.key.to_string(), step.needs.iter().map(ToString::to_string).collect()));
    needs.collect()
}

#[test]
fn a_command_of_the_whole_cloud_runs_when_every_service_is_ready() {
    let needs = needs();
    let image = &needs["setup/store/image"];
    for service in ["store", "middle", "web"] {
        assert!(image.contains(&format!("service/{service}/ready")), "{image:?}");
    }
    assert!(needs["setup/store/flavor"].contains(&"setup/store/image".to_owned()), "in order");
    assert!(needs["setup/web/page"].contains(&"setup/store/flavor".to_owned()), "needed afar");
    assert!(!image.contains(&"setup/web/page".to_owned()));
}

#[test]
fn nothing_but_the_last_look_waits_for_the_whole_cloud() {
    let needs = needs();
    let whole = ["setup/store/image", "setup/store/flavor", "setup/web/page", "cloud/verify"];
    for (key, waits) in needs.iter().filter(|(key, _)| !whole.contains(&key.as_str())) {
        assert!(!waits.iter().any(|need| whole.contains(&need.as_str())), "{key}: {waits:?}");
    }
    let ready = &needs["service/store/ready"];
    assert!(ready.contains(&"setup/store/schema".to_owned()), "{ready:?}");
    assert!(ready.contains(&"setup/store/cells".to_owned()), "{ready:?}");
    assert!(needs["container/api/1/units"].contains(&"setup/store/schema".to_owned()));
}

#[test]
fn who_asks_the_identity_service_at_once_waits_for_the_catalog() {
    let needs = needs();
    let catalog = "identity/catalog".to_owned();
    assert!(needs["container/client/1/units"].contains(&catalog));
    assert!(!needs["container/api/1/units"].contains(&catalog));
}

#[test]
fn a_kind_that_comes_after_others_waits_for_their_units() {
    let needs = needs();
    let units = |what: &str| format!("container/{what}/1/units");
    assert!(needs[&units("worker")].contains(&units("api")));
    assert!(!needs[&units("api")].contains(&units("worker")));
    assert!(!needs[&units("worker")].contains(&units("extra")), "this cloud has none");
}

#[test]
fn a_command_whose_container_is_left_out_is_left_out() {
    let needs = needs();
    assert!(!needs.contains_key("setup/store/lost"));
    let all: Vec<&String> = needs.values().flatten().collect();
    assert!(!all.contains(&&"setup/store/lost".to_owned()));
}
