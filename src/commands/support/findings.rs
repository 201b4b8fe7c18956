//! What was found. Nothing is kept that was not masked.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::mask::{Known, Masker};
use crate::error::{Error, Result};

/// Something that could not be collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The file or the part.
    pub name: String,
    pub reason: String,
}

/// Files by name, masked, and what is missing.
pub struct Findings {
    masker: Masker,
    /// Why nothing is taken that could hold a secret.
    closed: Option<String>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, Vec<u8>>,
    missing: Vec<Missing>,
}

impl Findings {
    /// Begins with none. Without the secrets that must be masked nothing is taken that could hold one.
    pub fn new(known: Result<Vec<Known>>) -> Result<Self> {
        let (known, closed) = match known {
            Ok(known) => (known, None),
            Err(error) => (Vec::new(), Some(format!("what to mask is not known: {error}"))),
        };
        Ok(Self { masker: Masker::new(&known)?, closed, inner: Mutex::default() })
    }

    /// Why nothing is taken that could hold a secret; `None` when all secrets are known.
    pub fn closed(&self) -> Option<&str> {
        self.closed.as_deref()
    }

    /// Names of secrets that are too short to be hidden well.
    pub fn short_secrets(&self) -> Vec<String> {
        self.masker.short().to_vec()
    }

    pub fn add(&self, name: &str, content: &[u8]) {
        let content = self.masker.mask(content);
        self.lock().files.insert(self.masked(name), content);
    }

    /// Takes a file of the user's settings.
    pub fn add_settings(&self, name: &str, content: &[u8]) {
        let content = self.masker.mask_settings(content);
        self.lock().files.insert(self.masked(name), content);
    }

    pub fn add_json(&self, name: &str, value: &impl Serialize) {
        match serde_json::to_vec_pretty(value) {
            Ok(text) => self.add(name, &text),
            Err(error) => self.missing(name, error),
        }
    }

    /// Takes a file that was looked for, or notes why it is missing.
    pub fn take_file(&self, name: &str, found: Result<Option<Vec<u8>>>) {
        let there = found.and_then(|file| file.ok_or_else(|| Error::failed("it is not there")));
        self.take_or_miss(name, there);
    }

    /// Takes what was collected, or notes why it could not be.
    pub fn take_or_miss(&self, name: &str, collected: Result<impl AsRef<[u8]>>) {
        match collected {
            Ok(content) => self.add(name, content.as_ref()),
            Err(error) => self.missing(name, error),
        }
    }

    /// Notes that something could not be collected.
    pub fn missing(&self, name: &str, reason: impl Display) {
        let lines: Vec<String> = reason.to_string().lines().map(str::to_owned).collect();
        let (name, reason) = (self.masked(name), self.masked(&lines.join("; ")));
        self.lock().missing.push(Missing { name, reason });
    }

    /// Everything, in the order of the names.
    pub fn take(&self) -> (Vec<(String, Vec<u8>)>, Vec<Missing>) {
        let inner = std::mem::take(&mut *self.lock());
        let mut missing = inner.missing;
        missing.sort_by(|one, other| one.name.cmp(&other.name));
        (inner.files.into_iter().collect(), missing)
    }

    fn masked(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.masker.mask(text.as_bytes())).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
