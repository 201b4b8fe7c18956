//! The machine, as steps see it: one trait for each concern.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::subids::IdRanges;
use crate::error::{Result, ResultExt};
use crate::lxc::bounded;
use crate::lxc::process::Stream;
use crate::model::command::{Command, Output};
use crate::model::facts::HostFacts;
use crate::model::file::ContainerFile;
use crate::model::host_network::HostNetworkSpec;
use crate::model::journal::Entry;
use crate::model::layer::{LayerInfo, LayerSpec};
use crate::model::publication::Publication;
use crate::model::startup::Startup;
use crate::model::topology::Container;

/// The machine, as steps see it.
pub struct Host {
    /// Containers.
    pub containers: Arc<dyn Containers>,
    /// Image layers.
    pub layers: Arc<dyn Layers>,
    /// What is kept beside them.
    pub keepsakes: Arc<dyn Keepsakes>,
    /// Bridges, routes, firewall.
    pub network: Arc<dyn HostNetwork>,
    /// Settings of the kernel and files of the host that are put back at the end.
    pub settings: Arc<dyn Settings>,
    /// SQL on the cloud's databases.
    pub sql: Arc<dyn Sql>,
    /// HTTP to the cloud's services.
    pub http: Arc<dyn Http>,
    /// What earlier runs wrote down.
    pub records: Arc<dyn Records>,
    /// The binary's copy and the boot unit.
    pub installation: Arc<dyn Installation>,
    /// What it says about itself.
    pub diagnostics: Arc<dyn Diagnostics>,
    /// What time limits are multiplied by. Those that are given to the host (of a command, a request)
    /// it multiplies itself; a step that waits asks [`Self::patiently`].
    pub patience: u32,
}

impl Host {
    /// A time limit on this host.
    pub fn patiently(&self, limit: Duration) -> Duration {
        limit * self.patience
    }
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// LXC does not know it.
    Absent,
    /// Defined, not running.
    Stopped,
    /// Running.
    Running {
        /// Process id of its init on the host.
        init_pid: u32,
    },
}

/// What becomes of each line of a command, without its newline, as it comes.
pub type Heard = Arc<dyn Fn(Stream, &str) + Send + Sync>;

/// How a command that runs for long is listened to, and told to end.
#[derive(Clone)]
pub struct Listen {
    /// Called with each line.
    pub heard: Heard,
    /// When it is cancelled the command is asked to end.
    pub cancel: CancellationToken,
}

/// How a container is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its init is asked to shut down; killed after the time given.
    Orderly(Duration),
    /// Killed at once.
    Kill,
}

/// Containers, by their full name.
#[async_trait]
pub trait Containers: Send + Sync {
    /// What it is doing. Cheap: no process is started.
    async fn state(&self, name: &str) -> Result<ContainerState>;

    /// Whether LXC's definition and the recorded specification are those of `container`.
    /// `Some(reason)` when they are not.
    async fn definition_differs(&self, container: &Container) -> Result<Option<String>>;

    /// Writes LXC's configuration, the recorded specification, the upper directory with the
    /// identity files, units unmasked, and the data directories that are missing. An upper directory
    /// whose definition had gone is thrown away first. The container is stopped.
    async fn define(&self, container: &Container) -> Result<()>;

    /// Gives a running container what [`Container::renewed`] says, if nothing else of its definition
    /// changed; returns whether it did. What runs in it goes on.
    async fn renew(&self, container: &Container) -> Result<bool>;

    /// Why the rules of what containers let in, by full name, are not kept for their next start or not
    /// loaded where they run. Cheap, and without a look into their namespaces.
    async fn filters_differ(&self, filters: &BTreeMap<String, String>) -> Result<Option<String>>;

    /// Keeps the rules, and loads them where containers run.
    async fn apply_filters(&self, filters: &BTreeMap<String, String>) -> Result<()>;

    /// Starts it and returns when its init answers (systemd reached its job queue).
    async fn start(&self, name: &str) -> Result<()>;

    /// Stops it; no error when it is stopped or absent.
    async fn stop(&self, name: &str, how: Stop) -> Result<()>;

    /// Throws away the definition and the upper directory of a stopped container, not its data.
    async fn discard(&self, name: &str) -> Result<()>;

    /// Throws away data directories (those with `keep` stay) of a stopped container.
    async fn discard_data(&self, container: &Container) -> Result<()>;

    /// Runs a command in a running container.
    async fn run(&self, name: &str, command: Command) -> Result<Output>;

    /// As [`Containers::run`], listened to. When it is cancelled or its time is over it is asked to
    /// end, and waited for: it can clean up after itself.
    async fn follow(&self, name: &str, command: Command, listen: &Listen) -> Result<Output> {
        let output = self.run(name, command).await?;
        for (stream, bytes) in [(Stream::Out, &output.stdout), (Stream::Err, &output.stderr)] {
            for line in String::from_utf8_lossy(bytes).lines() {
                (listen.heard)(stream, line);
            }
        }
        Ok(output)
    }

