//! Takes secrets out of texts that leave this host (`aio support-bundle`).
//!
//! Two kinds are found, in bytes, so that a log need not be text:
//!
//! - **Known ones**: every value of `user_secrets.yml`, in all ways in which files and logs write it
//!   ([`spelling`]), as a part of what was encoded or hashed ([`encoded`]). Each is replaced by
//!   `[masked: NAME]`.
//! - **What looks like one**: tokens, private keys, passwords in addresses, values whose name says
//!   what they are ([`looks`], [`settings`]).
//!
//! All of them are looked for in the text as it was, and what they cover is replaced at once: nothing
//! that one finds hides anything from another.
//!
//! A value of fewer than [`ANYWHERE`] characters is masked where it stands as a word of its own: within
//! longer words it would be found everywhere. One of fewer than [`WORD`] characters is masked only where
//! a name beside it says what it is. Who reads the result can guess such values from what is missing;
//! [`Masker::short`] names them, so that their owner can be told.

mod encoded;
mod label;
mod looks;
mod masker;
mod settings;
mod spelling;

pub use label::{ANYWHERE, WORD};
#[cfg(test)]
pub(crate) use masker::tests::forms;
pub use masker::{Known, Masker};
pub use settings::values as values_of_settings;
