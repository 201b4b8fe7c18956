//! `aio dev`: a unit that runs from a checkout, and always back.
//!
//! The lock is held only while something changes, never while a log is followed. What is true is on
//! the disk: the record of the swap, and what is seen in the container. A foreground command undoes
//! only the swap that it began: it looks at the record's id first.

pub mod asked;
mod foreground;
mod holder;
pub mod list;
mod prepare;
mod swap;
mod target;
mod terminal;
mod tunnel;
mod watch;

pub use swap::{release, restore, settle, swap};
