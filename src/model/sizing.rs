//! How large a cloud is on this host. Pure: host facts and a scenario in, numbers out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What sizing decides. Every number follows from a host fact.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
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
    /// Why every container must be privileged on this host; absent where none must.
    pub privileged: Option<String>,
    /// Layers built at the same time.
    pub parallel_packages: usize,
    /// Containers started at the same time.
    pub parallel_starts: usize,
    /// Python processes loaded at the same time.
    pub parallel_loads: usize,
    /// Predicted memory of the idle cloud, in MiB.
    pub predicted_memory_mib: u64,
    /// Predicted disk, layers included, in MiB.
    pub predicted_disk_mib: u64,
    /// Predicted duration of the first `bootstrap` with nothing cached, in seconds.
    pub predicted_cold_secs: u64,
    /// Predicted duration of a `bootstrap` from cached layers, in seconds.
    pub predicted_warm_secs: u64,
}
