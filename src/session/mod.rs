//! What commands share: from the files and the host to a cloud, its steps, and a run of them.
//!
//! Two ways lead to a cloud. [`desired`] follows from what is [`opened`] and the host's facts: for
//! `bootstrap` and `plan`. [`recorded`] reads what the last `bootstrap` wanted: for every command
//! that changes no choice.

pub mod bootstrap;
pub mod desired;
pub mod destroy;
pub mod dev;
pub mod files;
pub mod image;
pub mod measure;
pub mod open;
pub mod opened;
pub mod power;
pub mod profiles;
pub mod rebuild;
pub mod recorded;
pub mod run;
pub mod secrets;
pub mod suite;
pub mod support;
pub mod tls;
pub mod verify;

pub use open::{Session, require_root};
