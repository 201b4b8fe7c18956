//! Kernel limits and subordinate ids of one cloud.
//!
//! Kernel limits are shared with other clouds and counted ([`SharedSettings`]). The range of
//! subordinate ids is the cloud's own: 65536 ids that no line of `/etc/subuid` or `/etc/subgid` and
//! no account of this host has. It is recorded before the files are changed, so that `release`
//! knows its lines whatever kills `aio` between the two.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::shared::SharedSettings;
use super::subids::{self, IdRange, LockedFile};
use super::{Records, Settings};
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// The record of the cloud's range.
const RECORD: &str = "host/id_range";

/// The real settings of this host, for one cloud.
pub struct RealSettings {
    cloud: String,
    shared: SharedSettings,
    records: Arc<dyn Records>,
    etc: PathBuf,
}

/// What is recorded about the range.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Recorded {
    range: IdRange,
    /// Which of the files did not exist before.
    created: Vec<String>,
}

impl RealSettings {
    /// Settings of this host, counted in `run_dir` ([`crate::state::paths::RUN_DIR`]).
    pub fn new(cloud: &str, run_dir: &Path, records: Arc<dyn Records>) -> Self {
        Self::with_etc(cloud, SharedSettings::new(run_dir), records, Path::new("/etc"))
    }

    /// The same with another kernel and another `/etc`, for tests.
    pub fn with_etc(
        cloud: &str,
        shared: SharedSettings,
        records: Arc<dyn Records>,
        etc: &Path,
    ) -> Self {
        Self { cloud: cloud.to_owned(), shared, records, etc: etc.to_owned() }
    }

    fn owner(&self) -> String {
        format!("{}/settings", self.cloud)
    }

    fn files(&self) -> [PathBuf; 2] {
        ["subuid", "subgid"].map(|name| self.etc.join(name))
    }

    async fn recorded(&self) -> Result<Option<Recorded>> {
        let Some(text) = self.records.get(RECORD).await? else { return Ok(None) };
        let doing = || format!("read the id range of cloud `{}`", self.cloud);
        serde_json::from_str(&text).doing(doing).map(Some)
    }

    /// The cloud's range, if it has one already: for those who only look.
    pub async fn known_range(&self) -> Result<Option<(u32, u32)>> {
        let recorded = self.recorded().await?;
        Ok(recorded.map(|recorded| (recorded.range.first, recorded.range.count)))
    }

    /// The range that was recorded, if others have none of it, or the next free one. The files are
    /// locked and hold no line of this cloud.
    async fn choose(&self, files: &[LockedFile], recorded: Option<IdRange>) -> Result<IdRange> {
        let mut taken = subids::accounts(&self.etc);
        taken
            .extend(files.iter().flat_map(|file| file.text.lines().filter_map(subids::parse_line)));
        if let Some(range) = recorded
            && !taken.iter().any(|other| other.overlaps(range))
        {
            return Ok(range);
        }
        let range = subids::next_free(&taken).ok_or_else(|| {
            Error::new(ErrorKind::Host, "find a range of subordinate ids")
                .because("/etc/subuid and /etc/subgid leave no 65536 ids in a row")
                .hint("Remove lines of users that are gone.")
        })?;
        let created = files
            .iter()
            .filter(|file| !file.existed)
            .map(|file| file.path.display().to_string())
            .collect();
        let text = serde_json::to_string(&Recorded { range, created })
            .doing(|| "record the id range".to_owned())?;
        self.records.set(RECORD, &text).await?;
        Ok(range)
    }

    /// Removes the cloud's lines, and the files that were made for them and are empty again.
    async fn release_ids(&self) -> Result<()> {
        let Some(recorded) = self.recorded().await? else { return Ok(()) };
        for path in self.files() {
            let file = LockedFile::open(&path)?;
            let kept = subids::without(&file.text, recorded.range);
            if kept == file.text {
                continue;
            }
            let made = recorded.created.contains(&path.display().to_string());
            if made && kept.is_empty() {
                fs::remove_file(&path).doing(|| format!("remove `{}`", path.display()))?;
            } else {
                file.replace(&kept)?;
            }
        }
        self.records.remove(RECORD).await
    }
}

#[async_trait]
impl Settings for RealSettings {
    async fn differs(&self, sysctls: &BTreeMap<String, u64>) -> Result<Option<String>> {
        self.shared.differs(&self.owner(), sysctls)
    }

    async fn apply(&self, sysctls: &BTreeMap<String, u64>) -> Result<()> {
        self.shared.apply(&self.owner(), sysctls)
    }

    async fn release(&self) -> Result<()> {
        self.shared.release(&self.owner())?;
        self.release_ids().await
    }

    async fn id_range(&self) -> Result<(u32, u32)> {
        // The usual case reads and locks nothing else.
        let recorded = self.recorded().await?.map(|recorded| recorded.range);
        if let Some(range) = recorded
            && self.files().iter().all(|path| subids::holds_alone(path, range))
        {
            return Ok((range.first, range.count));
        }
        let mut files = Vec::new();
        for path in self.files() {
            let mut file = LockedFile::open(&path)?;
            if let Some(range) = recorded {
                file.text = subids::without(&file.text, range);
            }
            files.push(file);
        }
        let range = self.choose(&files, recorded).await?;
        for file in files {
            let gap = if file.text.is_empty() || file.text.ends_with('\n') { "" } else { "\n" };
            let text = format!("{}{gap}{}\n", file.text, subids::line(range));
            file.replace(&text)?;
        }
        Ok((range.first, range.count))
    }
}

#[cfg(test)]
mod tests;
