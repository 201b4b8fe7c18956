//! What a cloud asks of a host: memory, disk and time of the containers that it is made of.
//!
//! Memory stands in the profiles. What disk and time depend on is known only once layers are built,
//! so they are predicted from what building and starting them was measured to take: Debian 13 on two
//! cores, package downloads from a near mirror.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::profile::{ContainerKind, ServiceProfile};
use crate::config::release::Release;

const BASE_MIB: u64 = 165;
/// A layer that several kinds share, in MiB: 193 (nova) to 524 (what two services or more need).
const SHARED_LAYER_MIB: u64 = 320;
/// The layer of all of OpenStack's Python, in MiB.
const PYTHON_LAYER_MIB: u64 = 870;
/// A layer of one kind, in MiB: 3 (repo) to 386 (MariaDB with a fresh data directory).
const OWN_LAYER_MIB: u64 = 120;
/// Packages that are kept so that a layer can be built again, for each MiB of layers, in per cent.
const DOWNLOADS_PERCENT: u64 = 20;
/// What a container writes beside its data in its first hours: journal, caches, in MiB.
const CONTAINER_MIB: u64 = 20;
/// A data directory that holds what users made, fresh, in MiB: 1 (keys) to 200 (MariaDB).
const DATA_MIB: u64 = 64;

/// Time on one core to unpack and compile a MiB of layers, in milliseconds.
const BUILD_MILLIS_PER_MIB: u64 = 80;
/// The base layer, which nothing overlaps, in milliseconds.
const BASE_MILLIS: u64 = 17_000;
/// Time on one core until a container's systemd is up and its files are in place, in milliseconds.
const CONTAINER_MILLIS: u64 = 1_000;
/// Time on one core to load a Python service, in milliseconds.
const LOAD_MILLIS: u64 = 3_000;
/// What no core shortens: clusters that form, health checks that wait, in milliseconds.
const WAIT_MILLIS: u64 = 12_000;

/// A cloud as far as its size is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    pub release: &'a Release,
    pub services: &'a [&'a ServiceProfile],
    pub members: &'a BTreeMap<String, u32>,
    /// Whether the cloud is there already: then its memory and disk are not free, and need not be.
    pub existing: bool,
}

impl<'a> Demand<'a> {
    pub fn kinds(&self) -> impl Iterator<Item = (&'a str, &'a ContainerKind, u32)> + '_ {
        self.services.iter().flat_map(|service| &service.containers).filter_map(|(name, kind)| {
            let members = self.members.get(name).copied().unwrap_or(0);
            (members > 0).then_some((name.as_str(), kind, members))
        })
    }

    pub fn containers(&self) -> u64 {
        self.kinds().map(|(.., members)| u64::from(members)).sum()
    }

    /// Memory of all containers at rest.
    pub fn idle_mib(&self, workers: u32) -> u64 {
        let further = u64::from(workers.saturating_sub(1));
        self.kinds()
            .map(|(_, kind, members)| {
                u64::from(members) * (kind.memory.idle_mib + further * kind.memory.per_worker_mib)
            })
            .sum()
    }

    /// Memory with which every container works at its busiest.
    pub fn least_mib(&self, workers: u32) -> u64 {
        self.kinds().map(|(_, kind, members)| u64::from(members) * limit_mib(kind, workers)).sum()
    }

    /// The kind that holds the databases.
    pub fn database_kind(&self) -> Option<&'a str> {
        let servers = self.services.iter().filter_map(|service| service.sql_server.as_ref());
        servers.map(|server| server.kind.as_str()).next()
    }

    fn layers_mib(&self) -> u64 {
        let shared: BTreeSet<&String> =
            self.kinds().flat_map(|(_, kind, _)| &kind.layers).collect();
        // Kinds made of the same packages share their layer.
        let own: BTreeSet<(&Vec<String>, &Vec<String>)> = self
            .kinds()
            .filter(|(_, kind, _)| !kind.packages.is_empty())
            .map(|(_, kind, _)| (&kind.layers, &kind.packages))
            .collect();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let of_python =
            |name: &str| self.release.layers.get(name).is_some_and(|layer| layer.python);
        let shared: u64 = shared
            .into_iter()
            .map(|name| if of_python(name) { PYTHON_LAYER_MIB } else { SHARED_LAYER_MIB })
            .sum();
        BASE_MIB + shared + count(own.len()) * OWN_LAYER_MIB
    }

    /// Disk for layers, downloads, containers and data.
    pub fn disk_mib(&self) -> u64 {
        let layers = self.layers_mib();
        let data: u64 = self
            .kinds()
            .map(|(_, kind, members)| {
                let precious = kind.data.iter().filter(|directory| directory.precious).count();
                u64::from(members) * u64::try_from(precious).unwrap_or(0) * DATA_MIB
            })
            .sum();
        layers + layers * DOWNLOADS_PERCENT / 100 + self.containers() * CONTAINER_MIB + data
    }

    /// Inodes, by what Debian's packages were measured to hold: a file for every 20 KiB.
    pub fn inodes(&self) -> u64 {
        self.disk_mib() * 1024 / 20
    }

    /// Returns how often a Python program is loaded: services, and the commands that set them up.
    fn loads(&self) -> u64 {
        let units: u64 = self
            .kinds()
            .filter(|(_, kind, _)| !kind.layers.is_empty())
            .map(|(_, kind, members)| {
                u64::from(members) * u64::try_from(kind.units.len()).unwrap_or(0)
            })
            .sum();
        let deployed = self.services.iter().filter(|service| {
            service.containers.keys().any(|kind| self.members.get(kind).is_some_and(|it| *it > 0))
        });
        units + deployed.map(|service| u64::try_from(service.setup.len()).unwrap_or(0)).sum::<u64>()
    }

    /// Duration of a `bootstrap` from cached layers.
    pub fn warm_secs(&self, cores: u32) -> u64 {
        let work = self.containers() * CONTAINER_MILLIS + self.loads() * LOAD_MILLIS;
        (WAIT_MILLIS + work / u64::from(cores.max(1))) / 1000
    }

    /// Duration of a `bootstrap` with nothing cached.
    pub fn cold_secs(&self, cores: u32) -> u64 {
        let layers = (self.layers_mib() - BASE_MIB) * BUILD_MILLIS_PER_MIB;
        self.warm_secs(cores) + (BASE_MILLIS + layers / u64::from(cores.max(1))) / 1000
    }
}

/// The least memory limit of a member with that many workers.
pub fn limit_mib(kind: &ContainerKind, workers: u32) -> u64 {
    kind.memory.limit_mib + u64::from(workers.saturating_sub(1)) * kind.memory.per_worker_mib
}
