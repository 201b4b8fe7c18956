//! From the checkout back to the package, and from a checkout to what it has become.

use super::work::{DeedFuture, Work};
use crate::commands::dev::data::Fate;
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

    /// Brings back the databases of before, where the release's own code needs them.
    pub fn databases<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            if self.fate == Fate::Stay {
                return Ok(());
            }
            let Some(changes) = self.point.changes(context, &self.site).await? else {
                return Ok(());
            };
            if self.fate == Fate::AsNeeded && changes.are_harmless() {
                return Ok(());
            }
            let service = &self.swap().await.service;
            context.warn(changes.going_back(service));
            self.point.put_back(context, &self.site).await
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
            // It may be stopped by an undoing that was cut off.
            if self.is_running(context).await? {
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
            // Siblings that go back next leave all to it.
            let has_siblings = self.site.cloud.members(&self.container.kind).nth(1).is_some();
            if self.seen_well && has_siblings && self.is_running(context).await? {
                self.site.balancer.wait_up(context, &self.container).await?;
            }
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
            swaps::forget(&self.paths, &swap)?;
            // Where nobody saw whether the package runs, they may still be asked for.
            if self.seen_well && swaps::of_service(&self.paths, &swap.service)?.is_empty() {
                self.point.remove()?;
            }
            Ok(())
        })
    }

    async fn is_running(&self, context: &StepContext) -> Result<bool> {
        let state = context.host.containers.state(&self.container.name).await?;
        Ok(matches!(state, ContainerState::Running { .. }))
    }
}
