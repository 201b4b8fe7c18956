//! Image layers as values: what each is made of, and the name that follows from it.
//!
//! A layer's id is the hash of its parent's id, the suite, the sorted package names, the host's
//! package sources and the files it carries. The versions that were installed are recorded in the
//! layer's manifest and not in its id: else a warm run would have to ask the package index, and a
//! host that is offline could not start a cloud that it has already built.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Part of every id. Raised when the way in which layers are built changes what is in them.
const FORMAT: u32 = 2;

/// What one layer is made of.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct LayerSpec {
    /// For people: `base`, `openstack`, `heat_engine`.
    pub name: String,
    /// Id of the layer below; absent for the base.
    pub parent: Option<String>,
    /// Debian suite: `trixie`.
    pub suite: String,
    /// Packages, sorted.
    pub packages: Vec<String>,
    /// Units of packages that stay unmasked because the system itself needs them.
    pub keep_units: Vec<String>,
    /// Units that are masked whoever brings them.
    #[serde(default)]
    pub mask_units: Vec<String>,
    /// Python distributions that are installed after the packages.
    #[serde(default)]
    pub python: Option<PythonSpec>,
    /// Users that are made after the packages are installed, with their further groups.
    #[serde(default)]
    pub users: BTreeMap<String, Vec<String>>,
    /// A shell script that runs in it, once all else is there.
    #[serde(default)]
    pub script: String,
    /// Files that are written after the packages are installed.
    pub files: Vec<LayerFile>,
    /// Directories that are emptied, and files that are removed, at the end: logs, keys that
    /// packages made for this one installation.
    pub drop: Vec<String>,
}

/// Python distributions of a layer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct PythonSpec {
    /// The Python that is there: `3.13`.
    pub version: String,
    /// The directory in which they are installed.
    pub home: String,
    /// Every distribution with its version and hashes.
    pub lock: String,
    /// Modules that are taken from the packages' own, where a container has them.
    pub modules: Vec<String>,
    /// Packages whose directory `tests` is kept.
    pub keep_tests: Vec<String>,
    /// Files in whose place the system's list of authorities stands.
    #[serde(default)]
    pub certificates: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct LayerFile {
    /// Absolute path.
    pub path: String,
    /// Octal mode, or `link` for a symbolic link to `text`.
    pub mode: String,
    pub text: String,
}

/// A layer that exists.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LayerInfo {
    pub id: String,
    pub name: String,
    /// Id of the layer below.
    pub parent: Option<String>,
    /// Seconds since the epoch.
    pub created: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Packages with their versions, as installed.
    pub packages: BTreeMap<String, String>,
}

impl LayerSpec {
    /// The layer's id: its name and twelve hexadecimal digits of the hash of all that it is made of.
    /// `sources` says where the host gets packages from.
    pub fn id(&self, sources: &str) -> String {
        let mut hasher = Sha256::new();
        // Every part is led by its length, so that no two lists run into the same text.
        let mut add = |part: &str| {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        };
        add(&format!("layer format {FORMAT}"));
        add(&self.name);
        add(self.parent.as_deref().unwrap_or_default());
        add(&self.suite);
        add(sources);
        for list in [&self.packages, &self.keep_units, &self.mask_units, &self.drop] {
            let mut sorted: Vec<&str> = list.iter().map(String::as_str).collect();
            sorted.sort_unstable();
            sorted.dedup();
            add(&sorted.len().to_string());
            sorted.into_iter().for_each(&mut add);
        }
        // Those that have neither are called what they always were.
        if let Some(PythonSpec { version, home, lock, modules, keep_tests, certificates }) =
            &self.python
        {
            [version, home, lock].into_iter().for_each(|part| add(part));
            [modules, keep_tests, certificates].into_iter().for_each(|list| add(&list.join(" ")));
        }
        for (user, groups) in &self.users {
            add(user);
            add(&groups.join(" "));
        }
        if !self.script.is_empty() {
            add(&self.script);
        }
        for file in &self.files {
            add(&file.path);
            add(&file.mode);
            add(&file.text);
        }
        let digest = hasher.finalize();
        let hash = hex::encode(&digest[..6]);
        format!("{}-{hash}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> LayerSpec {
        LayerSpec {
            name: "openstack".to_owned(),
            parent: Some("base-000000000000".to_owned()),
            suite: "trixie".to_owned(),
            packages: vec!["a".to_owned(), "bc".to_owned()],
            keep_units: Vec::new(),
            mask_units: Vec::new(),
            python: None,
            users: BTreeMap::new(),
            script: String::new(),
            files: Vec::new(),
            drop: Vec::new(),
        }
    }

    #[test]
    fn the_id_is_the_name_and_twelve_digits() {
        let id = spec().id("sources");
        let hash = id.strip_prefix("openstack-").unwrap();
        assert_eq!(hash.len(), 12);
        assert!(hash.chars().all(|digit| digit.is_ascii_hexdigit()));
    }

    #[test]
    fn order_and_repetition_of_packages_do_not_matter() {
        let mut other = spec();
        other.packages = vec!["bc".to_owned(), "a".to_owned(), "a".to_owned()];
        assert_eq!(other.id("sources"), spec().id("sources"));
    }

    fn python(lock: &str) -> PythonSpec {
        let (version, home) = ("3.13".to_owned(), "/opt".to_owned());
        PythonSpec {
            version,
            home,
            lock: lock.to_owned(),
            modules: Vec::new(),
            keep_tests: Vec::new(),
            certificates: Vec::new(),
        }
    }

    #[test]
    fn everything_that_makes_the_layer_changes_the_id() {
        let file =
            LayerFile { path: "/etc/x".to_owned(), mode: "0644".to_owned(), text: "x".to_owned() };
        let changes: [fn(&mut LayerSpec, LayerFile); 14] = [
            |spec, _| spec.name = "other".to_owned(),
            |spec, _| spec.parent = Some("base-111111111111".to_owned()),
            |spec, _| spec.suite = "forky".to_owned(),
            |spec, _| spec.packages = vec!["ab".to_owned(), "c".to_owned()],
            |spec, _| spec.keep_units = vec!["a".to_owned()],
            |spec, _| spec.mask_units = vec!["a".to_owned()],
            |spec, _| spec.drop = vec!["a".to_owned()],
            |spec, file| spec.files = vec![file],
            |spec, _| spec.parent = None,
            |spec, _| spec.script = "true".to_owned(),
            |spec, _| spec.python = Some(python("a==1")),
            |spec, _| spec.python = Some(python("a==2")),
            |spec, _| spec.users = BTreeMap::from([("a".to_owned(), Vec::new())]),
            |spec, _| spec.users = BTreeMap::from([("a".to_owned(), vec!["b".to_owned()])]),
        ];
        let mut ids = vec![spec().id("sources"), spec().id("other sources")];
        for change in changes {
            let mut changed = spec();
            change(&mut changed, file.clone());
            ids.push(changed.id("sources"));
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
