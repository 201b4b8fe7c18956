//! Where swapped code comes from: the user's checkout, what project stands in it, and clones that
//! `aio` makes. Knows nothing of containers, and never writes into a work tree of the user's.
//!
//! git2 does all looking: it starts no process and refreshes no index. It parses what strangers wrote,
//! so it runs in a process without rights that has nothing else to read ([`reader`]). Whatever talks
//! to a server or changes a clone is done by the host's `git` as the user who called `sudo`.

pub mod change;
pub mod checkout;
pub mod clone;
pub mod git;
pub(super) mod ini;
pub mod look;
mod open;
pub mod project;
pub mod reader;
mod reference;
#[cfg(test)]
mod testing;
mod tree;
pub mod unsaved;
pub mod user;

/// Git extensions that change nothing for those who only look: objects that are fetched when they
/// are needed, and work trees that are linked by relative paths.
const HARMLESS_EXTENSIONS: [&str; 2] = ["partialclone", "relativeworktrees"];

/// Lets git2 open work trees that belong to others: where it looks, its own id is nobody's. Call it
/// once, before any other thread exists, and never in a process with rights.
///
/// What the check defends against, a repository whose settings name programs to run, is none there:
/// git2 runs neither hooks nor filters. Should it fail, opening a checkout says whose it is.
#[allow(unsafe_code)]
pub fn allow_foreign_owners() {
    // SAFETY: both set variables of libgit2 without a lock; no other thread exists that could read
    // them meanwhile.
    let _ = unsafe {
        git2::opts::set_verify_owner_validation(false)
            .and_then(|()| git2::opts::set_extensions(&HARMLESS_EXTENSIONS))
    };
}
