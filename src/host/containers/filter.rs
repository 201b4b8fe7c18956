//! What containers let in: files beside their records, which a hook loads at each start, and which
//! are loaded here where rules change while a container runs. What was loaded is noted with the
//! namespace: to ask each of forty would cost more than all other looks together.

use std::collections::BTreeMap;

use super::inner::Inner;
use crate::error::Result;
use crate::host::ContainerState;
use crate::lxc::filter;
use crate::state::files::{entries, read, remove, write_atomic};

impl Inner {
    pub(super) fn filters_differ(
        &self,
        filters: &BTreeMap<String, String>,
    ) -> Result<Option<String>> {
        for (name, rules) in filters {
            if let Some(reason) = self.filter_differs(name, rules)? {
                return Ok(Some(format!("{reason} in container `{name}`")));
            }
        }
        Ok(None)
    }

    fn filter_differs(&self, name: &str, rules: &str) -> Result<Option<&'static str>> {
        let record = self.paths.spec_file(name);
        if read(&filter::file_of(&record))?.as_deref() != Some(rules.as_bytes()) {
            return Ok(Some("other rules are kept"));
        }
        let ContainerState::Running { init_pid } = self.state(name)? else { return Ok(None) };
        let noted = read(&filter::note_of(&record))?;
        let loaded = noted.is_some() && noted == filter::note(init_pid, rules.as_bytes());
        Ok((!loaded).then_some("the rules are not loaded"))
    }

    pub(super) fn apply_filters(&self, filters: &BTreeMap<String, String>) -> Result<()> {
        for (name, rules) in filters {
            if self.filter_differs(name, rules)?.is_none() {
                continue;
            }
            let doing = || format!("change what container `{name}` lets in");
            let record = self.paths.spec_file(name);
            write_atomic(&filter::file_of(&record), 0o600, rules.as_bytes())?;
            if let ContainerState::Running { init_pid } = self.state(name)? {
                filter::load(init_pid, &record).map_err(|error| error.context(doing()))?;
            }
        }
        self.forget_filters(filters)
    }

    /// Removes the rules of containers that are no longer part of the cloud.
    fn forget_filters(&self, filters: &BTreeMap<String, String>) -> Result<()> {
        let records = self.paths.spec_file("x");
        let Some(directory) = records.parent() else { return Ok(()) };
        for path in entries(directory)? {
            let rules = path.extension().is_some_and(|it| it == "nft" || it == "loaded");
            let known = path.file_stem().and_then(|name| name.to_str());
            if rules && !known.is_some_and(|name| filters.contains_key(name)) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}
