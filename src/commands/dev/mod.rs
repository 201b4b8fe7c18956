//! `aio dev`: a unit that runs from a checkout, and always back (design §9).
//!
//! The lock is held only while something changes, never while a log is followed. What is true is on
//! the disk: the record of the swap, and what is seen in the container. A foreground command undoes
//! only the swap that it began: it looks at the record's id first.
//!
//! A checkout is a stranger's: whoever sends a change for review writes it. So is what a container
//! says. Three rules follow. Nothing that either says reaches a program of the host but as a
//! [`crate::model::requirement::Requirement`]. What must be fetched for it is fetched by a process without rights
//! ([`confined`]). And the checkout itself is read by such a process, which has nothing else to read.

mod args;
mod asked;
mod concerned;
pub mod confined;
mod data;
mod depends;
mod entry;
mod foreground;
mod holder;
mod list;
mod plan;
mod prepare;
mod python;
mod report;
mod restore;
mod show;
pub mod source;
mod sources;
mod steps;
mod swap;
mod taken;
mod target;
mod terminal;
mod tunnel;
mod users;
mod watch;

pub use args::{Args, run};
pub use restore::{release, settle};
