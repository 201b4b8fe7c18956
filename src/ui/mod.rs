//! What a user sees. Data goes to standard output, everything else to standard error. Sees events
//! and reports, never the host.

pub mod bars;
mod board;
pub mod error;
pub mod format;
pub mod harmless;
pub mod journal;
pub mod json;
mod listeners;
pub mod logfile;
pub mod out;
pub mod plain;
pub mod prompt;
pub mod repeats;
pub mod table;
pub mod timings;
pub mod trace;

pub use listeners::{Wish, listeners};
