//! What was found out about the packages of layers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::index::{Archive, Index};
use crate::error::{Error, Result};

/// What was found out for some layers together.
pub struct Prepared {
    /// An index that has their packages.
    pub index: Index,
    /// The archives of all of them.
    pub(super) archives: Vec<Archive>,
}

/// What was found out in the life of this process, by layer.
#[derive(Default)]
pub struct Preparations {
    pub(super) by_layer: Mutex<HashMap<String, Arc<Prepared>>>,
    /// Held while the index is fetched: whoever needs it too waits and then finds it there.
    pub(super) busy: Mutex<()>,
}

impl Preparations {
    /// What was prepared for a layer.
    pub fn of(&self, id: &str) -> Result<Arc<Prepared>> {
        let by_layer = self.by_layer.lock().unwrap_or_else(PoisonError::into_inner);
        by_layer
            .get(id)
            .map(Arc::clone)
            .ok_or_else(|| Error::failed(format!("look up the packages of layer {id}")))
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.by_layer.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }
}
