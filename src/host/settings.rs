//! Kernel limits and subordinate ids of one cloud.
//!
//! Kernel limits are shared with other clouds and counted ([`SharedSettings`]). Subordinate ids are
//! the cloud's own: 65536 for each container, that no other line of `/etc/subuid` or `/etc/subgid`
//! and no account of this host has. They are recorded before the files are changed, so that
//! `release` knows its lines whatever kills `aio` between the two. Ranges are added and never taken
//! away: containers keep theirs, the one range of a cloud that an earlier `aio` made among them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::shared::SharedSettings;
use super::subids::{self, IdRange, IdRanges, LockedFile};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{Records, Settings};
use crate::state::files;

/// The record of the cloud's ranges.
const RECORD: &str = "host/id_range";

/// The real settings of this host, for one cloud.
pub struct RealSettings {
    cloud: String,
    shared: SharedSettings,
    records: Arc<dyn Records>,
    etc: PathBuf,
    /// Ids that nobody can be given here.
    lacking: Vec<IdRange>,
}

/// What is recorded about the ranges.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Recorded {
    #[serde(default)]
    ranges: IdRanges,
    /// The only one, in records of clouds whose containers all had the same.
    #[serde(default, skip_serializing)]
    range: Option<IdRange>,
    /// Which of the files did not exist before.
    created: Vec<String>,
}

impl RealSettings {
    /// Settings of this host, counted in `run_dir` ([`crate::model::paths::RUN_DIR`]).
    pub fn new(cloud: &str, run_dir: &Path, records: Arc<dyn Records>) -> Self {
        let settings =
            Self::with_etc(cloud, SharedSettings::new(run_dir), records, Path::new("/etc"));
        Self { lacking: subids::lacking(), ..settings }
    }

    /// The same with another kernel and another `/etc`, for tests.
    pub fn with_etc(
        cloud: &str,
        shared: SharedSettings,
        records: Arc<dyn Records>,
        etc: &Path,
    ) -> Self {
        let (cloud, etc) = (cloud.to_owned(), etc.to_owned());
        Self { cloud, shared, records, etc, lacking: Vec::new() }
    }

    fn owner(&self) -> String {
        format!("{}/settings", self.cloud)
    }

    fn files(&self) -> [PathBuf; 2] {
        ["subuid", "subgid"].map(|name| self.etc.join(name))
    }

    async fn recorded(&self) -> Result<Option<Recorded>> {
        let Some(text) = self.records.get(RECORD).await? else { return Ok(None) };
        let doing = || format!("read the id ranges of cloud `{}`", self.cloud);
        let mut recorded: Recorded = serde_json::from_str(&text).doing(doing)?;
        if recorded.ranges.0.is_empty() {
            recorded.ranges.0.extend(recorded.range);
        }
        Ok(Some(recorded))
    }

    /// The cloud's ranges, if it has any already: for those who only look.
    pub async fn known_ranges(&self) -> Result<IdRanges> {
        Ok(self.recorded().await?.unwrap_or_default().ranges)
    }

    /// The ranges that are recorded, with others in place of those of which somebody else has a part,
    /// and as many more as it takes. The files are locked and hold no line of this cloud.
    fn choose(
        &self,
        files: &[LockedFile],
        recorded: &IdRanges,
        containers: u32,
    ) -> Result<IdRanges> {
        let mut taken = subids::accounts(&self.etc);
        taken.extend(&self.lacking);
        taken
            .extend(files.iter().flat_map(|file| file.text.lines().filter_map(subids::parse_line)));
        let is_free = |range: &IdRange| !taken.iter().any(|other| other.overlaps(*range));
        let kept: Vec<IdRange> = recorded.0.iter().copied().filter(is_free).collect();
        let mut ranges = IdRanges::default();
        for range in &recorded.0 {
            if kept.contains(range) {
                ranges.0.push(*range);
                continue;
            }
            // The slots behind it stay what they are.
            let lost = IdRanges(vec![*range]).slots();
            let beside = [&taken[..], &kept, &ranges.0].concat();
            ranges.0.extend(subids::free(&beside, lost).0);
        }
        if ranges.slots() < containers {
            let more = subids::slots_for(containers) - ranges.slots();
            ranges.0.extend(subids::free(&[&taken[..], &ranges.0].concat(), more).0);
        }
        if ranges.slots() >= containers {
            return Ok(ranges);
        }
        let found = ranges.slots();
        Err(Error::new(ErrorKind::Host, "find subordinate ids for every container")
            .because(format!(
                "each of {containers} containers needs 65536 of its own, and /etc/subuid, \
                 /etc/subgid, the accounts and this user namespace leave enough for {found}"
            ))
            .hint("Remove lines of users that are gone from both files, or take fewer members."))
    }

    /// Before the files change.
    async fn record(&self, recorded: &Recorded) -> Result<()> {
        let text = serde_json::to_string(recorded).doing(|| "record the id ranges".to_owned())?;
        self.records.set(RECORD, &text).await
    }

    /// Removes the cloud's lines, and the files that were made for them and are empty again.
    async fn release_ids(&self) -> Result<()> {
        let Some(recorded) = self.recorded().await? else { return Ok(()) };
        for path in self.files() {
            let file = LockedFile::open(&path)?;
            let kept = subids::without(&file.text, &recorded.ranges);
            let made = recorded.created.contains(&path.display().to_string());
            if made && kept.is_empty() {
                files::remove(&path)?;
            } else if kept == file.text {
                files::remove_unfinished(&path)?;
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

    async fn id_ranges(&self, containers: u32) -> Result<IdRanges> {
        // The usual case reads and locks nothing else.
        let recorded = self.recorded().await?.unwrap_or_default();
        let ranges = &recorded.ranges;
        if ranges.slots() >= containers
            && self.files().iter().all(|path| subids::holds_alone(path, ranges))
        {
            return Ok(ranges.clone());
        }
        let mut files = Vec::new();
        for path in self.files() {
            let mut file = LockedFile::open(&path)?;
            file.text = subids::without(&file.text, ranges);
            files.push(file);
        }
        let ranges = self.choose(&files, ranges, containers)?;
        if ranges != recorded.ranges {
            let made = files.iter().filter(|file| !file.existed);
            let made = made.map(|file| file.path.display().to_string());
            let created = recorded.created.into_iter().chain(made).collect();
            self.record(&Recorded { ranges: ranges.clone(), range: None, created }).await?;
        }
        for file in files {
            let gap = if file.text.is_empty() || file.text.ends_with('\n') { "" } else { "\n" };
            let lines: String = ranges.0.iter().map(|range| subids::line(*range) + "\n").collect();
            let text = format!("{}{gap}{lines}", file.text);
            file.replace(&text)?;
        }
        Ok(ranges)
    }
}

#[cfg(test)]
mod tests;
