//! The server: accepts connections, within limits, until it is told to stop.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId};
use rustix::process::Resource;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Shared;
use super::connection::Connection;
use super::log::Log;
use super::options::Options;
use super::socket::Prompt;
use super::{host_key, keys, records};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::paths::Paths;
use crate::state::files;

/// How long somebody may take to come in.
const LOGIN_GRACE: Duration = Duration::from_secs(30);
/// Connections of which nobody knows yet whose they are.
const MAX_STRANGERS: usize = 128;
/// All connections.
const MAX_CONNECTIONS: usize = 512;
/// Files that all of that may need.
const OPEN_FILES: u64 = 16 << 10;
/// How often a silent client is asked whether it is there, and how often in vain.
const KEEPALIVE: (Duration, usize) = (Duration::from_secs(30), 3);
/// Slows down who tries keys.
const REJECTION: Duration = Duration::from_millis(100);
/// How long connections may take to close when the gateway stops.
const FAREWELL: Duration = Duration::from_secs(4);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    config: Arc<Config>,
    shared: Arc<Shared>,
    /// Removed when the server is dropped.
    _record: records::Guard,
}

impl Server {
    /// Listens, and leaves a record that says so. Within a runtime.
    ///
    /// # Errors
    /// When the address is taken, or the host key cannot be read.
    pub async fn listen(options: &Options) -> Result<Self> {
        let paths = options.paths();
        files::prepare(&paths)?;
        let key = host_key::load(&paths)?;
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|error| cannot_listen(&paths, options.listen, &error))?;
        let doing = || "see where the gateway listens".to_owned();
        let listen = listener.local_addr().doing(doing)?;
        let shared = Shared {
            keys: options.keys.clone(),
            log: Log::open(&log_file(&paths), options.echo)?,
            listen,
            open_files: raise_limit(),
            paths,
        };
        files::private_directory(&shared.spool_dir())?;
        let record = records::Guard::write(&shared.paths, listen)?;
        shared.log.line(&format!("listening on {listen}, process {}", std::process::id()));
        let (config, shared) = (Arc::new(configuration(key)), Arc::new(shared));
        Ok(Self { listener, config, shared, _record: record })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.listen
    }

    /// Serves until `stop` is cancelled; then every connection is closed and its commands ended.
    pub async fn serve(self, stop: CancellationToken) {
        let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
        let all = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let tasks = TaskTracker::new();
        let mut number = 0;
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Too many open files, most likely: some will be closed.
                        self.shared.log.line(&format!("cannot accept: {error}"));
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                },
            };
            let permits = (Arc::clone(&strangers).try_acquire_owned())
                .and_then(|stranger| Ok((stranger, Arc::clone(&all).try_acquire_owned()?)));
            let Ok((stranger, permit)) = permits else {
                let text = format!("refused {peer}: too many connections");
                self.shared.log.stranger(&format!("{} too many", peer.ip()), &text);
                tasks.spawn(turn_away(stream));
                continue;
            };
            number += 1;
            let (shared, config) = (Arc::clone(&self.shared), Arc::clone(&self.config));
            let guest = Guest { stream, peer, number, stranger, stop: stop.clone() };
            tasks.spawn(async move {
                guest.serve(shared, config).await;
                drop(permit);
            });
        }
        tasks.close();
        let _ = tokio::time::timeout(FAREWELL, tasks.wait()).await;
        self.shared.log.rest();
        self.shared.log.line("stopped");
    }
}

/// Where sessions are logged.
pub fn log_file(paths: &Paths) -> PathBuf {
    paths.gateway_dir().join("sessions.log")
}

fn configuration(key: PrivateKey) -> Config {
    let version = concat!("SSH-2.0-aio_", env!("CARGO_PKG_VERSION"));
    Config {
        server_id: SshId::Standard(version.into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: REJECTION,
        // Clients ask first which methods there are.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        preferred: Preferred { key: keys::ALGORITHMS.to_vec().into(), ..Preferred::DEFAULT },
        // A shell may be silent for a day; whether its client is there is asked.
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE.0),
        keepalive_max: KEEPALIVE.1,
        ..Config::default()
    }
}

