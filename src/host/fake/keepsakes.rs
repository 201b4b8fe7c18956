//! What is kept beside layers, in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::Result;
use crate::host::Keepsakes;

/// What ends with the test.
#[derive(Debug, Default)]
pub struct FakeKeepsakes {
    /// By layer and name.
    pub kept: Mutex<BTreeMap<(String, String), Vec<u8>>>,
}

#[async_trait]
impl Keepsakes for FakeKeepsakes {
    async fn get(&self, layer: &str, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.kept.lock().unwrap().get(&(layer.to_owned(), name.to_owned())).cloned())
    }

    async fn put(&self, layer: &str, name: &str, content: &[u8]) -> Result<()> {
        let place = (layer.to_owned(), name.to_owned());
        self.kept.lock().unwrap().insert(place, content.to_owned());
        Ok(())
    }
}
