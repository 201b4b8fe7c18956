//! With what a gateway is started.

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
    pub keys: super::keys::Source,
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
