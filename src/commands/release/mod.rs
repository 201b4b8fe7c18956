//! `aio release`: the releases that there are, and locks of those that come from wheels.

mod args;
mod changes;
mod day;
mod list;
mod lock;
mod place;
mod pylock;
mod question;
mod trees;
mod wheels;

pub use args::{Args, run};
