//! Steps of `aio destroy`: what was added to the host goes, in the reverse order.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Result, ResultExt};
use crate::host::{ContainerState, Stop, blocking};
use crate::lxc::descent;
use crate::model::host_network::HostNetworkSpec;
use crate::model::topology::Container;

/// Kills and forgets a container, with its root and data.
pub struct RemoveContainer {
    /// Its full name.
    pub name: String,
    /// The specification, if it is known: its data goes too.
    pub container: Option<Container>,
}

#[async_trait]
impl Action for RemoveContainer {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.containers.state(&self.name).await? {
            ContainerState::Absent => Observation::Right,
            _ => Observation::Wrong("it is there".to_owned()),
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.containers.stop(&self.name, Stop::Kill).await?;
        context.host.containers.discard(&self.name).await?;
        if let Some(container) = &self.container {
            context.host.containers.discard_data(container).await?;
        }
        Ok(())
    }
}

/// Removes bridges, routes and the firewall table.
pub struct RemoveNetwork {
    pub spec: HostNetworkSpec,
}

#[async_trait]
impl Action for RemoveNetwork {
    async fn observe(&self, _context: &StepContext) -> Result<Observation> {
        Ok(Observation::Wrong("the cloud goes".to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.network.remove(&self.spec).await
    }

    async fn verify(&self, _context: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

/// Gives back kernel limits and the range of subordinate ids, and removes the boot unit.
pub struct ReleaseHost;

#[async_trait]
impl Action for ReleaseHost {
    async fn observe(&self, _context: &StepContext) -> Result<Observation> {
        Ok(Observation::Wrong("the cloud goes".to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.installation.remove_boot_unit().await?;
        context.host.settings.release().await
    }

    async fn verify(&self, _context: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

/// Removes files and directories of `aio`'s own.
pub struct RemoveFiles {
    /// Removed with all that is in them.
    pub trees: Vec<PathBuf>,
    /// Removed when nothing is left in them, in this order.
    pub empty: Vec<PathBuf>,
}

#[async_trait]
impl Action for RemoveFiles {
    async fn observe(&self, _context: &StepContext) -> Result<Observation> {
        let left = self.trees.iter().find(|path| path.symlink_metadata().is_ok());
        Ok(left.map(|path| format!("{} is there", path.display())).into())
    }

    async fn act(&self, _context: &StepContext) -> Result<()> {
        let (trees, empty) = (self.trees.clone(), self.empty.clone());
        blocking("remove files", move || {
            for path in &trees {
                descent::remove(path).doing(|| format!("remove {}", path.display()))?;
            }
            for path in &empty {
                // A directory that holds something of somebody else stays.
                let _ = std::fs::remove_dir(path);
            }
            Ok(())
        })
        .await
    }
}
