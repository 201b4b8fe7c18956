//! What follows from a checkout's declarations, made anew while its unit runs from it.

use super::swap_in::reader;
use super::work::Work;
use crate::engine::step::StepContext;
use crate::error::Result;
use crate::model::swap::{Checkout, Generated};

impl Work {
    /// Publishes what is made of the checkouts as they are now. The unit's process keeps what it has open;
    /// it is restarted next.
    pub async fn renew(
        &self,
        context: &StepContext,
        user: &str,
        checkouts: Vec<Checkout>,
        generated: Generated,
    ) -> Result<()> {
        self.update(|swap| swap.checkouts = checkouts).await?;
        let swap = self.swap().await;
        let publication =
            swap.publication(reader(context, &swap.container, user).await?, generated);
        context.host.containers.publish(&swap.container, &publication, swap.keep).await
    }
}
