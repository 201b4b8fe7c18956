//! The whole desired cloud as one value: what `plan` compares with the host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::profile::{
    ContainerKind, Frontend, FrontendMode, IdentityServer, LoadBalancer, Probe, ServiceProfile,
    SqlServer,
};
use crate::config::release::{Behind, Release, Releases};
use crate::error::{Error, Result};

use super::layer::LayerSpec;
use super::sizing::{Sizing, limits};
use super::topology::{Container, Networks};
use crate::config::network::NetworkRole;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Cloud {
    pub name: String,
    pub region: String,
    /// What time limits are multiplied by: 1, or more where the host is far slower than most.
    #[serde(default = "one")]
    pub patience: u32,
    pub release: Release,
    /// Kinds that are not of it.
    #[serde(default)]
    pub behind: Option<Behind>,
    pub scenario: String,
    pub networks: Networks,
    /// How it is reached from outside, if at all.
    #[serde(default)]
    pub outside: Option<Outside>,
    /// With what it proves within who it is; none where it speaks in clear there.
    #[serde(default)]
    pub inside: Option<Inside>,
    /// Addresses of the host itself at which containers ask for names. Absent in what an `aio` of
    /// before recorded, which let everybody in everywhere: its profiles do not say who listens to
    /// whom, so nothing is closed until the next `bootstrap`.
    #[serde(default)]
    pub resolvers: Option<Vec<Ipv4Addr>>,
    /// Deployed services, a service after those that it needs.
    pub services: Vec<ServiceProfile>,
    /// Containers, in the order of the services, kinds and members.
    pub containers: Vec<Container>,
    /// Layers by id, a parent before its children.
    pub layers: Vec<(String, LayerSpec)>,
    pub sizing: Sizing,
    /// Values of all variables of the deployed services.
    pub variables: BTreeMap<String, serde_json::Value>,
    /// When each container is healthy, scripts rendered, by full name.
    #[serde(default)]
    pub health: BTreeMap<String, Vec<Probe>>,
    /// Whether the host's control groups are unified (version 2 alone).
    pub unified_cgroups: bool,
    /// Full names of members that stand by while a sibling runs from a checkout. Not a choice of the
    /// user's but what `aio dev` is doing now, so it is not recorded with the rest.
    #[serde(skip)]
    pub standby: BTreeSet<String>,
}

/// How a cloud is reached from outside (`--expose`).
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Outside {
    /// The address, or the name that leads there: what clients are told.
    pub host: String,
    /// All names and addresses by which it may be called.
    pub names: Vec<String>,
    /// What it shows to prove who it is, in PEM; none where it speaks in clear.
    #[serde(default)]
    pub certificate: Option<String>,
    /// What clients are to trust, in PEM; none where the certificate is a user's own.
    #[serde(default)]
    pub authority: Option<String>,
}

impl Outside {
    pub fn tls(&self) -> bool {
        self.certificate.is_some()
    }

    /// Scheme and host: what stands before the ports.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls() { "https" } else { "http" }, self.host)
    }
}

/// The address of a service. The port that its scheme has by itself is left out, as clients do: some
/// compare addresses as texts.
fn service_url(tls: bool, host: impl Display, port: u16) -> String {
    match (tls, port) {
        (true, 443) => format!("https://{host}"),
        (true, _) => format!("https://{host}:{port}"),
        (false, 80) => format!("http://{host}"),
        (false, _) => format!("http://{host}:{port}"),
    }
}

/// What a container's certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// Whether it shows it to the members of its cluster too, which it connects to.
    pub peer: bool,
}

/// With what the cloud proves within who it is (`--set tls=everywhere`). All in PEM.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Inside {
    /// What clients are to trust.
    pub authority: String,
    /// SHA-256 of its public key, in hex: a renewed authority has the same.
    pub authority_key: String,
    /// What each container shows whose kind has a `certificate`, by full name.
    pub certificates: BTreeMap<String, String>,
}

const fn one() -> u32 {
    1
}

impl Cloud {
    pub fn count_members(&self) -> BTreeMap<String, u32> {
        let mut members = BTreeMap::new();
        for container in &self.containers {
            *members.entry(container.kind.clone()).or_default() += 1;
        }
        members
    }

