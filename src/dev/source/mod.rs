//! Where swapped code comes from: the user's checkout, what project stands in it, and clones that
//! `aio` makes. Knows nothing of containers, and never writes into a work tree of the user's.
//!
//! git2 does all looking: it starts no process and refreshes no index. Whatever talks to a server
//! or changes a clone is done by the host's `git` as the user who called `sudo`.

pub mod change;
pub mod checkout;
pub mod clone;
pub mod git;
mod ini;
mod open;
pub mod project;
mod reference;
#[cfg(test)]
mod testing;
pub mod unsaved;
pub mod user;

/// Git extensions that change nothing for those who only look: objects that are fetched when they
/// are needed, and work trees that are linked by relative paths.
const HARMLESS_EXTENSIONS: [&str; 2] = ["partialclone", "relativeworktrees"];

/// Lets git2 open work trees that belong to others, as a root that serves its users must. Call it
/// once, before any other thread exists.
///
/// What the check defends against, a repository whose settings name programs to run, is none here:
/// git2 runs neither hooks nor filters, and `git` itself runs as the owner of what it works on.
/// Should it fail, opening a checkout says whose it is.
#[allow(unsafe_code)]
pub fn allow_foreign_owners() {
    // SAFETY: both set variables of libgit2 without a lock; no other thread exists that could read
    // them meanwhile.
    let _ = unsafe {
        git2::opts::set_verify_owner_validation(false)
            .and_then(|()| git2::opts::set_extensions(&HARMLESS_EXTENSIONS))
    };
}
