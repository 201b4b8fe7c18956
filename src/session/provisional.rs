use crate::config::load::Profiles;
use crate::error::Result;
use crate::model::facts::HostFacts;
use crate::model::sizing::Sizing;
use std::collections::BTreeMap;
pub struct Choice {
    pub scenario: String,
    pub reason: String,
}
pub fn choose_scenario(_: &HostFacts, _: &Profiles) -> Result<Choice> {
    Ok(Choice { scenario: "minimal".into(), reason: "p".into() })
}
pub fn size(_: &HostFacts, members: &BTreeMap<String, u32>, profiles: &Profiles) -> Result<Sizing> {
    Ok(Sizing {
        api_workers: 1,
        rpc_workers: 1,
        api_threads: 4,
        buffer_pool_mib: 128,
        memory_limit_mib: members
            .keys()
            .map(|k| (k.clone(), profiles.kind(k).map_or(512, |(_, d)| d.memory.limit_mib * 2)))
            .collect(),
        privileged: None,
        parallel_packages: 2,
        parallel_starts: 4,
        parallel_loads: 4,
        predicted_memory_mib: 0,
        predicted_disk_mib: 0,
        predicted_cold_secs: 0,
        predicted_warm_secs: 0,
    })
}
