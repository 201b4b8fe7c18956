//! What templates see of a cloud.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::Serde;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::config::load::Profiles;
use crate::config::network::NetworkRole;
use crate::config::profile::Runs;
use crate::config::release::Release;
use crate::model::cloud::{Cloud, Inside, Outside};
use crate::model::ranges::pool;
use crate::model::topology::Container;

/// The names that every template may use, beside functions and filters, and what they are.
pub const NAMES: [(&str, &str); 7] = [
    ("cloud", "The cloud."),
    ("container", "The container whose file it is, or in which a script runs."),
    ("networks", "The networks by name: `networks.tunnel.range`."),
    (
        "secrets",
        "Values of secrets by name. A file that uses one must not be readable by others; a script gets it by \
         its `environment`.",
    ),
    (
        "services",
        "The profiles of the deployed services, each after those that it needs, with the keys of \
         `services/NAME.yml`.",
    ),
    ("sizing", "What follows from the size of the host."),
    ("variables", "Values of variables by name."),
];

/// What all containers of a cloud share.
#[derive(Clone)]
pub struct Context {
    shared: BTreeMap<&'static str, Value>,
    /// Members by kind; kinds that are not deployed have none.
    pub(super) members: BTreeMap<String, Value>,
    pub(super) containers: Value,
    /// All services that profiles define, and whether this cloud has them.
    pub(super) deployed: BTreeMap<String, bool>,
    /// All frontends that profiles define: the deployed ones with their address.
    pub(super) frontends: BTreeMap<String, Option<Value>>,
    /// Databases of the deployed services: their addresses, up to the options.
    pub(super) databases: BTreeMap<String, Database>,
    pub(super) tls: bool,
    pub(super) cloud: String,
    /// The cloud as it is for kinds of another release.
    behind: Option<(BTreeSet<String>, Value)>,
}

/// A database, its user and where it is.
#[derive(Clone)]
pub(super) struct Database {
    pub user: String,
    pub password: String,
    /// `HOST:PORT/NAME`
    pub place: String,
}

/// The cloud.
#[derive(JsonSchema, Serialize)]
pub struct CloudValue<'a> {
    /// Its name.
    name: &'a str,
    /// The region in the catalog.
    region: &'a str,
    /// What every time limit is to be multiplied by.
    patience: u32,
    /// The name of its release, or of that of the container's kind: `2025.1`.
    release: &'a str,
    /// Where Python looks for modules that are put beside those of the release.
    python_path: &'a str,
    /// Where the release's Python distributions are installed, if they are no packages.
    python_home: Option<&'a str>,
    /// The scenario's name.
    scenario: &'a str,
    /// The address at which all services are reached.
    virtual_address: String,
    /// The host's address at which it is reached from outside, if it is.
    exposed_address: Option<String>,
    /// How it is reached from outside, if it is.
    outside: Option<&'a Outside>,
    /// By what everything speaks TLS, if it does.
    inside: Option<&'a Inside>,
    /// The host's address on the management network.
    host_address: Option<String>,
    /// Whether the host's control groups are of version 2 alone.
    unified_cgroups: bool,
}

/// A network.
#[derive(JsonSchema, Serialize)]
pub struct NetworkValue<'a> {
    /// Its range: `172.29.236.0/22`.
    range: String,
    /// The length of its prefix.
    prefix: u8,
    /// The host's address.
    host_address: String,
    /// The host's bridge.
    bridge: &'a str,
    /// Addresses that neither the host nor a container ever gets; the provider network alone has some.
    pool: Option<PoolValue>,
}

/// Addresses from one to another.
#[derive(JsonSchema, Serialize)]
pub struct PoolValue {
    /// The first.
    first: String,
    /// The last.
    last: String,
}

/// A container.
#[derive(JsonSchema, Serialize)]
pub struct ContainerValue<'a> {
    /// Its full name.
    name: &'a str,
    /// Its kind.
    kind: &'a str,
    /// The service that the kind is of.
    service: &'a str,
    /// Which member of its kind it is, from 1.
    member: u32,
    /// Its host name.
    hostname: &'a str,
    /// Its management address.
    address: Option<String>,
    /// Its addresses by network.
    addresses: IndexMap<&'a str, String>,
    /// Its machine's id, as in `/etc/machine-id`.
    machine_id: &'a str,
}

