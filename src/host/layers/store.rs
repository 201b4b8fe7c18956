//! Where layers stand: what is published, and what stands on what.

use std::fs;
use std::path::PathBuf;

use super::preparations::Preparations;
use super::startable;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::layer::LayerInfo;
use crate::model::paths::Paths;
use crate::model::startup::Startup;
use crate::state::files;

/// The layers of a state directory, and what all builds of this process share.
pub(super) struct Store {
    pub(super) paths: Paths,
    pub(super) preparations: Preparations,
}

impl Store {
    pub(super) fn layer_dir(&self, id: &str) -> PathBuf {
        self.paths.layers_dir().join(id)
    }

    pub(super) fn is_published(&self, id: &str) -> bool {
        self.layer_dir(id).join("manifest.json").is_file()
    }

    /// dpkg's record of what is installed in a published layer and below it.
    pub(super) fn status_file(&self, id: &str) -> PathBuf {
        self.layer_dir(id).join("root/var/lib/dpkg/status")
    }

    pub(super) fn make_directories(&self) -> Result<()> {
        files::prepare(&self.paths)?;
        files::private_directory(&self.paths.layers_dir())?;
        files::private_directory(&self.paths.downloads_dir())
    }

    pub(super) fn manifest(&self, id: &str) -> Result<LayerInfo> {
        let path = self.layer_dir(id).join("manifest.json");
        let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).doing(|| format!("read {}", path.display()))
    }

    /// Ids of `id` and all below it, topmost first.
    pub(super) fn chain(&self, id: &str) -> Result<Vec<String>> {
        let mut chain = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next {
            next = self.manifest(&id)?.parent;
            chain.push(id);
        }
        Ok(chain)
    }

    /// Why units could not start in containers of a layer.
    pub(super) fn problems(&self, id: &str, startup: &Startup) -> Result<Vec<String>> {
        let chain = self.chain(id)?;
        let roots: Vec<PathBuf> =
            chain.iter().map(|layer| self.layer_dir(layer).join("root")).collect();
        startable::problems(&roots, startup).doing(|| format!("look through layer {id}"))
    }

    pub(super) fn list(&self) -> Result<Vec<LayerInfo>> {
        let layers = self.paths.layers_dir();
        let mut infos = Vec::new();
        for path in files::entries(&layers)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with('.') && path.is_dir() {
                infos.push(self.manifest(&name)?);
            }
        }
        Ok(infos)
    }

    pub(super) fn remove(&self, id: &str) -> Result<()> {
        let layers = self.paths.layers_dir();
        super::workspace::sweep(&layers);
        if let Some(child) = self.list()?.iter().find(|info| info.parent.as_deref() == Some(id)) {
            return Err(Error::new(ErrorKind::Refused, format!("remove layer {id}"))
                .because(format!("layer {} stands on it", child.id)));
        }
        super::workspace::unpublish(&layers, id)
    }
}
