//! What a user sees. Data goes to standard output, everything else to standard error. Sees events
//! and reports, never the host.

pub mod bars;
mod board;
pub mod error;
pub mod format;
pub mod harmless;
pub mod health;
pub mod journal;
pub mod json;
mod listeners;
pub mod logfile;
pub mod out;
pub mod plain;
pub mod plan;
pub mod prompt;
pub mod repeats;
pub mod size;
pub mod suite;
pub mod table;
pub mod timings;
pub mod trace;
pub mod verify;

pub use listeners::{Wish, listeners};
