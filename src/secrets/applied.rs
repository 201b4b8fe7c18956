//! Which secrets changed since they were brought into the cloud.
//!
//! What was applied is remembered as salted hashes: enough to see an edit, useless to log in with.

use std::collections::BTreeMap;

use rand::{CryptoRng, RngExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::file::SecretValues;
use super::spec::{Rotation, SecretSpec};
use crate::error::{Error, ErrorKind, Result, ResultExt as _};

/// Hashes of the secrets that the cloud uses now: one record.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct AppliedSecrets {
    salt: String,
    hashes: BTreeMap<String, String>,
}

/// What edits of the file mean for the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names whose new values are to be brought into the cloud.
    pub apply: Vec<String>,
    /// Names that must stay as they were while the cloud holds data, with the reason.
    pub refused: Vec<(String, String)>,
}

impl AppliedSecrets {
    /// No secret yet, with a salt of its own.
    pub fn new(random: &mut impl CryptoRng) -> Self {
        let bytes: [u8; 32] = random.random();
        Self { salt: hex::encode(bytes), hashes: BTreeMap::new() }
    }

    /// Reads what [`Self::to_record`] wrote.
    pub fn from_record(text: &str) -> Result<Self> {
        serde_json::from_str(text).doing(|| "read the record of applied secrets".to_owned())
    }

    pub fn to_record(&self) -> Result<String> {
        serde_json::to_string(self).doing(|| "write the record of applied secrets".to_owned())
    }

    /// Remembers that the cloud uses this value now.
    pub fn set(&mut self, name: &str, value: &SecretString) {
        let hash = self.hash(name, value);
        self.hashes.insert(name.to_owned(), hash);
    }

    /// Remembers all of them and forgets those that are not among them.
    pub fn set_all(&mut self, values: &SecretValues) {
        self.hashes.clear();
        for (name, value) in values {
            self.set(name, value);
        }
    }

    /// Compares the file's values with those in use. A secret that was never applied is not a
    /// change: it is new.
    pub fn compare(&self, values: &SecretValues, spec: &SecretSpec) -> Changes {
        let mut changes = Changes::default();
        for (name, value) in values {
            let Some(known) = self.hashes.get(name) else { continue };
            if *known == self.hash(name, value) {
                continue;
            }
            match spec.get(name).map(|secret| (secret.rotation, &secret.reason)) {
                Some((Rotation::Refuse, Some(reason))) => {
                    changes.refused.push((name.to_owned(), reason.clone()));
                }
                _ => changes.apply.push(name.to_owned()),
            }
        }
        changes
    }

    /// The name is part of what is hashed: equal values of two secrets do not look equal.
    fn hash(&self, name: &str, value: &SecretString) -> String {
        let mut hash = Sha256::new();
        for part in [&self.salt, name, value.expose_secret()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

impl Changes {
    /// An error if something was edited that must stay. A cloud that holds no data yet takes any
    /// edit.
    pub fn permitted(self, file_name: &str, holds_data: bool) -> Result<Vec<String>> {
        let mut apply = self.apply;
        if holds_data && !self.refused.is_empty() {
            let reasons: Vec<String> = self
                .refused
                .iter()
                .map(|(name, why)| format!("`{name}` was edited: {why}"))
                .collect();
            return Err(Error::new(ErrorKind::Config, format!("apply the secrets in {file_name}"))
                .because(reasons.join("; "))
                .hint("Put the former value back, or start anew with `aio destroy` and `aio bootstrap`."));
        }
        apply.extend(self.refused.into_iter().map(|(name, _)| name));
        apply.sort();
        Ok(apply)
    }
}
