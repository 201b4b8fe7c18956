//! What both ways know, and how a deed is done.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::commands::dev::data::{Fate, RestorePoint};
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::model::file::ContainerFile;
use crate::model::paths::Paths;
use crate::model::swap::Swap;
use crate::model::topology::Container;
use crate::state::swaps;
use crate::steps::site::Site;

/// What both ways know.
pub struct Work {
    /// What people call the unit: by its container too, where several of its name are swapped together.
    pub label: String,
    pub service: String,
    /// With its suffix.
    pub unit: String,
    pub paths: Paths,
    pub site: Arc<Site>,
    /// The container whose unit it is.
    pub container: Container,
    /// The swap as it is by now.
    pub swap: Mutex<Swap>,
    /// The load balancer's files that change.
    pub balancer_files: Vec<BalancerFile>,
    /// The unit's own files in the container: what a user edits in them meanwhile is left alone.
    pub files: Vec<String>,
    /// Whether the unit has something to be undone that a restart of it is part of.
    pub restarts: bool,
    /// The databases of the service as they were.
    pub point: RestorePoint,
    /// Whether the way back ends with a healthy package.
    pub seen_well: bool,
    /// What becomes of the databases when the swap is undone.
    pub fate: Fate,
    /// Cancelled when one of those that are swapped together does not serve: nobody waits for the others.
    pub hopeless: CancellationToken,
}

/// A file of the load balancer that changes with who stands by.
pub struct BalancerFile {
    /// The container's full name.
    pub container: String,
    /// As it should be now.
    pub before: ContainerFile,
    /// As it should be afterwards.
    pub after: ContainerFile,
}

/// What a deed returns.
pub type DeedFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Something that is done once in a run.
pub struct Deed<T> {
    pub subject: Arc<T>,
    pub act: for<'a> fn(&'a T, &'a StepContext) -> DeedFuture<'a>,
}

#[async_trait]
impl<T: Send + Sync> Action for Deed<T> {
    async fn observe(&self, _context: &StepContext) -> Result<Observation> {
        Ok(Observation::Wrong("it was asked for".to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        (self.act)(&self.subject, context).await
    }

    async fn verify(&self, _context: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

impl Work {
    /// The swap as it is by now.
    pub async fn swap(&self) -> Swap {
        self.swap.lock().await.clone()
    }

    /// Changes the swap and its record.
    pub(super) async fn update(&self, change: impl FnOnce(&mut Swap) + Send) -> Result<()> {
        let mut swap = self.swap.lock().await;
        change(&mut swap);
        swaps::save(&self.paths, &swap)
    }

    /// Members that stand by or would.
    pub(super) fn siblings<'a>(
        &'a self,
        names: &'a [String],
    ) -> impl Iterator<Item = &'a Container> + 'a {
        self.site.cloud.containers.iter().filter(|it| names.contains(&it.name))
    }

    /// Writes what the load balancer was told at run time, so that a later reload keeps it. A file
    /// that is to change for another reason too is left to `bootstrap`, which also reloads.
    pub(super) async fn write_balancer_files(&self, context: &StepContext) -> Result<()> {
        let containers = &context.host.containers;
        for BalancerFile { container, before, after } in &self.balancer_files {
            if containers.read_file(container, &before.path).await?.as_ref() == Some(before) {
                containers.write_files(container, std::slice::from_ref(after)).await?;
            }
        }
        Ok(())
    }

    /// Where byte code of a checkout is kept: the container writes it, and none reads another's.
    pub fn byte_code(paths: &Paths, checkout: &Path, container: &str, reader: &str) -> PathBuf {
        let text = format!("{}\n{}\n{container}\n{reader}", checkout.display(), paths.cloud);
        let name = crate::model::hash::sha256_hex(&text);
        paths.dev_cache_dir().join("bytecode").join(&name[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_code_is_read_by_whom_it_was_written() {
        let of = |cloud: &str, container: &str| {
            let paths =
                Paths { config_dir: "/c".into(), state_dir: "/s".into(), cloud: cloud.to_owned() };
            Work::byte_code(&paths, Path::new("/home/me/heat"), container, "heat")
        };
        let own = of("aio1", "aio1_heat_engine_container-36e270c9");
        assert_eq!(own, of("aio1", "aio1_heat_engine_container-36e270c9"));
        assert_ne!(own, of("aio1", "aio1_heat_engine_container-7c0ffee7"));
        assert_ne!(own, of("two", "aio1_heat_engine_container-36e270c9"));
    }
}
