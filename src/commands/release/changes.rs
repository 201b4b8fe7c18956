//! What a lock has that another had not.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::lock::{Distribution, Lock};

/// A distribution of which two locks say different things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub name: String,
    /// The version before; none when it was not there.
    pub old: Option<String>,
    /// The version now, the same when only its files are others; none when it is not there any more.
    pub new: Option<String>,
}

/// The changes from one lock to another, by name.
pub fn changes(old: &Lock, new: &Lock) -> Vec<Change> {
    let by_name = |lock: &Lock| -> BTreeMap<String, Distribution> {
        lock.distributions.iter().map(|it| (it.name.clone(), it.clone())).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differ = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let version = |of: Option<&Distribution>| of.map(|it| it.version.clone());
    let change = |name: &String| Change {
        name: name.clone(),
        old: version(old.get(name)),
        new: version(new.get(name)),
    };
    differ.map(change).collect()
}

/// A change in words.
pub fn words(change: &Change) -> String {
    let Change { name, old, new } = change;
    match (old, new) {
        (Some(old), Some(new)) if old == new => format!("{name} {new}: other files"),
        (Some(old), Some(new)) => format!("{name} {old} → {new}"),
        (Some(old), None) => format!("{name} {old} removed"),
        (None, new) => format!("{name} {} added", new.as_deref().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(distributions: &[(&str, &str, &str)]) -> Lock {
        let of = |(name, version, hash): &(&str, &str, &str)| Distribution {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            hashes: vec![hash.repeat(64)],
            commit: None,
        };
        Lock { title: String::new(), distributions: distributions.iter().map(of).collect() }
    }

    #[test]
    fn what_differs_is_told_by_name() {
        let old =
            [("gone", "1", "a"), ("kept", "1", "a"), ("nova", "34.0.0", "a"), ("uv", "1", "a")];
        let new =
            [("kept", "1", "a"), ("new", "2", "a"), ("nova", "34.0.1", "b"), ("uv", "1", "b")];
        let told: Vec<String> = changes(&lock(&old), &lock(&new)).iter().map(words).collect();
        let wanted = ["gone 1 removed", "new 2 added", "nova 34.0.0 → 34.0.1", "uv 1: other files"];
        assert_eq!(told, wanted);
        assert_eq!(changes(&lock(&old), &lock(&old)), []);
    }
}