    /// Reads a file of a container, running or stopped; `None` when there is none. The owner is
    /// resolved to names.
    async fn read_file(&self, name: &str, path: &str) -> Result<Option<ContainerFile>>;

    /// What the layers of a defined container hold at that path; nothing where they have no such file.
    async fn image_file(&self, name: &str, path: &str) -> Result<Vec<u8>>;

    /// Writes files atomically, each with owner and mode, missing parent directories made (0755
    /// root). Works on a running and on a defined, stopped container.
    async fn write_files(&self, name: &str, files: &[ContainerFile]) -> Result<()>;

    /// Which of these units are active. For services by their control group, without starting a
    /// process.
    async fn active_units(&self, name: &str, units: &[String]) -> Result<Vec<bool>>;

    /// How many processes of a container the kernel killed since its start, because together they
    /// reached its memory limit; 0 when it does not run.
    async fn memory_kills(&self, name: &str) -> Result<u64>;

    /// The process id, on the host, of a service's main process: the one that systemd started;
    /// `None` when it does not run.
    async fn main_process(&self, name: &str, unit: &str) -> Result<Option<u32>>;

    /// Makes directories and files of the host appear in a running container, in place of what was
    /// published for the same unit. `keep`: also after each later start of the container.
    async fn publish(&self, name: &str, publication: &Publication, keep: bool) -> Result<()>;

    /// Takes away what was published for a unit, kept or not; no error when there is nothing.
    async fn withdraw(&self, name: &str, unit: &str) -> Result<()>;

    /// Names of all containers of this cloud that LXC defines, in LXC's own path.
    async fn list(&self) -> Result<Vec<String>>;

    /// A path on the host through which a path of the running container is reached
    /// (`/proc/PID/root/…`), for sockets.
    async fn host_path(&self, name: &str, path: &str) -> Result<PathBuf>;

    /// Whether something (a dangling symbolic link too) stands at that path of a running container.
    async fn path_exists(&self, name: &str, path: &str) -> Result<bool> {
        Ok(exists(&self.host_path(name, path).await?))
    }

    /// Sends one request to a unix socket of a running container and reads the answer to its end.
    async fn socket(&self, name: &str, path: &str, request: &str) -> Result<String> {
        let socket = self.host_path(name, path).await?;
        let answer = ask_socket(&socket, request).await;
        answer.doing(|| format!("ask the socket `{path}` of container `{name}`"))
    }
}

