//! A member whose data was dropped: forgotten by its cluster before it starts again, and given its
//! share of the cluster's data afterwards.
//!
//! That it happened is written down before the data go. Whatever run comes next carries on: a member
//! without data that its cluster still counts on would start as a cluster of its own.

use std::sync::Arc;

use async_trait::async_trait;

use super::probe::wait_healthy;
use super::site::{Site, run_script};
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, Result};
use crate::host::ContainerState;
use crate::model::command::Command;
use crate::model::topology::Container;

/// How far a member whose data was dropped has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DroppedData {
    /// Its cluster counts on what is no longer there.
    Dropped,
    /// Its cluster has forgotten it.
    Forgotten,
}

impl DroppedData {
    fn key(container: &str) -> String {
        format!("dropped/{container}")
    }

    /// What is written down; `None` for a member that has its data.
    pub async fn load(context: &StepContext, container: &str) -> Result<Option<Self>> {
        match context.host.records.get(&Self::key(container)).await?.as_deref() {
            None => Ok(None),
            Some("dropped") => Ok(Some(Self::Dropped)),
            Some("forgotten") => Ok(Some(Self::Forgotten)),
            Some(other) => Err(Error::failed(format!("read what became of `{container}`'s data"))
                .because(format!("the record says `{other}`"))),
        }
    }

    pub async fn save(self, context: &StepContext, container: &str) -> Result<()> {
        let text = match self {
            Self::Dropped => "dropped",
            Self::Forgotten => "forgotten",
        };
        context.host.records.set(&Self::key(container), text).await
    }

    async fn clear(context: &StepContext, container: &str) -> Result<()> {
        context.host.records.remove(&Self::key(container)).await
    }
}

/// Makes the cluster forget a member whose data was dropped.
///
/// The member's container is up by then and its unit is not: an address that refuses says so at
/// once, a silent one keeps those who ask waiting for 3 s each time. With that, RabbitMQ needed 56 s
/// for nine queues, without it 2 s.
pub struct Forget {
    pub departing: Container,
    /// The unit that forms the cluster.
    pub unit: String,
    /// A script for each other member; the first in which the unit runs gets it.
    pub siblings: Vec<(String, String)>,
}

impl Forget {
    /// The member that is told, with what it is told.
    async fn sibling(&self, context: &StepContext) -> Result<Option<&(String, String)>> {
        let containers = &context.host.containers;
        let unit = std::slice::from_ref(&self.unit);
        for sibling in &self.siblings {
            let (name, _) = sibling;
            let running = matches!(containers.state(name).await?, ContainerState::Running { .. });
            if running && containers.active_units(name, unit).await? == [true] {
                return Ok(Some(sibling));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Action for Forget {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        if DroppedData::load(context, &self.departing.name).await? != Some(DroppedData::Dropped) {
            return Ok(Observation::Right);
        }
        Ok(match self.sibling(context).await? {
            Some(_) => Observation::Wrong("its data was dropped".to_owned()),
            None => Observation::Skip("no other member runs".to_owned()),
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let departing = &self.departing.name;
        if let Some((name, script)) = self.sibling(context).await? {
            let doing = format!("make the cluster forget `{departing}`");
            run_script(context, name, &doing, Command::shell(script.clone())).await?;
        }
        DroppedData::Forgotten.save(context, departing).await
    }
}

/// Gives a member that came back without data its share again.
pub struct Grow {
    pub member: Container,
    /// What it runs, if there is anything to run.
    pub script: Option<String>,
    pub site: Arc<Site>,
}

#[async_trait]
impl Action for Grow {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match DroppedData::load(context, &self.member.name).await? {
            None => Observation::Right,
            Some(_) => Observation::Wrong("it came back without data".to_owned()),
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let name = &self.member.name;
        if let Some(script) = &self.script {
            let limit = context.host.patiently(std::time::Duration::from_secs(30));
            let probes = self.site.cloud.probes(&self.member);
            wait_healthy(context, &self.site, &self.member, probes, limit).await?;
            let doing = format!("give `{name}` its share again");
            run_script(context, name, &doing, Command::shell(script.clone())).await?;
        }
        DroppedData::clear(context, name).await
    }
}

#[cfg(test)]
mod tests;
