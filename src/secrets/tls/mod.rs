//! Certificates: the cloud's own authority, what it signs, and what a user brings.
//!
//! - [`pair`]: a certificate with its key: whether they fit, what it names, when it ends.
//! - [`authority`]: what signs the cloud's certificates.
//! - [`inside`]: which certificates containers show where everything speaks TLS.
//! - [`outside`]: which certificate the outside address shows, and whether it must be made anew.
//! - [`store`]: the only part that touches the disk.
//!
//! No message of this module quotes a key.

pub mod authority;
pub mod inside;
pub mod outside;
pub mod pair;
pub mod store;

#[cfg(test)]
mod tests;