    pub fn releases(&self) -> Releases<'_> {
        Releases { main: &self.release, behind: self.behind.as_ref() }
    }

    /// Members of a kind, in order; empty when it is not deployed.
    pub fn members<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Container> + 'a {
        self.containers.iter().filter(move |container| container.kind == kind)
    }

    /// The container of that full name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// Kernel settings that the host needs for it: name and least value.
    pub fn kernel_settings(&self) -> BTreeMap<String, u64> {
        let containers = u64::try_from(self.containers.len()).unwrap_or(u64::MAX);
        let mut settings = limits::settings(containers, &self.sizing.used_beside);
        for (name, least) in &self.release.kernel_settings {
            let counted = settings.entry(name.clone()).or_default();
            *counted = (*counted).max(*least);
        }
        settings
    }

    /// Returns how many slots of ids its containers reach into.
    pub fn id_slots(&self) -> u32 {
        self.containers.iter().map(|container| container.id_slot + 1).max().unwrap_or(0)
    }

    /// Returns the probes that say when a container is healthy.
    pub fn probes(&self, container: &Container) -> &[Probe] {
        self.health.get(&container.name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The definition of a deployed kind, with the service that has it.
    pub fn kind(&self, kind: &str) -> Option<(&ServiceProfile, &ContainerKind)> {
        self.services.iter().find_map(|service| {
            service.containers.get(kind).map(|definition| (service, definition))
        })
    }

    pub fn load_balancer(&self) -> Option<&LoadBalancer> {
        self.services.iter().find_map(|service| service.load_balancer.as_ref())
    }

    pub fn sql_server(&self) -> Option<&SqlServer> {
        self.services.iter().find_map(|service| service.sql_server.as_ref())
    }

    /// Where services reach their databases.
    pub fn sql_frontend(&self) -> Option<&Frontend> {
        let kind = &self.sql_server()?.kind;
        self.frontends().map(|(_, frontend)| frontend).find(|frontend| frontend.backend == *kind)
    }

    pub fn identity_server(&self) -> Option<&IdentityServer> {
        self.services.iter().find_map(|service| service.identity_server.as_ref())
    }

    /// The containers of the load balancer.
    pub fn balancers(&self) -> impl Iterator<Item = &Container> {
        self.load_balancer().into_iter().flat_map(move |balancer| self.members(&balancer.kind))
    }

    /// Every frontend of the deployed services.
    pub fn frontends(&self) -> impl Iterator<Item = (&ServiceProfile, &Frontend)> {
        self.services
            .iter()
            .flat_map(|service| service.frontends.iter().map(move |frontend| (service, frontend)))
    }

    pub fn frontend(&self, name: &str) -> Result<&Frontend> {
        let mut frontends = self.frontends().map(|(_, frontend)| frontend);
        frontends
            .find(|frontend| frontend.name == name)
            .ok_or_else(|| Error::failed(format!("find the frontend `{name}`")))
    }

    /// Every certificate that is shown, and those of the authorities that signed them, in PEM.
    pub fn certificates(&self) -> impl Iterator<Item = &String> {
        let outside = self.outside.iter().flat_map(|it| it.certificate.iter().chain(&it.authority));
        let inside = self.inside.iter();
        outside.chain(inside.flat_map(|it| it.certificates.values().chain([&it.authority])))
    }

    /// The port of the virtual address at which a frontend is reached.
    pub fn port(&self, frontend: &Frontend) -> u16 {
        frontend.port_by(self.inside.is_some())
    }

    /// Returns where a frontend is reached within the cloud and from its host. Here, and in
    /// [`Self::outside_url`], it is decided what speaks TLS.
    pub fn url(&self, frontend: &Frontend) -> String {
        service_url(self.inside.is_some(), self.networks.virtual_address, self.port(frontend))
    }

    /// The containers that have a certificate where everything speaks TLS, with the addresses that
    /// each is for: its own, and the virtual one where it answers there itself.
    pub fn certified(&self) -> BTreeMap<String, Certified> {
        let mut certified = BTreeMap::new();
        for container in &self.containers {
            let Some((_, kind)) = self.kind(&container.kind) else { continue };
            let Some(own) = container.management_address().filter(|_| kind.certificate) else {
                continue;
            };
            let passed_on = |frontend: &Frontend| {
                frontend.mode == FrontendMode::Tcp && frontend.backend == container.kind
            };
            let mut addresses = vec![own.to_string()];
            if kind.virtual_address || self.frontends().any(|(_, frontend)| passed_on(frontend)) {
                addresses.push(self.networks.virtual_address.to_string());
            }
            let peer = kind.cluster.as_ref().is_some_and(|cluster| cluster.speech.is_some());
            certified.insert(container.name.clone(), Certified { addresses, peer });
        }
        certified
    }

    /// Returns where a frontend is reached from outside; as [`Self::url`] for what is not exposed.
    pub fn outside_url(&self, frontend: &Frontend) -> String {
        match self.outside.as_ref().filter(|_| frontend.expose) {
            None => self.url(frontend),
            Some(outside) => {
                service_url(outside.tls(), &outside.host, frontend.port_by(outside.tls()))
            }
        }
    }

    /// Where the load balancer answers those outside: an address of its own, on the network by which
    /// its answers leave, so that it knows who asked.
    pub fn outside_door(&self) -> Option<Ipv4Addr> {
        self.balancers().next()?.address(NetworkRole::Nat)
    }

    /// Whether the load balancer chooses who of a kind serves.
    pub fn is_balanced(&self, kind: &str) -> bool {
        self.frontends().any(|(_, frontend)| frontend.backend == kind)
    }
}
