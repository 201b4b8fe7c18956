//! `<config-dir>/cloud.yml`: what the cloud is.
//!
//! The first run writes what it chose, with a reason beside each choice. Later runs use it. A user
//! may edit it, or pass an option that changes it; lines that do not change keep their bytes. All
//! keys may be missing: what is missing is chosen by the next run.
//!
//! `members` holds the kinds whose number differs from the scenario's. Those of the scenario stand
//! beside them as comments, so that a change of `scenario` changes them.

mod document;
mod file;
mod members;
mod options;
mod services;
mod values;

pub use file::CloudFile;
pub use members::refuse_fixed;
pub use options::CloudOptions;
pub use values::{Expose, Key, Patience, Tls};
