//! `aio gateway`: an SSH server in front of all containers. The user name is the container; no sshd
//! runs in any of them.
//!
//! ```text
//! server ── a connection ──▶ connection (who, which container) ──▶ session | forward   (a channel)
//!                                                                      │
//!                                  process ◀── wire ──▶ inside: a process of this binary that enters
//!                                                       the container and becomes the command
//! ```
//!
//! The gateway never holds the cloud's lock and changes nothing of the cloud: it reads which
//! containers there are when somebody comes in.

pub mod client;
pub mod connection;
pub mod daemon;
pub mod forward;
pub mod host_key;
pub mod input;
pub mod inside;
pub mod keys;
pub mod log;
pub mod names;
pub mod process;
pub mod queue;
pub mod records;
pub mod server;
pub mod session;
pub mod socket;
pub mod ssh_config;
pub mod terminal;

pub use records::stop;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::paths::Paths;

/// What a gateway is started with.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Options {
    /// `/etc/aio`.
    pub config_dir: PathBuf,
    /// `/var/lib/aio`.
    pub state_dir: PathBuf,
    /// The cloud's name.
    pub cloud: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Files with keys, or the directories that are looked through.
    pub keys: keys::Source,
    /// Whether sessions are shown on standard error, too.
    pub echo: bool,
}

impl Options {
    /// The directories of its cloud.
    pub fn paths(&self) -> Paths {
        Paths {
            config_dir: self.config_dir.clone(),
            state_dir: self.state_dir.clone(),
            cloud: self.cloud.clone(),
        }
    }
}
