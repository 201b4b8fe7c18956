//! Kernel settings and subordinate ids in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::host::Settings;
use crate::host::subids::{self, IdRanges};

/// Settings that end with the test, for one cloud.
#[derive(Debug, Default)]
pub struct FakeSettings {
    /// The kernel's values; a name that is not here is 0.
    pub kernel: Mutex<BTreeMap<String, u64>>,
    /// What settings were before they were raised.
    pub before: Mutex<BTreeMap<String, u64>>,
    /// Whether ids are reserved.
    pub reserved: Mutex<bool>,
    /// What the next changes fail with, in their order.
    pub failures: Mutex<Vec<Error>>,
}

impl FakeSettings {
    fn fail(&self) -> Result<()> {
        let mut failures = self.failures.lock().unwrap();
        if failures.is_empty() { Ok(()) } else { Err(failures.remove(0)) }
    }

    fn value(&self, name: &str) -> u64 {
        self.kernel.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Settings for FakeSettings {
    async fn differs(&self, sysctls: &BTreeMap<String, u64>) -> Result<Option<String>> {
        let low = sysctls.iter().find(|(name, least)| self.value(name) < **least);
        Ok(low.map(|(name, least)| {
            format!("the kernel setting {name} is {}, needed {least}", self.value(name))
        }))
    }

    async fn apply(&self, sysctls: &BTreeMap<String, u64>) -> Result<()> {
        self.fail()?;
        for (name, least) in sysctls {
            let value = self.value(name);
            if value < *least {
                self.before.lock().unwrap().entry(name.clone()).or_insert(value);
                self.kernel.lock().unwrap().insert(name.clone(), *least);
            }
        }
        Ok(())
    }

    async fn release(&self) -> Result<()> {
        self.fail()?;
        let before = std::mem::take(&mut *self.before.lock().unwrap());
        self.kernel.lock().unwrap().extend(before);
        *self.reserved.lock().unwrap() = false;
        Ok(())
    }

    async fn id_ranges(&self, containers: u32) -> Result<IdRanges> {
        self.fail()?;
        *self.reserved.lock().unwrap() = true;
        Ok(subids::free(&[], subids::slots_for(containers)))
    }
}
