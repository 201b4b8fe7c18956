//! How long steps took when they acted: a moving average over runs, by class of key. It decides
//! what is urgent and what is left, nothing else: without it the estimates of the steps serve.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::step::Step;
use crate::engine::key::StepKey;
use crate::error::{Result, ResultExt};
use crate::state::files;

/// Milliseconds by class.
#[derive(Clone, Debug, Default)]
pub struct Durations(BTreeMap<String, u64>);

impl Durations {
    /// What earlier runs measured; nothing when there is no such file or it cannot be read.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Self(serde_json::from_str(&text).unwrap_or_default())
    }

    pub fn save(&self, path: &Path) -> Result<()> {
        let doing = || format!("write {}", path.display());
        let text = serde_json::to_vec_pretty(&self.0).doing(doing)?;
        files::write_atomic(path, 0o600, &text)
    }

    /// What the step will take if it acts, in milliseconds.
    pub fn estimate(&self, step: &Step) -> u64 {
        self.0.get(&class(&step.key)).copied().unwrap_or(step.estimate_ms)
    }

    pub fn record(&mut self, key: &StepKey, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.0
            .entry(class(key))
            .and_modify(|average| *average = average.saturating_add(took) / 2)
            .or_insert(took);
    }
}

/// The key without the numbers of members: they take the same time.
fn class(key: &StepKey) -> String {
    let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let key = key.to_string();
    let parts: Vec<&str> =
        key.split('/').map(|part| if is_number(part) { "*" } else { part }).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_share_an_average_that_survives_on_disk() {
        let mut durations = Durations::default();
        durations.record(&StepKey::new("container/galera/1/start"), Duration::from_millis(100));
        durations.record(&StepKey::new("container/galera/2/start"), Duration::from_millis(200));
        durations.record(&StepKey::new("layer/base"), Duration::from_secs(9));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("durations.json");
        durations.save(&path).unwrap();
        let loaded = Durations::load(&path).0;
        let expected = [("container/galera/*/start", 150), ("layer/base", 9000)];
        assert_eq!(loaded, expected.map(|(key, ms)| (key.to_owned(), ms)).into());
    }

    #[test]
    fn a_damaged_file_is_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("durations.json");
        std::fs::write(&path, "{\"half").unwrap();
        assert!(Durations::load(&path).0.is_empty());
        assert!(Durations::load(&directory.path().join("none")).0.is_empty());
    }
}
