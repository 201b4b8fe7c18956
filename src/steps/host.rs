//! Steps on the host itself: kernel limits, bridges, routes, firewall.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::host::HostNetworkSpec;

/// Raises kernel limits that many containers need.
pub struct KernelSettings {
    /// Name and least value.
    pub sysctls: BTreeMap<String, u64>,
}

#[async_trait]
impl Action for KernelSettings {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.settings.differs(&self.sysctls).await? {
            Some(reason) => Observation::Wrong(reason),
            None => Observation::Right,
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.settings.apply(&self.sysctls).await
    }
}

/// Guard routes, bridges, addresses and the cloud's own firewall table.
pub struct Network {
    /// What it should be.
    pub spec: HostNetworkSpec,
}

#[async_trait]
impl Action for Network {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        for obstacle in context.host.network.obstacles(&self.spec).await? {
            context.warn(obstacle);
        }
        Ok(match context.host.network.differs(&self.spec).await? {
            Some(reason) => Observation::Wrong(reason),
            None => Observation::Right,
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.network.apply(&self.spec).await
    }
}

/// The copy of the binary that LXC's hooks call.
pub struct Binary;

#[async_trait]
impl Action for Binary {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.installation.binary_differs().await? {
            Some(reason) => Observation::Wrong(reason),
            None => Observation::Right,
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.installation.install_binary().await
    }
}

/// The unit that starts the cloud when the host boots.
pub struct BootUnit;

#[async_trait]
impl Action for BootUnit {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.installation.boot_unit_differs().await? {
            Some(reason) => Observation::Wrong(reason),
            None => Observation::Right,
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.installation.install_boot_unit().await
    }
}
