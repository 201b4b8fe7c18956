//! `aio verify`: every service used as its users do.

mod args;
pub mod check;
mod checks;
mod lasting;
pub mod plan;
pub mod run;
mod words;

pub use args::{Args, run};
