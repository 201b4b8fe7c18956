//! `aio tempest`: the release's own tests of a cloud, by a profile's suite.

mod args;
mod run;
pub mod step;
pub mod tap;
mod words;

pub use args::{Args, run};
