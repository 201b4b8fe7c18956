//! What is kept beside image layers: `layers/ID/kept/NAME`, gone when the layer is removed.

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::host::Keepsakes;
use crate::model::paths::Paths;
use crate::state::files;

/// Files beside the layers of a state directory.
pub struct RealKeepsakes {
    paths: Paths,
}

impl RealKeepsakes {
    /// Those of the state directory of `paths`.
    pub fn new(paths: Paths) -> Self {
        Self { paths }
    }
}

#[async_trait]
impl Keepsakes for RealKeepsakes {
    async fn get(&self, layer: &str, name: &str) -> Result<Option<Vec<u8>>> {
        files::read(&self.paths.keepsakes_dir(layer).join(name))
    }

    async fn put(&self, layer: &str, name: &str, content: &[u8]) -> Result<()> {
        let directory = self.paths.keepsakes_dir(layer);
        if !directory.parent().is_some_and(std::path::Path::is_dir) {
            return Err(Error::failed(format!("keep `{name}`"))
                .because(format!("layer {layer} is not there")));
        }
        files::private_directory(&directory)?;
        files::write_atomic(&directory.join(name), 0o600, content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_goes_with_its_layer() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths {
            config_dir: directory.path().join("etc"),
            state_dir: directory.path().join("state"),
            cloud: "aio1".to_owned(),
        };
        let kept = RealKeepsakes::new(paths.clone());
        assert!(kept.put("heat-1", "x.sql", b"text").await.is_err(), "there is no such layer");
        let layer = paths.layers_dir().join("heat-1");
        std::fs::create_dir_all(&layer).unwrap();
        assert_eq!(kept.get("heat-1", "x.sql").await.unwrap(), None);
        kept.put("heat-1", "x.sql", b"text").await.unwrap();
        assert_eq!(kept.get("heat-1", "x.sql").await.unwrap().as_deref(), Some(&b"text"[..]));
        std::fs::remove_dir_all(&layer).unwrap();
        assert_eq!(kept.get("heat-1", "x.sql").await.unwrap(), None);
    }
}