/// A member of a container kind.
#[derive(JsonSchema, Serialize)]
pub struct MemberValue<'a> {
    #[serde(flatten)]
    container: ContainerValue<'a>,
    /// Whether it stands by while a sibling runs from a checkout.
    standby: bool,
}

/// A frontend.
#[derive(JsonSchema, Serialize)]
pub struct FrontendValue {
    /// The virtual address.
    address: String,
    /// The port there.
    port: u16,
    /// Scheme, address and port.
    url: String,
    /// Where it is reached from outside.
    outside_url: String,
    /// The port there.
    outside_port: u16,
}

/// A unit.
#[derive(JsonSchema, Serialize)]
pub struct UnitValue<'a> {
    /// Its name: `heat-api.service`.
    pub name: &'a str,
    /// The same without the suffix.
    pub stem: &'a str,
    /// What it runs.
    pub runs: Option<&'a Runs>,
    /// Where uWSGI's configuration stands.
    pub uwsgi_file: String,
    /// The user that a program of OpenStack's runs as.
    pub user: Option<&'a str>,
    /// What starts it where no package does.
    pub command: Option<String>,
    /// The script that the release has in place of the WSGI module.
    pub wsgi_script: Option<&'a String>,
}

impl Context {
    /// `secret` decides what a template sees of a secret.
    pub fn new(
        cloud: &Cloud,
        profiles: &Profiles,
        secrets: &BTreeMap<String, SecretString>,
        secret: impl Fn(&str, &str) -> String,
    ) -> Self {
        let secrets: BTreeMap<&str, String> = secrets
            .iter()
            .map(|(name, value)| (name.as_str(), secret(name, value.expose_secret())))
            .collect();
        let databases = databases(cloud, &secrets);
        let shared = BTreeMap::from([
            ("cloud", value(cloud_value(cloud, &cloud.release))),
            ("networks", value(network_values(cloud))),
            ("secrets", value(secrets)),
            ("services", value(&cloud.services)),
            ("sizing", value(&cloud.sizing)),
            ("variables", value(&cloud.variables)),
        ]);
        Self {
            shared,
            members: members(cloud, profiles),
            containers: list(cloud, cloud.containers.iter()),
            deployed: deployed(cloud, profiles),
            frontends: frontends(cloud, profiles),
            databases,
            tls: cloud.inside.is_some(),
            cloud: cloud.name.clone(),
            behind: cloud
                .behind
                .as_ref()
                .map(|behind| (behind.kinds.clone(), value(cloud_value(cloud, &behind.release)))),
        }
    }

    /// What a template of that container sees, the names of `extra` on top.
    pub fn of<'a>(
        &self,
        container: &Container,
        extra: impl IntoIterator<Item = &'a serde_json::Value>,
    ) -> Value {
        let mut names: BTreeMap<String, Value> =
            self.shared.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        names.insert("container".to_owned(), value(container_value(container)));
        if let Some((kinds, cloud)) = &self.behind
            && kinds.contains(&container.kind)
        {
            names.insert("cloud".to_owned(), cloud.clone());
        }
        for extra in extra.into_iter().filter_map(serde_json::Value::as_object) {
            names.extend(extra.iter().map(|(name, extra)| (name.clone(), value(extra))));
        }
        Value::from_pairs(names)
    }
}

/// Anything that can be serialized, as templates see it.
fn value(any: impl Serialize) -> Value {
    Value::from(Serde(any))
}

fn cloud_value<'a>(cloud: &'a Cloud, release: &'a Release) -> CloudValue<'a> {
    CloudValue {
        name: &cloud.name,
        region: &cloud.region,
        patience: cloud.patience,
        release: &release.release,
        python_path: &release.python_path,
        python_home: release.python.as_ref().map(|python| python.home.as_str()),
        scenario: &cloud.scenario,
        virtual_address: cloud.networks.virtual_address.to_string(),
        exposed_address: cloud.networks.exposed_address.map(|address| address.to_string()),
        outside: cloud.outside.as_ref(),
        inside: cloud.inside.as_ref(),
        host_address: cloud
            .networks
            .get(NetworkRole::Management)
            .map(|network| network.host_address.to_string()),
        unified_cgroups: cloud.unified_cgroups,
    }
}

