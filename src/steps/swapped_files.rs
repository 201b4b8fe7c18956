//! The configuration files of swapped units: what a developer edits in them by hand meanwhile is
//! reported and left alone. They are known by their hashes as the swap, or a later run, left them.

use std::collections::BTreeMap;

use super::records;
use crate::engine::step::StepContext;
use crate::error::Result;
use crate::model::file::ContainerFile;
use crate::model::hash::sha256_hex;

/// Files of one container's swapped units: path to SHA-256, by unit. An empty hash is that of a file
/// in a root that was made anew: whatever it holds is not the user's.
#[derive(Clone, Debug, Default)]
pub struct SwappedFiles {
    container: String,
    units: BTreeMap<String, BTreeMap<String, String>>,
}

fn key(container: &str) -> String {
    format!("swapped-files/{container}")
}

fn hash(file: &ContainerFile) -> String {
    sha256_hex(&file.content)
}

impl SwappedFiles {
    /// Loads those of a container; there are none when nothing of it is swapped.
    pub async fn load(context: &StepContext, container: &str) -> Result<Self> {
        let units = records::load(&*context.host.records, &key(container)).await?;
        Ok(Self { container: container.to_owned(), units: units.unwrap_or_default() })
    }

    async fn save(&self, context: &StepContext) -> Result<()> {
        let key = key(&self.container);
        if self.units.is_empty() {
            return context.host.records.remove(&key).await;
        }
        records::save(&*context.host.records, &key, &self.units).await
    }

    /// Remembers a unit's files as they are now.
    pub async fn remember(
        mut self,
        context: &StepContext,
        unit: &str,
        paths: &[String],
    ) -> Result<()> {
        let mut hashes = BTreeMap::new();
        for path in paths {
            let found = context.host.containers.read_file(&self.container, path).await?;
            hashes.extend(found.map(|file| (path.clone(), hash(&file))));
        }
        self.units.insert(unit.to_owned(), hashes);
        self.save(context).await
    }

    /// Forgets a unit's files: they are put right again.
    pub async fn forget(mut self, context: &StepContext, unit: &str) -> Result<()> {
        self.units.remove(unit);
        self.save(context).await
    }

    /// Whether somebody changed a file since it was remembered.
    pub fn is_edited(&self, found: &ContainerFile) -> bool {
        let hashes = self.units.values().filter_map(|files| files.get(&found.path));
        let mut known = hashes.peekable();
        known.peek().is_some() && known.all(|known| !known.is_empty() && *known != hash(found))
    }

    /// The container's root was made anew.
    pub async fn renewed(mut self, context: &StepContext) -> Result<()> {
        if self.units.is_empty() {
            return Ok(());
        }
        self.units.values_mut().flat_map(BTreeMap::values_mut).for_each(String::clear);
        self.save(context).await
    }

    /// Files were written that a swapped unit uses.
    pub async fn written(mut self, context: &StepContext, files: &[ContainerFile]) -> Result<()> {
        let mut changed = false;
        for file in files {
            for known in self.units.values_mut().filter_map(|unit| unit.get_mut(&file.path)) {
                *known = hash(file);
                changed = true;
            }
        }
        if changed { self.save(context).await } else { Ok(()) }
    }
}
