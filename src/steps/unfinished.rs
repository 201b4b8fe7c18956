//! Containers that were made and whose units never ran as they should.
//!
//! A container is marked before it is defined, and until its units are healthy for the first time.
//! When the run that makes it is cut off, by a power cut say, `aio start` leaves it alone: its files
//! may be missing, and its units would be waited for in vain. `aio bootstrap` finishes it.

use crate::engine::step::StepContext;
use crate::error::Result;

fn key(container: &str) -> String {
    format!("unfinished/{container}")
}

pub async fn mark(context: &StepContext, container: &str) -> Result<()> {
    context.host.records.set(&key(container), "").await
}

pub async fn is_marked(context: &StepContext, container: &str) -> Result<bool> {
    Ok(context.host.records.get(&key(container)).await?.is_some())
}

pub async fn clear(context: &StepContext, container: &str) -> Result<()> {
    context.host.records.remove(&key(container)).await
}
