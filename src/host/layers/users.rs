//! Who uses a layer: containers that were made from it, and clouds that want it, or may come back to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::error::{Result, ResultExt};
use crate::model::paths::Paths;
use crate::state::files::entries;

/// The part of a container's record that matters here.
#[derive(Deserialize)]
struct Record {
    container: Container,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    layers: Vec<String>,
    renewed: Option<Renewed>,
}

#[derive(Deserialize)]
struct Renewed {
    layers: Vec<String>,
}

/// The part of a recorded cloud that matters here.
#[derive(Deserialize)]
struct Cloud {
    containers: Vec<Container>,
}

/// The part of an upgrade's record that matters here: the way back needs what the cloud was made of.
#[derive(Deserialize)]
struct Upgrade {
    former: Cloud,
}

/// Names of users by layer id, over all clouds of the state directory. A container that is wanted
/// but not made yet counts: its layers may be on their way.
///
/// # Errors
/// When a record cannot be read: then nobody can tell what is unused.
pub fn users(paths: &Paths) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |container: Container| {
        let renewed = container.renewed.into_iter().flat_map(|renewed| renewed.layers);
        for layer in container.layers.into_iter().chain(renewed) {
            users.entry(layer).or_default().insert(container.name.clone());
        }
    };
    for cloud in entries(&paths.private_dir().join("clouds"))? {
        let name = cloud.file_name().map(|name| name.to_string_lossy().into_owned());
        let of = Paths { cloud: name.unwrap_or_default(), ..paths.clone() };
        for file in entries(&of.cloud_dir().join("specs"))? {
            if file.extension().is_some_and(|extension| extension == "json") {
                add(read::<Record>(&file)?.container);
            }
        }
        let upgrade = of.upgrade_file();
        if upgrade.exists() {
            read::<Upgrade>(&upgrade)?.former.containers.into_iter().for_each(&mut add);
        }
        let recorded = of.recorded_cloud_file();
        if recorded.exists() {
            read::<Cloud>(&recorded)?.containers.into_iter().for_each(&mut add);
        }
    }
    Ok(users)
}

fn read<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<T> {
    let doing = || format!("read {}", file.display());
    let text = std::fs::read(file).doing(doing)?;
    serde_json::from_slice(&text).doing(doing)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn containers_of_every_cloud_count_and_those_to_come() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        let specs = |cloud: &str| {
            let of = Paths { cloud: cloud.to_owned(), ..paths.clone() };
            fs::create_dir_all(of.cloud_dir().join("specs")).unwrap();
            of
        };
        let container = |name: &str| {
            format!(r#"{{"name": "{name}", "layers": ["{name}-1", "base-0"], "member": 1}}"#)
        };
        let record = |name: &str| format!(r#"{{"container": {}, "root": 1}}"#, container(name));
        fs::write(specs("one").spec_file("a"), record("a")).unwrap();
        fs::write(specs("two").spec_file("b"), record("b")).unwrap();
        let cloud = format!(r#"{{"name": "two", "containers": [{}]}}"#, container("c"));
        fs::write(specs("two").recorded_cloud_file(), cloud).unwrap();
        let upgrade = format!(r#"{{"former": {{"containers": [{}]}}}}"#, container("d"));
        fs::create_dir_all(specs("two").upgrade_dir()).unwrap();
        fs::write(specs("two").upgrade_file(), upgrade).unwrap();
        let users = users(&paths).unwrap();
        let of = |id: &str| users[id].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("base-0"), ["a", "b", "c", "d"]);
        assert_eq!(of("c-1"), ["c"]);
        assert_eq!(users.len(), 5);
    }

    #[test]
    fn an_unreadable_record_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        assert!(users(&paths).unwrap().is_empty());
        fs::create_dir_all(paths.cloud_dir().join("specs")).unwrap();
        fs::write(paths.spec_file("a"), "{").unwrap();
        assert!(users(&paths).is_err());
    }
}
