//! Records in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::Result;
use crate::host::Records;

/// Records that end with the test.
#[derive(Debug, Default)]
pub struct FakeRecords {
    /// What is recorded.
    pub records: Mutex<BTreeMap<String, String>>,
}

#[async_trait]
impl Records for FakeRecords {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        Ok(self.records.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &str) -> Result<()> {
        self.records.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let below = format!("{key}/");
        let mut records = self.records.lock().unwrap();
        records.retain(|other, _| other != key && !other.starts_with(&below));
        Ok(())
    }
}
