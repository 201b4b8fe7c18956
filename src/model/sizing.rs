//! How large a cloud is on this host. Pure: host facts and members in, numbers out.
//!
//! What ends up in configuration files follows from cores and total memory alone, never from what
//! happens to be free at the moment: else every run would have something to change. Whether the
//! host can carry the cloud is asked apart, in [`fit`].

pub mod demand;
pub mod fit;
pub mod limits;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::HostFacts;
use crate::config::profile::ContainerKind;
use demand::Demand;

pub use fit::{
    Alternatives, Chosen, Refusal, choose_scenario, fewer_services, notes, permit, refusals,
    smaller, taken_ports,
};

/// What sizing decides. Every number follows from a host fact.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub struct Sizing {
    /// Worker processes of each API.
    pub api_workers: u32,
    /// Worker processes of each RPC service.
    pub rpc_workers: u32,
    /// Threads of each API process.
    pub api_threads: u32,
    /// InnoDB's buffer pool of each galera member, in MiB.
    pub buffer_pool_mib: u64,
    /// Memory limit by container kind, in MiB.
    pub memory_limit_mib: BTreeMap<String, u64>,
    /// Layers built at the same time.
    pub parallel_packages: usize,
    /// Containers started at the same time.
    pub parallel_starts: usize,
    /// Python processes loaded at the same time.
    pub parallel_loads: usize,
    /// What else of the host's limits was in use when the cloud was sized: `limits`.
    #[serde(default)]
    pub used_beside: BTreeMap<String, u64>,
    /// Predicted memory of the idle cloud, in MiB.
    pub predicted_memory_mib: u64,
    /// Predicted disk, layers included, in MiB.
    pub predicted_disk_mib: u64,
    /// Predicted duration of the first `bootstrap` with nothing cached, in seconds.
    pub predicted_cold_secs: u64,
    /// Predicted duration of a `bootstrap` from cached layers, in seconds.
    pub predicted_warm_secs: u64,
}

/// Limits and pools are multiples of this, in MiB: nobody cares for less.
const STEP_MIB: u64 = 16;

/// Total memory is taken in steps of this, in MiB: a kernel update changes what it keeps for itself,
/// and must not change a cloud.
const MEMORY_STEP_MIB: u64 = 512;

/// Threads of an API process. They wait for the database most of the time; measured: one process
/// with four serves a token in 23 ms and is never the bottleneck on two cores.
const API_THREADS: u32 = 4;

/// Memory that one layer's build takes at most, in MiB: APT with its index, dpkg, byte compilation.
const BUILD_MIB: u64 = 256;

/// Containers that start at the same time on each core. A start is 25-60 ms of work and then half a
/// second of waiting for its systemd (measured: eight on two cores in 0.5 s).
const STARTS_PER_CORE: usize = 4;

/// Sizes a cloud, whether it fits the host or not.
pub fn predict(facts: &HostFacts, demand: &Demand<'_>) -> Sizing {
    let total = facts.memory.total_mib / MEMORY_STEP_MIB * MEMORY_STEP_MIB;
    let workers = workers(facts.cores, total, demand);
    let limits = limits(facts.cores, total, demand);
    let cores = usize::try_from(facts.cores.max(1)).unwrap_or(1);
    let builds = usize::try_from(total / 2 / BUILD_MIB).unwrap_or(1);
    Sizing {
        api_workers: workers,
        rpc_workers: workers,
        api_threads: API_THREADS,
        buffer_pool_mib: buffer_pool(&limits, demand),
        memory_limit_mib: limits,
        parallel_packages: cores.min(builds.max(1)),
        parallel_starts: cores * STARTS_PER_CORE,
        parallel_loads: cores,
        used_beside: limits::used(facts),
        predicted_memory_mib: demand.idle_mib(workers),
        predicted_disk_mib: demand.disk_mib(),
        predicted_cold_secs: demand.cold_secs(facts.cores),
        predicted_warm_secs: demand.warm_secs(facts.cores),
    }
}

/// Workers of each API and RPC service where memory holds them: one on two cores, one more with each
/// doubling. The load is that of one team, which does not grow with the machine.
fn wanted_workers(cores: u32) -> u32 {
    cores.max(2).ilog2()
}

/// As many of the wanted workers as memory holds.
fn workers(cores: u32, total_mib: u64, demand: &Demand<'_>) -> u32 {
    let fits = |count: &u32| demand.least_mib(*count) <= total_mib;
    (1..=wanted_workers(cores)).rev().find(fits).unwrap_or(1)
}

/// The memory limit of each kind: its least one, and what its further workers take. Where the host
/// has more, the least ones grow alike until all add up to three quarters of its memory; the rest is
/// for the host itself, the page cache and the user's own work. While they add up to less than there
/// is, no container can take another one's memory.
fn limits(cores: u32, total_mib: u64, demand: &Demand<'_>) -> BTreeMap<String, u64> {
    let workers = workers(cores, total_mib, demand);
    let sum = demand.least_mib(1).max(1);
    // What all wanted workers would take is set aside even where they do not fit, so that the rest
    // does not shrink when memory grows and they do.
    let aside = demand.least_mib(wanted_workers(cores)) - demand.least_mib(1);
    let share = (total_mib * 3 / 4).saturating_sub(aside).max(sum);
    let limit = |kind: &ContainerKind| {
        let least = kind.memory.limit_mib;
        let grown = (least * share / sum / STEP_MIB * STEP_MIB).max(least);
        grown + demand::limit_mib(kind, workers) - least
    };
    demand.kinds().map(|(name, kind, _)| (name.to_owned(), limit(kind))).collect()
}

/// A quarter of a database member's limit. The rest is for connections, the write-set cache and
/// galera's own; measured: 190 MiB idle with a pool of 128.
fn buffer_pool(limits: &BTreeMap<String, u64>, demand: &Demand<'_>) -> u64 {
    const LEAST_MIB: u64 = 64;
    let kind = demand.database_kind();
    let limit = kind.and_then(|kind| limits.get(kind)).copied().unwrap_or(0);
    (limit / 4 / STEP_MIB * STEP_MIB).max(LEAST_MIB)
}

#[cfg(test)]
mod tests;
