//! Clouds for tests: a small one, and those of the built-in profiles.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use secrecy::SecretString;

use crate::config::load::Profiles;
use crate::config::network::NetworkRole;
use crate::config::overrides::Overrides;
use crate::config::scenario::Scenario;
use crate::config::variables::{UserVariables, resolve_variables};
use crate::model::cloud::Cloud;
use crate::model::facts::NetworkFacts;
use crate::model::ranges;
use crate::model::sizing::Sizing;
use crate::model::topology::{self, Container, Interface, Network, Networks};
use crate::render::Renderer;

const GALERA: &str = r#"
service: galera
summary: x
containers:
  galera: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
frontends:
  - {name: galera, port: 3306, mode: tcp, backend: galera, server_options: check,
     options: "bind {{ cloud.virtual_address }}"}
sql_server: {kind: galera, port: 3306, user: admin, secret: heat_service_password, local_client: x, local_dump: x, access: x}
"#;

const HEAT: &str = r#"
service: heat
summary: x
containers:
  heat_engine:
    summary: x
    memory: {idle_mib: 1, limit_mib: 2}
    units: [{name: heat-engine.service}]
    files:
      - {path: "/etc/{{ container.service }}/heat.conf", template: heat/heat.conf, mode: "0640", owner: "root:heat", merge: ini}
"#;

const NOVA: &str = r#"
service: nova
summary: x
containers:
  nova_api: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
frontends:
  - {name: nova_api, port: 8774, mode: http, backend: nova_api, server_options: check}
"#;

const RELEASE: &str = "release: '2025.1'\nsummary: x\nsuite: trixie\nbase: {}\nfiles:\n  - {path: /etc/motd, template: motd}\n";

/// Profiles with these templates beside the services galera, heat and nova.
pub fn profiles(templates: &[(&str, &str)]) -> Profiles {
    let mut texts: Vec<(String, &str)> = vec![
        ("services/galera.yml".to_owned(), GALERA),
        ("services/heat.yml".to_owned(), HEAT),
        ("services/nova.yml".to_owned(), NOVA),
        ("releases/2025.1.yml".to_owned(), RELEASE),
    ];
    texts.extend(templates.iter().map(|(name, text)| (format!("templates/{name}"), *text)));
    Profiles::from_texts(texts.iter().map(|(path, text)| (path.as_str(), *text))).unwrap()
}

/// Three members of galera and one heat engine; no nova.
pub fn cloud(profiles: &Profiles) -> Cloud {
    let management = Network {
        role: NetworkRole::Management,
        range: "172.29.236.0/22".parse().unwrap(),
        bridge: "aio1-mgmt".to_owned(),
        host_address: Ipv4Addr::new(172, 29, 236, 1),
    };
    Cloud {
        health: BTreeMap::new(),
        name: "aio1".to_owned(),
        region: "RegionOne".to_owned(),
        patience: 1,
        release: profiles.releases["2025.1"].clone(),
        behind: None,
        scenario: "control".to_owned(),
        networks: Networks {
            networks: vec![management],
            virtual_address: Ipv4Addr::new(172, 29, 236, 101),
            exposed_address: None,
        },
        outside: None,
        inside: None,
        resolvers: Some(Vec::new()),
        services: vec![profiles.services["galera"].clone(), profiles.services["heat"].clone()],
        containers: vec![
            container("galera", "galera", 1),
            container("galera", "galera", 2),
            container("galera", "galera", 3),
            container("heat", "heat_engine", 1),
        ],
        layers: Vec::new(),
        sizing: sizing(),
        variables: BTreeMap::from([
            ("debug".to_owned(), true.into()),
            ("heat_plugins".to_owned(), serde_json::json!(["a", "b"])),
        ]),
        unified_cgroups: true,
        standby: BTreeSet::new(),
    }
}

fn container(service: &str, kind: &str, member: u32) -> Container {
    let number = if kind == "galera" { member } else { member + 10 };
    let mut container = container_of(service, kind, member, usize::try_from(number).unwrap());
    if kind == "heat_engine" {
        container.units = vec!["heat-engine.service".to_owned()];
    }
    container
}

