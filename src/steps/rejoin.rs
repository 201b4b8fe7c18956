//! A member is back where it serves, before the next of its kind is stopped.

use async_trait::async_trait;

use super::cluster::Form;
use super::service::Ready;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::model::topology::Container;

/// In its cluster, with every other member there, and up for the load balancer.
pub struct Rejoin {
    pub member: Container,
    /// Its cluster, if its kind is one.
    pub form: Option<Form>,
    /// What the load balancer must say of it.
    pub ready: Ready,
}

impl Rejoin {
    /// What the member's cluster lacks, if it is one.
    async fn lacks(&self, context: &StepContext) -> Result<Option<String>> {
        match &self.form {
            Some(form) => form.lacks(context, &self.member).await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Action for Rejoin {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        match self.lacks(context).await? {
            Some(reason) => Ok(Observation::Wrong(reason)),
            None => self.ready.observe(context).await,
        }
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        if let Some(form) = &self.form {
            form.join(context, &self.member).await?;
        }
        self.ready.act(context).await
    }

    async fn verify(&self, context: &StepContext) -> Result<Observation> {
        match self.lacks(context).await? {
            Some(reason) => Ok(Observation::Wrong(reason)),
            None => self.ready.verify(context).await,
        }
    }
}