fn network_values(cloud: &Cloud) -> IndexMap<&'static str, NetworkValue<'_>> {
    let networks = cloud.networks.networks.iter().map(|network| {
        let network_value = NetworkValue {
            range: network.range.to_string(),
            prefix: network.range.prefix,
            host_address: network.host_address.to_string(),
            bridge: &network.bridge,
            pool: pool(network.role, network.range).map(|(first, last)| PoolValue {
                first: first.to_string(),
                last: last.to_string(),
            }),
        };
        (network.role.name(), network_value)
    });
    networks.collect()
}

fn container_value(container: &Container) -> ContainerValue<'_> {
    let addresses = container.interfaces.iter().filter_map(|interface| {
        let (address, _) = interface.addresses.first()?;
        Some((interface.role.name(), address.to_string()))
    });
    ContainerValue {
        name: &container.name,
        kind: &container.kind,
        service: &container.service,
        member: container.member,
        hostname: &container.hostname,
        address: container.management_address().map(|address| address.to_string()),
        addresses: addresses.collect(),
        machine_id: &container.machine_id,
    }
}

fn list<'a>(cloud: &Cloud, containers: impl Iterator<Item = &'a Container>) -> Value {
    let members = containers.map(|container| MemberValue {
        container: container_value(container),
        standby: cloud.standby.contains(&container.name),
    });
    value(members.collect::<Vec<_>>())
}

/// The deployed services may be others than the loaded profiles only in tests; both are known.
fn members(cloud: &Cloud, profiles: &Profiles) -> BTreeMap<String, Value> {
    let known = profiles.kinds().map(|(kind, ..)| kind);
    let deployed = cloud.services.iter().flat_map(|service| service.containers.keys());
    let kinds = known.chain(deployed.map(String::as_str));
    kinds.map(|kind| (kind.to_owned(), list(cloud, cloud.members(kind)))).collect()
}

fn deployed(cloud: &Cloud, profiles: &Profiles) -> BTreeMap<String, bool> {
    let mut services: BTreeMap<String, bool> =
        profiles.services.keys().map(|service| (service.clone(), false)).collect();
    services.extend(cloud.services.iter().map(|service| (service.service.clone(), true)));
    services
}

/// Returns the databases whose secret is known, at the frontend of the server that holds them.
fn databases(cloud: &Cloud, secrets: &BTreeMap<&str, String>) -> BTreeMap<String, Database> {
    let Some(frontend) = cloud.sql_frontend() else { return BTreeMap::new() };
    let address = format!("{}:{}", cloud.networks.virtual_address, cloud.port(frontend));
    let databases = cloud.services.iter().flat_map(|service| &service.databases);
    let known = databases.filter_map(|it| {
        let password = secrets.get(it.secret.as_str())?.clone();
        let place = format!("{address}/{}", it.name);
        Some((it.name.clone(), Database { user: it.user.clone(), password, place }))
    });
    known.collect()
}

fn frontends(cloud: &Cloud, profiles: &Profiles) -> BTreeMap<String, Option<Value>> {
    let known = profiles.services.values().flat_map(|service| &service.frontends);
    let mut frontends: BTreeMap<String, Option<Value>> =
        known.map(|frontend| (frontend.name.clone(), None)).collect();
    let address = cloud.networks.virtual_address.to_string();
    let tls = cloud.outside.as_ref().is_some_and(Outside::tls);
    for (_, frontend) in cloud.frontends() {
        let served = FrontendValue {
            address: address.clone(),
            port: cloud.port(frontend),
            url: cloud.url(frontend),
            outside_url: cloud.outside_url(frontend),
            outside_port: frontend.port_by(tls),
        };
        frontends.insert(frontend.name.clone(), Some(value(served)));
    }
    frontends
}
