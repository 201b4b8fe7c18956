//! `aio image`: the layers of which containers are made.

mod args;
mod run;

pub use args::{Args, run};
