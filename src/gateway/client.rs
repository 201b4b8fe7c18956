//! Somebody who has come in, and what all who come in share.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::inside::wire::{Destination, Job, Request};
use super::keys;
use super::log::Log;
use super::terminal::Terminal;
use crate::model::paths::Paths;
use crate::model::topology::Container;

/// What all connections share.
pub struct Shared {
    /// The cloud's directories.
    pub paths: Paths,
    /// Who may come in.
    pub keys: keys::Source,
    /// The log of sessions.
    pub log: Log,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The limit of open files that commands get, if it was raised for the gateway.
    pub open_files: Option<u64>,
}

impl Shared {
    /// Where input goes that does not fit into memory.
    pub fn spool_dir(&self) -> PathBuf {
        self.paths.gateway_dir().join("spool")
    }
}

/// Somebody who has come in, and the container they came for.
pub struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) container: Container,
    pub(super) label: String,
    pub(super) peer: SocketAddr,
    pub(super) channels: Arc<Semaphore>,
}

impl Client {
    /// Writes a line of this connection to the log.
    pub fn log(&self, text: &str) {
        self.shared.log.line(&format!("{}: {text}", self.label));
    }

    /// Where input goes that does not fit into memory.
    pub fn spool_dir(&self) -> PathBuf {
        self.shared.spool_dir()
    }

    /// A request for this client's container. What the client sets wins over what the container has.
    pub fn request(
        &self,
        job: Job,
        given: BTreeMap<String, String>,
        terminal: Option<Terminal>,
    ) -> Request {
        let (peer, listen) = (self.peer, self.shared.listen);
        let ends = format!("{} {}", peer.ip(), peer.port());
        let mut environment = self.container.environment.clone();
        environment.insert("SSH_CLIENT".to_owned(), format!("{ends} {}", listen.port()));
        let connection = format!("{ends} {} {}", listen.ip(), listen.port());
        environment.insert("SSH_CONNECTION".to_owned(), connection);
        environment.extend(given);
        Request {
            container: self.container.name.clone(),
            log: Paths::lxc_dir(&self.container.name).join("lxc.log"),
            environment,
            job,
            terminal,
            open_files: self.shared.open_files,
        }
    }

    /// Where the container's own daemons listen, the likeliest first.
    fn own_addresses(&self) -> Vec<Ipv4Addr> {
        let management = self.container.management_address();
        let all = self.container.interfaces.iter().flat_map(|interface| &interface.addresses);
        let mut own: Vec<Ipv4Addr> =
            management.into_iter().chain(all.map(|(address, _)| *address)).collect();
        own.dedup();
        own
    }

    pub(super) fn destination(&self, host: &str, port: u32) -> Option<Destination> {
        let names = [&self.container.name, &self.container.hostname, &self.container.kind];
        let host = if names.into_iter().any(|name| name == host) { "localhost" } else { host };
        let port = u16::try_from(port).ok()?;
        Some(Destination::Port { host: host.to_owned(), port, own: self.own_addresses() })
    }
}
