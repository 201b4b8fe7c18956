//! `aio destroy`: remove everything that `aio` made on this host.

mod args;
mod run;

pub use args::{Args, run};