/// A container with the management address that ends in 200 + `number`.
pub fn container_of(service: &str, kind: &str, member: u32, number: usize) -> Container {
    let address = Ipv4Addr::new(172, 29, 236, 200 + u8::try_from(number).unwrap());
    Container {
        name: format!("aio1_{kind}_container-{number:08x}"),
        service: service.to_owned(),
        hostname: format!("aio1-{}-container-{number:08x}", kind.replace('_', "-")),
        machine_id: format!("{number:032x}"),
        interfaces: vec![Interface {
            role: NetworkRole::Management,
            bridge: "aio1-mgmt".to_owned(),
            host_name: format!("v{number}"),
            mac: "00:16:3e:00:00:01".to_owned(),
            addresses: vec![(address, 22)],
            configured: true,
            gateway: None,
        }],
        memory_limit_mib: 512,
        ..topology::tests::container(&format!("{kind}/{member}"))
    }
}

pub fn sizing() -> Sizing {
    Sizing {
        api_workers: 2,
        rpc_workers: 3,
        api_threads: 4,
        buffer_pool_mib: 64,
        memory_limit_mib: BTreeMap::from([("galera".to_owned(), 512)]),
        parallel_packages: 1,
        parallel_starts: 1,
        parallel_loads: 1,
        used_beside: BTreeMap::new(),
        predicted_memory_mib: 1,
        predicted_disk_mib: 1,
        predicted_cold_secs: 1,
        predicted_warm_secs: 1,
    }
}

/// The services of [`profiles`], with this profile in place of that of heat.
pub fn profiles_with_heat(text: &str) -> Profiles {
    let mut profiles = profiles(&[]);
    let own = Profiles::from_texts([("services/heat.yml", text)]).unwrap();
    profiles.services.extend(own.services);
    profiles
}

/// A renderer of that cloud with [`secrets`] and no overrides.
pub fn renderer(cloud: &Cloud, profiles: &Profiles) -> Renderer {
    Renderer::new(cloud, &secrets(), profiles, &Overrides::default()).unwrap()
}

pub fn secrets() -> BTreeMap<String, SecretString> {
    BTreeMap::from([("heat_service_password".to_owned(), SecretString::from("hunter2/x"))])
}

/// An interface on a network, with the address of that number.
pub fn interface(network: &str, number: usize) -> Interface {
    let role = NetworkRole::ALL.into_iter().find(|role| role.name() == network).unwrap();
    let address = Ipv4Addr::new(172, 29, 240, u8::try_from(number).unwrap());
    Interface {
        role,
        bridge: format!("aio1-{network}"),
        host_name: format!("v{network}{number}"),
        mac: "00:16:3e:00:00:02".to_owned(),
        addresses: vec![(address, 22)],
        configured: true,
        gateway: None,
    }
}

/// What the built-in profiles make of a scenario.
pub fn builtin_cloud(profiles: &Profiles, scenario: &Scenario) -> Cloud {
    let networks = ranges::choose("aio1", &BTreeMap::new(), &NetworkFacts::default()).unwrap();
    let deployed = |kind: &str| scenario.members.get(kind).copied().unwrap_or(0);
    let mut containers = Vec::new();
    for (kind, service, definition) in profiles.kinds() {
        for member in 1..=deployed(kind) {
            let mut container = container_of(&service.service, kind, member, containers.len());
            container.units = definition.units.iter().map(|unit| unit.name.clone()).collect();
            let beside = definition.networks.iter().filter(|name| *name != "management");
            container.interfaces.extend(beside.map(|name| interface(name, containers.len())));
            containers.push(container);
        }
    }
    let services = profiles.services.values().filter(|service| {
        let mut kinds = service.containers.keys();
        kinds.any(|kind| deployed(kind) > 0)
    });
    let user = UserVariables::default();
    let limits = profiles.kinds().map(|(kind, _, it)| (kind.to_owned(), it.memory.limit_mib));
    Cloud {
        outside: None,
        inside: None,
        name: "aio1".to_owned(),
        region: "RegionOne".to_owned(),
        patience: 1,
        release: profiles.newest_release().unwrap().clone(),
        behind: None,
        scenario: scenario.scenario.clone(),
        networks: networks.networks,
        resolvers: Some(Vec::new()),
        services: services.cloned().collect(),
        containers,
        layers: Vec::new(),
        sizing: Sizing { memory_limit_mib: limits.collect(), ..sizing() },
        variables: resolve_variables(profiles, scenario, &user).unwrap().values,
        health: BTreeMap::new(),
        unified_cgroups: false,
        standby: BTreeSet::new(),
    }
}
