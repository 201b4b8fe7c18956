//! Secrets: which there are, the user's file with their values, and what an edit means.
//!
//! - [`spec`]: the specification, `secrets/*.yml`: name, kind, length, who uses it. Data, no values.
//! - [`file`]: `user_secrets.yml`, edited by line so that comments and order stay as they were.
//! - [`check`] and [`generate`]: whether a value is of its kind, and new values of a kind.
//! - [`applied`]: which secrets changed since they were last brought into the cloud.
//! - [`store`]: the only part that touches the disk.
//! - [`tls`]: certificates, their keys and the authority that signs them.
//!
//! A value is a [`secrecy::SecretString`] from the moment it is read, and no message of this module
//! quotes one: errors name the secret, the line and what is wrong with it.

pub mod applied;
mod ceph;
pub mod check;
pub mod file;
pub mod generate;
pub mod spec;
pub mod store;
pub mod tls;

#[cfg(test)]
mod tests;
