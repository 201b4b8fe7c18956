//! Small records of one cloud: a file each, only root's, replaced atomically.
//!
//! A key is a path: `unit/heat_engine/1` is the file `unit/heat_engine/1=` under the directory of
//! the records. The sign at the end keeps a record apart from the directory of those below it; it
//! and whatever else does not belong in a file's name is written as `%XX`.

use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::error::{Error, Result, ResultExt};
use crate::host::Records;
use crate::lxc::rooted::is_missing;
use crate::state::files;

/// Records under a directory.
#[derive(Clone, Debug)]
pub struct RealRecords {
    directory: PathBuf,
}

impl RealRecords {
    /// Those of [`crate::model::paths::Paths::records_dir`], which need not be there yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        if key.split('/').any(str::is_empty) {
            return Err(Error::failed(format!("a record cannot be named `{key}`")));
        }
        Ok(key.split('/').fold(self.directory.clone(), |path, part| path.join(file_name(part))))
    }

    fn file(&self, key: &str) -> Result<PathBuf> {
        let mut path = self.path(key)?.into_os_string();
        path.push("=");
        Ok(path.into())
    }
}

/// One part of a key as a file's name: never `.`, `..` or hidden.
fn file_name(part: &str) -> String {
    let mut name = String::with_capacity(part.len());
    for (index, byte) in part.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'@' | b':' | b'+')
            || (byte == b'.' && index > 0);
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

#[async_trait]
impl Records for RealRecords {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        let path = self.file(key)?;
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).doing(|| format!("read the record {}", path.display())),
        }
    }

    async fn set(&self, key: &str, value: &str) -> Result<()> {
        files::write_atomic(&self.file(key)?, 0o600, value.as_bytes())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        files::remove(&self.file(key)?)?;
        remove_directory(&self.path(key)?)
    }
}

fn remove_directory(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if !is_missing(&error) => {
            Err(error).doing(|| format!("remove the records in {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn a_record_and_those_below_it_live_side_by_side() {
        let directory = tempfile::tempdir().unwrap();
        let records = RealRecords::new(directory.path().join("records"));
        assert_eq!(records.get("unit").await.unwrap(), None);
        records.remove("unit").await.unwrap();
        for key in ["unit", "unit/heat/1", "unit/heat/2", "units", "unit=/x"] {
            records.set(key, key).await.unwrap();
        }
        for key in ["unit", "unit/heat/1", "unit/heat/2", "units", "unit=/x"] {
            assert_eq!(records.get(key).await.unwrap().as_deref(), Some(key));
        }
        let file = directory.path().join("records/unit/heat/1=");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        records.remove("unit").await.unwrap();
        for (key, left) in [("unit", false), ("unit/heat/1", false), ("units", true)] {
            assert_eq!(records.get(key).await.unwrap().is_some(), left, "{key}");
        }
        assert_eq!(records.get("unit=/x").await.unwrap().as_deref(), Some("unit=/x"));
        assert!(records.set("a//b", "").await.is_err());
        assert!(records.set("", "").await.is_err());
    }

    proptest! {
        #[test]
        fn names_of_files_are_safe_and_tell_keys_apart(one in ".{1,12}", other in ".{1,12}") {
            let name = file_name(&one);
            prop_assert!(!name.starts_with('.') && !name.contains(['/', '=', '\0']));
            prop_assert_eq!(one == other, name == file_name(&other));
        }
    }
}
