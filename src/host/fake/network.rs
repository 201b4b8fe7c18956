//! The host's network in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::host::HostNetwork;
use crate::model::host_network::HostNetworkSpec;

/// A network that ends with the test.
#[derive(Debug, Default)]
pub struct FakeNetwork {
    /// What stands on the host, by cloud. A reboot clears it.
    pub applied: Mutex<BTreeMap<String, HostNetworkSpec>>,
    /// Sentences about foreign firewalls.
    pub obstacles: Mutex<Vec<String>>,
    /// What the next changes fail with, in their order.
    pub failures: Mutex<Vec<Error>>,
}

impl FakeNetwork {
    fn fail(&self) -> Result<()> {
        let mut failures = self.failures.lock().unwrap();
        if failures.is_empty() { Ok(()) } else { Err(failures.remove(0)) }
    }
}

#[async_trait]
impl HostNetwork for FakeNetwork {
    async fn differs(&self, spec: &HostNetworkSpec) -> Result<Option<String>> {
        let applied = self.applied.lock().unwrap();
        Ok(match applied.get(&spec.cloud) {
            Some(there) if there == spec => None,
            Some(_) => {
                Some(format!("the firewall table `aio_{}` is not as it should be", spec.cloud))
            }
            None => spec
                .networks
                .first()
                .map(|network| format!("the guard route of {} is missing", network.range)),
        })
    }

    async fn apply(&self, spec: &HostNetworkSpec) -> Result<()> {
        self.fail()?;
        self.applied.lock().unwrap().insert(spec.cloud.clone(), spec.clone());
        Ok(())
    }

    async fn remove(&self, spec: &HostNetworkSpec) -> Result<()> {
        self.fail()?;
        self.applied.lock().unwrap().remove(&spec.cloud);
        Ok(())
    }

    async fn obstacles(&self, _: &HostNetworkSpec) -> Result<Vec<String>> {
        Ok(self.obstacles.lock().unwrap().clone())
    }
}