/// The limit of open files before, when it was raised.
fn raise_limit() -> Option<u64> {
    let before = rustix::process::getrlimit(Resource::Nofile);
    let wanted = before.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    let current = before.current.filter(|current| *current < wanted)?;
    let raised = rustix::process::Rlimit { current: Some(wanted), ..before };
    rustix::process::setrlimit(Resource::Nofile, raised).ok().map(|()| current)
}

fn cannot_listen(paths: &Paths, listen: SocketAddr, error: &std::io::Error) -> Error {
    let doing = format!("listen on {listen}");
    match error.kind() {
        std::io::ErrorKind::AddrInUse => match records::holder(paths, listen) {
            Some(holder) => Error::new(ErrorKind::Busy, doing)
                .because(format!("{holder} listens there already"))
                .hint(format!("`aio --name {} gateway --stop` ends it.", holder.cloud))
                .hint("Or listen elsewhere: `--listen 127.0.0.1:2223`."),
            None => Error::new(ErrorKind::Host, doing)
                .because("another program listens there")
                .hint(format!("`ss -ltnp 'sport = {}'` shows which.", listen.port()))
                .hint("Or listen elsewhere: `--listen 127.0.0.1:2223`."),
        },
        std::io::ErrorKind::AddrNotAvailable => Error::new(ErrorKind::Host, doing)
            .because(error)
            .hint("`ip address` shows the addresses of this host."),
        _ => Error::new(ErrorKind::Host, doing).because(error),
    }
}

/// Says why, in the line that a server may send before its greeting.
async fn turn_away(mut stream: TcpStream) {
    let told = stream.write_all(b"Too many connections\r\n");
    let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
}

/// A connection before and after it has come in.
struct Guest {
    stream: TcpStream,
    peer: SocketAddr,
    number: u64,
    stranger: OwnedSemaphorePermit,
    stop: CancellationToken,
}

impl Guest {
    async fn serve(self, shared: Arc<Shared>, config: Arc<Config>) {
        let Self { stream, peer, number, stranger, stop } = self;
        let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(&stream, 3) else { return };
        let socket = Socket(socket);
        let (admitted, mut was_admitted) = watch::channel(false);
        let connection = Connection::new(Arc::clone(&shared), peer, number, admitted);
        let begun = tokio::time::Instant::now();
        let greeting = russh::server::run_stream(config, Prompt::new(stream), connection);
        let session = tokio::select! {
            session = tokio::time::timeout_at(begun + LOGIN_GRACE, greeting) => session,
            () = stop.cancelled() => return,
        };
        // Not an SSH client, or none that says anything.
        let Ok(Ok(mut session)) = session else { return };
        let login = async {
            let admitted = was_admitted.wait_for(|admitted| *admitted);
            let in_time = tokio::time::timeout_at(begun + LOGIN_GRACE, admitted).await.is_ok();
            if in_time {
                drop(stranger);
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            result = &mut session => return note(&shared, number, peer, result),
            () = login => "it took too long to log in",
            () = stop.cancelled() => "the gateway stops",
        };
        shared.log.line(&format!("#{number} from {peer}: closed: {ended}"));
        drop(socket);
        let _ = session.await;
    }
}

fn note(shared: &Shared, number: u64, peer: SocketAddr, result: Result<(), russh::Error>) {
    match result {
        // A client that just goes is nothing to tell about; so is one that was refused.
        Ok(()) | Err(russh::Error::IO(_) | russh::Error::HUP | russh::Error::Disconnect) => {}
        Err(error) => {
            let text = format!("#{number} from {peer}: {error}");
            shared.log.stranger(&format!("{} {error}", peer.ip()), &text);
        }
    }
}

/// The connection's socket once more: dropping it closes the connection for everybody.
struct Socket(OwnedFd);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }
}
