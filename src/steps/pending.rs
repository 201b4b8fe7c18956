//! What must still be restarted or applied in a container because its files changed.
//!
//! Kept as a record from before the first file is written until the last unit is restarted, so that
//! a run killed in between cannot leave a daemon with its old configuration.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::records;
use crate::engine::step::StepContext;
use crate::error::Result;
use crate::model::file::ContainerFile;

/// A rendered file and what its change means.
#[derive(Clone, Debug)]
pub struct DesiredFile {
    /// Path, owner, mode and content.
    pub file: ContainerFile,
    /// Units to restart when it changes.
    pub restarts: Vec<String>,
    /// What to run instead of a restart.
    pub apply: Option<String>,
    /// Whether its content follows that of the image's file.
    pub extends_image: bool,
}

impl DesiredFile {
    /// Returns it with what the container's image has of it.
    pub(super) async fn whole(
        &self,
        context: &StepContext,
        container: &str,
    ) -> Result<Cow<'_, Self>> {
        if !self.extends_image {
            return Ok(Cow::Borrowed(self));
        }
        let mut whole = self.clone();
        let mut content = context.host.containers.image_file(container, &self.file.path).await?;
        content.append(&mut whole.file.content);
        whole.file.content = content;
        Ok(Cow::Owned(whole))
    }
}

/// The record of one container.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Pending {
    pub restarts: Vec<String>,
    pub scripts: Vec<String>,
}

impl Pending {
    fn key(container: &str) -> String {
        format!("pending/{container}")
    }

    /// Reads it; empty when there is none.
    pub async fn load(context: &StepContext, container: &str) -> Result<Self> {
        let known = records::load(&*context.host.records, &Self::key(container)).await?;
        Ok(known.unwrap_or_default())
    }

    /// Writes it; an empty one is removed.
    pub async fn save(&self, context: &StepContext, container: &str) -> Result<()> {
        let key = Self::key(container);
        if self.is_empty() {
            return context.host.records.remove(&key).await;
        }
        records::save(&*context.host.records, &key, self).await
    }

    pub fn is_empty(&self) -> bool {
        self.restarts.is_empty() && self.scripts.is_empty()
    }

    /// Adds what a changed file asks for. `active` tells, for each of its units, whether it runs: a
    /// unit that does not run reads the new file when it starts.
    pub fn add(&mut self, changed: &DesiredFile, active: &[bool]) {
        if !active.contains(&true) {
            return;
        }
        if let Some(script) = &changed.apply {
            if !self.scripts.contains(script) {
                self.scripts.push(script.clone());
            }
            return;
        }
        self.add_restarts(&changed.restarts, active);
    }

    /// Adds those units that run.
    pub fn add_restarts(&mut self, units: &[String], active: &[bool]) {
        for (unit, is_active) in units.iter().zip(active) {
            if *is_active && !self.restarts.contains(unit) {
                self.restarts.push(unit.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::file::ContainerFile;

    fn changed(apply: Option<&str>) -> DesiredFile {
        DesiredFile {
            file: ContainerFile {
                path: "/etc/a".to_owned(),
                owner: "root:root".to_owned(),
                mode: 0o644,
                content: Vec::new(),
            },
            restarts: vec!["a.service".to_owned(), "b.service".to_owned()],
            apply: apply.map(str::to_owned),
            extends_image: false,
        }
    }

    #[test]
    fn only_running_units_are_restarted_and_each_once() {
        let mut pending = Pending::default();
        pending.add(&changed(None), &[true, false]);
        pending.add(&changed(None), &[true, false]);
        assert_eq!(pending.restarts, ["a.service"]);
    }

    #[test]
    fn a_script_replaces_the_restart_and_needs_a_running_unit() {
        let mut pending = Pending::default();
        pending.add(&changed(Some("reload")), &[false, false]);
        assert!(pending.is_empty());
        pending.add(&changed(Some("reload")), &[true, true]);
        assert_eq!(pending, Pending { restarts: vec![], scripts: vec!["reload".to_owned()] });
    }
}
