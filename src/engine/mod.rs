//! Runs a graph of steps: concurrently, journaled, cancellable, resumable.

pub mod event;
pub mod step;
