//! The layers of one state directory, behind the trait.

use std::sync::Arc;

use async_trait::async_trait;

use super::pool::Pool;
use super::preparations::Preparations;
use super::store::Store;
use crate::error::Result;
use crate::host::{BuildProgress, Layers};
use crate::model::layer::{LayerInfo, LayerSpec};
use crate::model::paths::Paths;
use crate::model::startup::Startup;

/// Layers below the state directory.
#[derive(Clone)]
pub struct RealLayers {
    store: Arc<Store>,
}

impl RealLayers {
    /// Layers in the state directory of `paths`.
    pub fn new(paths: Paths) -> Self {
        Self { store: Arc::new(Store { paths, preparations: Preparations::default() }) }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        crate::host::blocking("work on image layers", move || work(&store)).await
    }
}

#[async_trait]
impl Layers for RealLayers {
    async fn exists(&self, id: &str) -> Result<bool> {
        Ok(self.store.is_published(id))
    }

    async fn prepare(
        &self,
        layers: &[(String, LayerSpec)],
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        let layers = layers.to_vec();
        self.blocking(move |store| store.prepare(&layers, progress.as_ref())).await
    }

    async fn download(
        &self,
        layers: &[(String, LayerSpec)],
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        let layers = layers.to_vec();
        self.blocking(move |store| store.download(&layers, &progress)).await
    }

    async fn build(
        &self,
        spec: &LayerSpec,
        id: &str,
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        let (spec, id) = (spec.clone(), id.to_owned());
        self.blocking(move |store| store.build(&spec, &id, progress.as_ref())).await
    }

    async fn problems(&self, id: &str, startup: &Startup) -> Result<Vec<String>> {
        let (id, startup) = (id.to_owned(), startup.clone());
        self.blocking(move |store| store.problems(&id, &startup)).await
    }

    async fn list(&self) -> Result<Vec<LayerInfo>> {
        self.store.list()
    }

    async fn remove(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.blocking(move |store| store.remove(&id)).await
    }
}

/// Bytes of downloaded packages, and of what Python distributions are installed with.
pub fn downloads_size(paths: &Paths) -> u64 {
    let python = super::finish::disk_usage(&paths.python_dir());
    Pool::open(&paths.packages_dir()).map_or(0, |pool| pool.size()) + python
}

/// Removes all that was downloaded.
///
/// # Errors
/// When something cannot be removed.
pub fn remove_downloads(paths: &Paths) -> Result<()> {
    Pool::open(&paths.packages_dir())?.clear()?;
    super::python::remove(&paths.python_dir())
}
