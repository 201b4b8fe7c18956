//! `aio support-bundle`: one archive with what a maintainer would ask for, without a secret.
//!
//! It is made when something is broken: whatever cannot be collected is noted down and stops nothing
//! else. It only looks and holds no lock, so that it works beside an `aio` that hangs.
//!
//! [`parts`] says what is collected, as steps that need nothing of one another; [`findings`] keeps
//! what they found, masked from the moment it is there; [`known`] finds what must be masked. When the
//! secrets cannot be known, parts that could hold one are left out.

mod archive;
mod args;
mod bundle;
mod containers;
mod files;
mod findings;
mod ground;
mod host;
mod known;
mod layout;
mod mask;
mod parts;
mod records;
mod words;

pub use args::{Args, run};
