//! Values that steps write down for later runs, as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Result, ResultExt};
use crate::host::Records;

/// Reads a record; `None` when there is none.
pub async fn load<T: DeserializeOwned>(records: &dyn Records, key: &str) -> Result<Option<T>> {
    let text = records.get(key).await?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .doing(|| format!("read the record `{key}`"))
}

pub async fn save<T: Serialize + Sync>(records: &dyn Records, key: &str, value: &T) -> Result<()> {
    let text = serde_json::to_string(value).doing(|| format!("write the record `{key}`"))?;
    records.set(key, &text).await
}