/// Sends one request to a unix socket and reads the answer to its end, or as far as there is a place
/// for it.
pub(super) async fn ask_socket(socket: &Path, request: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::UnixStream::connect(socket).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let most = bounded::LARGEST_BYTES;
    stream.take(most + 1).read_to_end(&mut answer).await?;
    if answer.len() as u64 > most {
        return Err(bounded::too_much(most));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Reports bytes or packages done, of how many, and lines of output, while a layer is built.
pub trait BuildProgress: Send + Sync {
    /// How far it is.
    fn progress(&self, current: u64, total: u64, unit: &'static str);
    /// A line that a tool printed.
    fn line(&self, line: &str);
    /// Whether to give up.
    fn cancelled(&self) -> bool;
}

/// Image layers, by id.
#[async_trait]
pub trait Layers: Send + Sync {
    /// Whether it is published. Cheap.
    async fn exists(&self, id: &str) -> Result<bool>;

    /// Fetches the package index and finds the packages of all these layers (a parent before its
    /// children) at once. A build does so for its own layer alone if nobody has, which takes longer.
    async fn prepare(
        &self,
        layers: &[(String, LayerSpec)],
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()>;

    /// Downloads the packages of these layers, in their order. A build that runs meanwhile waits for
    /// its own packages only.
    async fn download(
        &self,
        layers: &[(String, LayerSpec)],
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()>;

    /// Builds and publishes a layer whose parent is published. Leaves nothing half-published,
    /// whatever kills it; what was downloaded is kept.
    async fn build(
        &self,
        spec: &LayerSpec,
        id: &str,
        progress: Arc<dyn BuildProgress>,
    ) -> Result<()>;

    /// Why units of a kind could not start in containers of this published layer, in sentences: what
    /// they need and is not there, or masked. None where all is there.
    async fn problems(&self, id: &str, startup: &Startup) -> Result<Vec<String>>;

    /// All published layers.
    async fn list(&self) -> Result<Vec<LayerInfo>>;

    /// Removes a layer that no container and no other layer uses.
    async fn remove(&self, id: &str) -> Result<()>;
}

/// Results that are kept beside image layers, for as long as the layers are there: what the same
/// software would make again in the next cloud.
#[async_trait]
pub trait Keepsakes: Send + Sync {
    /// One of a layer's; `None` where there is none.
    async fn get(&self, layer: &str, name: &str) -> Result<Option<Vec<u8>>>;

    /// Keeps one beside a published layer.
    async fn put(&self, layer: &str, name: &str, content: &[u8]) -> Result<()>;
}

/// Bridges, routes and the firewall of one cloud.
#[async_trait]
pub trait HostNetwork: Send + Sync {
    /// What differs from `spec`, as a reason; `None` when all is right.
    async fn differs(&self, spec: &HostNetworkSpec) -> Result<Option<String>>;

    /// Makes it right: guard routes first, then bridges, addresses, one nftables table.
    async fn apply(&self, spec: &HostNetworkSpec) -> Result<()>;

    /// Removes all of it, guard routes last.
    async fn remove(&self, spec: &HostNetworkSpec) -> Result<()>;

    /// Sentences that name a firewall that cuts the containers off and that only the user can open,
    /// with what to do.
    async fn obstacles(&self, spec: &HostNetworkSpec) -> Result<Vec<String>>;
}

/// Settings that several clouds may share: counted, and restored by the last.
#[async_trait]
pub trait Settings: Send + Sync {
    /// What differs, as a reason. `sysctls` maps a name (`fs.inotify.max_user_instances`) to the
    /// least value that is needed.
    async fn differs(&self, sysctls: &BTreeMap<String, u64>) -> Result<Option<String>>;

    /// Raises what is too low, remembering what it was and that this cloud needs it.
    async fn apply(&self, sysctls: &BTreeMap<String, u64>) -> Result<()>;

    /// Gives up this cloud's need; the last one restores.
    async fn release(&self) -> Result<()>;

    /// The cloud's subordinate ids, a slot for each of so many containers, written to `/etc/subuid`
    /// and `/etc/subgid` if they are not there yet; no other line of either has any of them.
    async fn id_ranges(&self, containers: u32) -> Result<IdRanges>;
}

/// Where a database is reached.
#[derive(Clone, Debug)]
pub struct SqlServer {
    /// Address.
    pub address: Ipv4Addr,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: secrecy::SecretString,
    /// Whether it must speak TLS.
    pub tls: bool,
}

/// MariaDB over its wire protocol.
#[async_trait]
pub trait Sql: Send + Sync {
    /// Rows of one statement, every value as text (`None` is NULL).
    async fn query(&self, server: &SqlServer, statement: &str) -> Result<Vec<Vec<Option<String>>>>;

    /// Runs statements one after another on one connection.
    async fn execute(&self, server: &SqlServer, statements: &[String]) -> Result<()>;
}

/// An HTTP request to a service of the cloud.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Whole address, `http://…` or `https://…`.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// JSON body.
    pub body: Option<serde_json::Value>,
    /// Given up after this (10 s by default).
    pub timeout: Option<Duration>,
}

/// An HTTP response; any status is a response.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body as text.
    pub body: String,
}

/// HTTP without the host's proxy settings: the cloud is on this host.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends it. An error means that no response came.
    async fn send(&self, request: Request) -> Result<Response>;

    /// Whether a TCP connection is accepted within a second.
    async fn connect(&self, address: Ipv4Addr, port: u16) -> Result<()> {
        let doing = || format!("connect to {address}:{port}");
        let attempt = tokio::net::TcpStream::connect((address, port));
        tokio::time::timeout(Duration::from_secs(1), attempt).await.doing(doing)?.doing(doing)?;
        Ok(())
    }
}

/// Small records of one cloud, kept over runs, 0600: hashes of inputs, applied secrets.
#[async_trait]
pub trait Records: Send + Sync {
    /// Reads a record.
    async fn get(&self, key: &str) -> Result<Option<String>>;

    /// Writes a record, atomically.
    async fn set(&self, key: &str, value: &str) -> Result<()>;

    /// Removes a record and all below it (`key/…`).
    async fn remove(&self, key: &str) -> Result<()>;
}

/// What `aio` leaves on the host so that the cloud lives on without the place it was started from.
#[async_trait]
pub trait Installation: Send + Sync {
    /// Why the copy of the binary that hooks call is not the running one; `None` when it is.
    async fn binary_differs(&self) -> Result<Option<String>>;

    /// Copies the running binary.
    async fn install_binary(&self) -> Result<()>;

    /// Why the unit that starts the cloud at boot is not right; `None` when it is, and on a host
    /// without systemd.
    async fn boot_unit_differs(&self) -> Result<Option<String>>;

    /// Writes and enables it.
    async fn install_boot_unit(&self) -> Result<()>;

    /// Removes it.
    async fn remove_boot_unit(&self) -> Result<()>;
}

/// What the host says about itself, for people who look for a fault. Only looks.
#[async_trait]
pub trait Diagnostics: Send + Sync {
    /// All facts, as `aio size` shows them.
    async fn facts(&self) -> Result<HostFacts>;

    /// Runs a tool of the host; any exit status is an answer. Killed when it takes too long.
    async fn tool(&self, program: &str, arguments: &[&str]) -> Result<Output>;

    /// A file of the host, or whole lines of its end that are `limit_bytes` together at most; `None`
    /// when there is none.
    async fn file(&self, path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>>;

    /// The last entries of a container's journal, by its machine id; it need not run.
    async fn journal(&self, machine_id: &str, lines: u32) -> Result<Vec<Entry>>;
}

/// Whether a path is there (used by the pre-flight checks).
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
