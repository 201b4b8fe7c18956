//! A file in a container.

use serde::{Deserialize, Serialize};

/// A file in a container as it is or should be.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct ContainerFile {
    /// Absolute path in the container.
    pub path: String,
    /// `user:group`, by the container's own `/etc/passwd` and `/etc/group`.
    pub owner: String,
    /// Permission bits.
    pub mode: u32,
    pub content: Vec<u8>,
}
