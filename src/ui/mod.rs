//! What a user sees. Data goes to standard output, everything else to standard error. Sees events
//! and reports, never the host.

pub mod error;
pub mod health;
pub mod out;
pub mod prompt;
pub mod table;
