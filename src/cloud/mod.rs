//! The front door of every command: from the files and the host to a cloud, its steps, and a run of
//! them.
//!
//! Two ways lead to a cloud. [`desired`] follows from what is [`opened`] and the host's facts: for
//! `bootstrap` and `plan`. [`recorded`] reads what the last `bootstrap` wanted: for every command
//! that changes no choice.

pub mod desired;
pub mod files;
pub mod open;
pub mod opened;
pub mod recorded;
pub mod run;
pub mod secrets;
pub mod tls;

pub use open::{Session, require_root};
