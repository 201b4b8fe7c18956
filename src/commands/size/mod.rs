//! `aio size`: what this host has, and what would be built on it.

mod args;
mod words;

pub use args::{Args, run};
