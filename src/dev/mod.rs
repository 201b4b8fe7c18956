//! Dev mode: a packaged service swapped for a git checkout, and always back (design §9).

pub mod python;
pub mod source;
