//! `aio rebuild`: throw containers away and make them anew.

mod args;
mod run;

pub use args::{Args, run};
