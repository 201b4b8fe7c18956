//! `aio profile`: check profiles, begin a new service, or measure one.

mod args;
mod check;
mod measure;

pub use args::{Args, run};
