//! Dev mode: a packaged service swapped for a git checkout, and always back (design §9).
//!
//! A checkout is a stranger's: whoever sends a change for review writes it. So is what a container
//! says. Three rules follow. Nothing that either says reaches a program of the host but as a
//! [`requirement::Requirement`]. What must be fetched for it is fetched by a process without rights
//! ([`confined`]). And the checkout itself is read by such a process, which has nothing else to read.

pub mod confined;
pub mod python;
pub mod requirement;
pub mod source;
