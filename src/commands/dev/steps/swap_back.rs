//! From the checkout back to the package, and from a checkout to what it has become.

use super::schema;
use super::work::{DeedFuture, Work};
use crate::engine::step::StepContext;
use crate::error::Result;
use crate::host::ContainerState;
use crate::state::swaps;
use crate::steps::swapped_files::SwappedFiles;

impl Work {
    /// Lets the siblings serve again, and takes the swapped member out.
    pub fn relieve<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let swap = self.swap().await;
            let balancer = &self.site.balancer;
            for sibling in self.siblings(&swap.standby) {
                balancer.set_standby(context, sibling, false).await?;
                balancer.wait_up(context, sibling).await?;
            }
            balancer.take_out(context, &self.container).await
        })
    }

    /// Ends the checkout's processes: the unit's, and one that a lost terminal may have left.
    pub fn stop<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            if self.restarts && self.is_running(context).await? {
                let mark = self.swap().await.mark_path();
                let script = format!(
                    "systemctl stop $unit\n\
                     for held in /proc/[0-9]*/fd/*; do\n\
                     if [ \"$held\" -ef {mark} ]; then id=${{held#/proc/}}; kill -9 \"${{id%%/*}}\"; fi\n\
                     done\n:"
                );
                self.systemctl(context, &script).await?;
            }
            Ok(())
        })
    }

    /// Brings back the database as it was before its schema was changed.
    pub fn database<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            match &self.restored_database {
                Some(name) => schema::load_dump(context, self, name).await,
                None => Ok(()),
            }
        })
    }

    /// Takes the checkout out of the container.
    pub fn withdraw<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let swap = self.swap().await;
            context.host.containers.withdraw(&swap.container, &swap.unit).await
        })
    }

    pub fn start<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            if self.restarts && self.is_running(context).await? {
                self.start_unit(context, "start").await?;
            }
            Ok(())
        })
    }

    pub fn healthy<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            if self.is_running(context).await? {
                self.wait_healthy(context).await?;
            }
            Ok(())
        })
    }

    pub fn serve<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            self.site.balancer.put_back(context, &self.container).await?;
            self.write_balancer_files(context).await
        })
    }

    /// Starts the unit once more, with what its checkout has by now.
    pub fn restart<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            self.site.balancer.take_out(context, &self.container).await?;
            self.systemctl(
                context,
                "systemctl reset-failed $unit 2>/dev/null || true\nsystemctl restart $unit",
            )
            .await
        })
    }

    /// Waits until it works, and lets it serve.
    pub fn serving<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            self.wait_healthy(context).await?;
            self.site.balancer.put_back(context, &self.container).await
        })
    }

    /// Removes the record: nothing is left to undo.
    pub fn forget<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let swap = self.swap().await;
            let files = SwappedFiles::load(context, &swap.container).await?;
            files.forget(context, &swap.unit).await?;
            swaps::forget(&self.paths, &swap)
        })
    }

    async fn is_running(&self, context: &StepContext) -> Result<bool> {
        let state = context.host.containers.state(&self.container.name).await?;
        Ok(matches!(state, ContainerState::Running { .. }))
    }
}
