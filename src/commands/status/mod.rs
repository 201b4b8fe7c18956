//! `aio status` and `aio ls`: the cloud as it is observed.

mod args;
mod words;

pub use args::{ListArgs, Status, StatusArgs, list, status};
