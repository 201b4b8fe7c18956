//! Where swapped code comes from: the user's checkout, what project stands in it, and clones that
//! `aio` makes. Knows nothing of containers, and never writes into a work tree of the user's.
//!
//! git2 does all looking: it starts no process and refreshes no index. It parses what strangers wrote,
//! so it runs in a process without rights that has nothing else to read ([`reader`]). Whatever talks
//! to a server or changes a clone is done by the host's `git` as the user who called `sudo`.

pub mod change;
pub mod checkout;
pub mod clone;
pub mod gerrit;
pub mod git;
pub mod look;
mod open;
pub mod project;
pub mod reader;
mod reference;
#[cfg(test)]
pub mod testing;
pub mod tree;
pub mod unsaved;
pub mod user;

pub use open::allow_foreign_owners;
