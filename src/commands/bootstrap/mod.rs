//! `aio bootstrap` and `aio plan`: build the cloud, or say what building it would do.

mod args;
pub mod run;
mod words;

pub use args::{Args, PlanArgs, plan, run};
