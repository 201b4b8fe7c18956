//! `aio start` and `aio stop`: containers, or the whole cloud.

mod args;
mod run;

pub use args::{StartArgs, StopArgs, start, stop};
