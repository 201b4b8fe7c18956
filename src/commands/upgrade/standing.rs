//! How far an upgrade is, for people and programs.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::error::Result;
use crate::model::paths::Paths;
use crate::state::upgrade::{self, Progress, Upgrade};

/// An upgrade that was begun and is not accepted yet: what `aio status` says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The release that the cloud had.
    pub from: String,
    /// The release that it goes to.
    pub to: String,
    /// `going`, `done` (and not accepted), `returning`.
    pub progress: Progress,
    /// Kinds that were left of the former release.
    pub left: BTreeSet<String>,
}

impl From<&Upgrade> for Standing {
    fn from(record: &Upgrade) -> Self {
        let Upgrade { from, to, progress, leave, .. } = record.clone();
        Self { from, to, progress, left: leave }
    }
}

impl Standing {
    /// That of a cloud's upgrade; `None` where there is none, or it was accepted.
    ///
    /// # Errors
    /// When its record cannot be read.
    pub fn find(paths: &Paths) -> Result<Option<Self>> {
        Ok(upgrade::find(paths)?.as_ref().map(Self::from))
    }

    /// What can be done with it, a sentence each.
    pub fn ways(&self) -> Vec<String> {
        let back =
            format!("`aio upgrade --back` brings the cloud back to {} as it was.", self.from);
        match self.progress {
            Progress::Going => vec!["`aio upgrade` goes on with it.".to_owned(), back],
            Progress::Done => vec!["`aio upgrade --accept` ends it.".to_owned(), back],
            Progress::Returning => vec![back],
        }
    }

    /// How far it is and what can be done, in sentences.
    pub fn describe(&self) -> String {
        let Self { from, to, progress, .. } = self;
        let how = match progress {
            Progress::Going => format!("On the way from {from} to {to}."),
            Progress::Done => format!("Upgraded from {from} to {to}, not accepted yet."),
            Progress::Returning => format!("On the way back from {to} to {from}."),
        };
        format!("{how} {}", self.ways().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::render::testing;

    #[test]
    fn it_is_that_of_the_record_and_none_without_one() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        assert_eq!(Standing::find(&paths).unwrap(), None);
        std::fs::create_dir_all(paths.upgrade_dir()).unwrap();
        let mut record = Upgrade {
            from: "2025.1".to_owned(),
            to: "2026.1".to_owned(),
            progress: Progress::Going,
            leave: BTreeSet::from(["agents".to_owned()]),
            began: 1,
            former: testing::cloud(&testing::profiles(&[])),
            setup: BTreeMap::new(),
        };
        for (progress, word, says) in [
            (Progress::Going, "going", "On the way from 2025.1 to 2026.1. `aio upgrade` goes on"),
            (Progress::Done, "done", "Upgraded from 2025.1 to 2026.1, not accepted yet. `aio up"),
            (Progress::Returning, "returning", "On the way back from 2026.1 to 2025.1. `aio up"),
        ] {
            record.progress = progress;
            upgrade::save(&paths, &record).unwrap();
            let found = Standing::find(&paths).unwrap().unwrap();
            let text = found.describe();
            assert!(text.starts_with(says) && text.contains("--back"), "{text}");
            let expected = serde_json::json!({
                "from": "2025.1", "to": "2026.1", "progress": word, "left": ["agents"],
            });
            assert_eq!(serde_json::to_value(&found).unwrap(), expected);
        }
        upgrade::forget(&paths).unwrap();
        assert_eq!(Standing::find(&paths).unwrap(), None);
    }
}
