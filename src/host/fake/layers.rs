//! Layers in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::host::{BuildProgress, Layers};
use crate::model::layer::{LayerInfo, LayerSpec};

/// Layers that end with the test. A build takes no time; it fails as often as it was told to.
#[derive(Debug, Default)]
pub struct FakeLayers {
    published: Mutex<BTreeMap<String, LayerInfo>>,
    failures: Mutex<BTreeMap<String, (u32, Error)>>,
    /// Ids whose packages were found.
    pub prepared: Mutex<BTreeSet<String>>,
    /// Ids whose packages were downloaded.
    pub downloaded: Mutex<BTreeSet<String>>,
    /// Names of layers whose build was begun, in order.
    pub begun: Mutex<Vec<String>>,
}

impl FakeLayers {
    /// The next `times` builds of the layer called `name` fail with `error`.
    pub fn fail(&self, name: &str, times: u32, error: Error) {
        self.failures.lock().unwrap().insert(name.to_owned(), (times, error));
    }

    /// Publishes a layer as if it had been built.
    pub fn publish(&self, id: &str, spec: &LayerSpec) {
        let info = LayerInfo {
            id: id.to_owned(),
            name: spec.name.clone(),
            parent: spec.parent.clone(),
            created: 1,
            size_bytes: 1 << 20,
            packages: spec.packages.iter().map(|name| (name.clone(), "1".to_owned())).collect(),
        };
        self.published.lock().unwrap().insert(id.to_owned(), info);
    }

    fn next_failure(&self, name: &str) -> Option<Error> {
        let mut failures = self.failures.lock().unwrap();
        let (times, error) = failures.get_mut(name)?;
        *times = times.checked_sub(1)?;
        Some(error.clone())
    }
}

#[async_trait]
impl Layers for FakeLayers {
    async fn exists(&self, id: &str) -> Result<bool> {
        Ok(self.published.lock().unwrap().contains_key(id))
    }

    async fn prepare(
        &self,
        layers: &[(String, LayerSpec)],
        _: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        self.prepared.lock().unwrap().extend(layers.iter().map(|(id, _)| id.clone()));
        Ok(())
    }

    async fn download(
        &self,
        layers: &[(String, LayerSpec)],
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        progress.progress(1, 1, "bytes");
        self.downloaded.lock().unwrap().extend(layers.iter().map(|(id, _)| id.clone()));
        Ok(())
    }

    async fn build(
        &self,
        spec: &LayerSpec,
        id: &str,
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()> {
        self.begun.lock().unwrap().push(spec.name.clone());
        let what = format!("build layer {id}");
        if let Some(parent) = &spec.parent
            && !self.exists(parent).await?
        {
            return Err(Error::failed(what).because(format!("layer {parent} is not built")));
        }
        if progress.cancelled() {
            return Err(Error::new(ErrorKind::Interrupted, what));
        }
        let total = spec.packages.len() as u64;
        progress.progress(total, total, "packages");
        match self.next_failure(&spec.name) {
            Some(error) => Err(error),
            None => {
                self.publish(id, spec);
                Ok(())
            }
        }
    }

    async fn list(&self) -> Result<Vec<LayerInfo>> {
        Ok(self.published.lock().unwrap().values().cloned().collect())
    }

    async fn remove(&self, id: &str) -> Result<()> {
        let mut published = self.published.lock().unwrap();
        let what = format!("remove layer {id}");
        if let Some(child) = published.values().find(|info| info.parent.as_deref() == Some(id)) {
            return Err(Error::new(ErrorKind::Refused, what)
                .because(format!("layer {} stands on it", child.id)));
        }
        match published.remove(id) {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorKind::NotFound, what)),
        }
    }
}
