//! The records of what runs from a checkout: a file for each unit, written before anything changes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::files::{read, remove, write_atomic};
use crate::error::{Result, ResultExt};
use crate::model::paths::Paths;
use crate::model::swap::Swap;

fn file(paths: &Paths, container: &str, unit: &str) -> PathBuf {
    paths.swaps_dir().join(container).join(format!("{unit}.json"))
}

/// Every swap of a cloud, in the order of containers and units.
///
/// # Errors
/// When a record cannot be read.
pub fn load(paths: &Paths) -> Result<Vec<Swap>> {
    let mut swaps = Vec::new();
    for container in names(&paths.swaps_dir())? {
        for name in names(&paths.swaps_dir().join(&container))? {
            if let Some(unit) = name.strip_suffix(".json") {
                swaps.extend(find(paths, &container, unit)?);
            }
        }
    }
    Ok(swaps)
}

/// Those of one service.
///
/// # Errors
/// When a record cannot be read.
pub fn of_service(paths: &Paths, service: &str) -> Result<Vec<Swap>> {
    let mut swaps = load(paths)?;
    swaps.retain(|swap| swap.service == service);
    Ok(swaps)
}

/// The swap of one unit; `None` when it runs as packaged.
///
/// # Errors
/// When the record is there and cannot be read.
pub fn find(paths: &Paths, container: &str, unit: &str) -> Result<Option<Swap>> {
    let file = file(paths, container, unit);
    let Some(text) = read(&file)? else { return Ok(None) };
    serde_json::from_slice(&text).doing(|| format!("read {}", file.display())).map(Some)
}

/// Writes a record.
///
/// # Errors
/// When it cannot be written.
pub fn save(paths: &Paths, swap: &Swap) -> Result<()> {
    let text = serde_json::to_vec_pretty(swap)
        .doing(|| format!("write down that `{}` runs from a checkout", swap.label()))?;
    write_atomic(&file(paths, &swap.container, &swap.unit), 0o600, &text)
}

/// Removes a record, if there is one.
///
/// # Errors
/// When it cannot be removed.
pub fn forget(paths: &Paths, swap: &Swap) -> Result<()> {
    remove(&file(paths, &swap.container, &swap.unit)).map(drop)
}

/// Members that stand by while a sibling runs from a checkout.
///
/// # Errors
/// When a record cannot be read.
pub fn standby(paths: &Paths) -> Result<BTreeSet<String>> {
    Ok(load(paths)?.into_iter().flat_map(|swap| swap.standby).collect())
}

/// Names in a directory, sorted; none when it is missing or nobody but root may look.
fn names(directory: &std::path::Path) -> Result<Vec<String>> {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    let entries = match std::fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => return Ok(Vec::new()),
        other => other.doing(|| format!("list {}", directory.display()))?,
    };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Whether the record of a unit is that of this swap.
///
/// # Errors
/// When the record cannot be read.
pub fn is_recorded(paths: &Paths, swap: &Swap) -> Result<bool> {
    let found = find(paths, &swap.container, &swap.unit)?;
    Ok(found.is_some_and(|found| found.id == swap.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::swap::tests::swap;

    #[test]
    fn a_swap_is_found_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        assert_eq!(load(&paths).unwrap(), []);
        let swap = Swap { standby: vec!["other".to_owned()], ..swap() };
        save(&paths, &swap).unwrap();
        assert_eq!(load(&paths).unwrap(), std::slice::from_ref(&swap));
        assert!(standby(&paths).unwrap().contains("other"));
        forget(&paths, &swap).unwrap();
        forget(&paths, &swap).unwrap();
        assert_eq!(find(&paths, &swap.container, &swap.unit).unwrap(), None);
    }
}
