//! What a service profile says: the schema of `profiles/services/*.yml`.
//!
//! Everything that is true of one OpenStack (or infrastructure) service and not of another stands
//! in such a file. The types here are the whole language; a mechanism that only one service needs
//! is described in general words and named for what it does, never for the service.
//!
//! Strings marked *template* are rendered with the same context as files (see `render`).

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// One file of `profiles/services/`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceProfile {
    /// The service's name, equal to the file's stem: `heat`.
    pub service: String,
    /// One line for tables.
    pub summary: String,
    /// Services that must be in a cloud that has this one.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What a user may set in `user_variables.yml` or with `--set`.
    #[serde(default)]
    pub variables: IndexMap<String, Variable>,
    /// The container kinds, in the order in which they are shown.
    pub containers: IndexMap<String, ContainerKind>,
    /// Databases in the cloud's MariaDB.
    #[serde(default)]
    pub databases: Vec<Database>,
    /// Virtual hosts in the cloud's RabbitMQ.
    #[serde(default)]
    pub queues: Vec<Queue>,
    /// What the identity service must know.
    #[serde(default)]
    pub identity: Identity,
    /// What HAProxy serves on the virtual address.
    #[serde(default)]
    pub frontends: Vec<Frontend>,
    /// Commands that prepare the service before its units start, in order.
    #[serde(default)]
    pub setup: Vec<SetupCommand>,
    /// Set by the one service that holds the databases of all others.
    #[serde(default)]
    pub sql_server: Option<SqlServer>,
    /// Set by the one service that balances the frontends of all others.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancer>,
    /// Set by the one service that issues tokens and holds the catalog.
    #[serde(default)]
    pub identity_server: Option<IdentityServer>,
}

/// How the engine administers databases.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SqlServer {
    /// The container kind.
    pub kind: String,
    /// Port on the members.
    pub port: u16,
    /// The account with which the engine logs in from the host's management address.
    pub user: String,
    /// The secret with its password.
    pub secret: String,
    /// Shell command in a member that runs SQL from its standard input as the local administrator:
    /// `mariadb --batch`.
    pub local_client: String,
    /// SQL that makes that account, and the account of the load balancer's check, what they should
    /// be (*template*). Safe to run again.
    pub access: String,
}

/// How the engine talks to the load balancer. Servers are named by the member's container name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// The container kind.
    pub kind: String,
    /// Its runtime socket in the container, with level `admin`.
    pub socket: String,
}

/// How the engine talks to the identity service (API version 3).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityServer {
    /// The frontend that serves it.
    pub frontend: String,
    /// The administrator's user name (domain `Default`).
    pub user: String,
    /// The administrator's project (domain `Default`).
    pub project: String,
    /// The secret with the administrator's password.
    pub secret: String,
}

/// A value that a user may set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// One line: what it does, with the unit.
    pub description: String,
    /// The value when nobody sets one. Its YAML type is the type of the variable.
    pub default: serde_json::Value,
    /// The allowed values, if they are few.
    #[serde(default)]
    pub choices: Vec<serde_json::Value>,
}

/// A kind of container; its members differ in number, name and address alone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerKind {
    /// One line for tables.
    pub summary: String,
    /// Named layers of the release file (`profiles/releases`) that lie below the kind's own,
    /// lowest first, without the base: `[openstack]`.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Packages of the kind's own layer. Empty: the kind has no layer of its own.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Networks beside the NAT network that every container has: `[management]`.
    #[serde(default = "management_only")]
    pub networks: Vec<String>,
    /// Whether the internal virtual address stands on this kind's management interface.
    #[serde(default)]
    pub virtual_address: bool,
    /// Why the container must be privileged; absent for an unprivileged one.
    #[serde(default)]
    pub privileged: Option<String>,
    /// What it uses and may use.
    pub memory: Memory,
    /// Directories that outlive a rebuild.
    #[serde(default)]
    pub data: Vec<DataDirectory>,
    /// Environment of commands run with `aio attach`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Units that run, in the order in which they are started.
    #[serde(default)]
    pub units: Vec<Unit>,
    /// Files that are rendered into it. The release file adds those that every container has.
    #[serde(default)]
    pub files: Vec<File>,
    /// When a member is healthy, beside its units being active.
    #[serde(default)]
    pub health: Vec<Probe>,
    /// Set for kinds whose members form one cluster.
    #[serde(default)]
    pub cluster: Option<Cluster>,
}

fn management_only() -> Vec<String> {
    vec!["management".to_owned()]
}

/// Memory of one member.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// What an idle member uses with one worker per service, in MiB of PSS. Predicts.
    pub idle_mib: u64,
    /// What each further API or RPC worker adds, in MiB.
    #[serde(default)]
    pub per_worker_mib: u64,
    /// The least limit with which it works, in MiB; sizing gives more where the host has it.
    pub limit_mib: u64,
}

/// A directory of its own, bind-mounted, never in the container's upper directory.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataDirectory {
    /// Absolute path in the container.
    pub path: String,
    /// `user:group`, looked up in the layers' own `/etc/passwd`.
    #[serde(default = "root_root")]
    pub owner: String,
    /// Octal: `"0755"`.
    #[serde(default = "mode_0755")]
    pub mode: String,
    /// Whether it starts as a copy of what the layers have at that path.
    #[serde(default)]
    pub from_image: bool,
    /// Whether losing it loses what users made: `rebuild --data` of the last copy is refused.
    #[serde(default)]
    pub precious: bool,
    /// Whether `rebuild --data` leaves it alone (logs).
    #[serde(default)]
    pub keep: bool,
}

fn root_root() -> String {
    "root:root".to_owned()
}

fn mode_0755() -> String {
    "0755".to_owned()
}

/// A systemd unit that runs in a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// With its suffix: `heat-engine.service`.
    pub name: String,
    /// Who starts it.
    #[serde(default)]
    pub start: UnitStart,
    /// How many seconds it may take from its start until its container is healthy.
    #[serde(default = "sixty")]
    pub timeout_secs: u64,
}

fn sixty() -> u64 {
    60
}

/// Who starts a unit.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitStart {
    /// Enabled: systemd starts it with the container (after the first run set it up).
    #[default]
    Boot,
    /// Never enabled: `aio` starts all members of the cluster together (see [`Cluster`]).
    Cluster,
}

/// A file rendered into a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Absolute path in the container (*template*).
    pub path: String,
    /// Below `profiles/templates/`: `heat/heat.conf`.
    pub template: String,
    /// `user:group`, looked up in the layers' own `/etc/passwd`.
    #[serde(default = "root_root")]
    pub owner: String,
    /// Octal: `"0640"`. A file that holds a secret must not be readable by others.
    #[serde(default = "mode_0644")]
    pub mode: String,
    /// How files of `overrides/` are merged into it.
    #[serde(default)]
    pub merge: Merge,
    /// Units to restart when it changes. Empty: all units of the container.
    #[serde(default)]
    pub restarts: Option<Vec<String>>,
    /// What to do instead of a restart: a shell script run in the container.
    #[serde(default)]
    pub apply: Option<String>,
    /// Run `apply` in the first member only (its effect reaches the whole cluster).
    #[serde(default)]
    pub apply_once: bool,
}

fn mode_0644() -> String {
    "0644".to_owned()
}

/// How overrides reach a file.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// It takes none.
    #[default]
    None,
    /// An oslo.config INI file: `overrides/global.conf`, `<service>.conf`,
    /// `<service>/<unit>.conf`, `<kind>/<member>/<service>.conf` are merged into it in that order.
    Ini,
}

/// One question whose answer tells whether something works.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, tag = "probe", rename_all = "snake_case")]
pub enum Probe {
    /// `GET http://MEMBER:port/path` answers with one of `status`.
    Http {
        /// Port on the member's management address.
        port: u16,
        /// With its leading slash.
        path: String,
        /// Accepted status codes.
        #[serde(default = "status_200")]
        status: Vec<u16>,
    },
    /// A TCP connection to the member's management address is accepted.
    Tcp {
        /// The port.
        port: u16,
    },
    /// A query on the member itself returns `expect` in its first column.
    Sql {
        /// One statement.
        query: String,
        /// The text that the first column of the first row must equal.
        expect: String,
    },
    /// A shell script in the container exits with 0.
    Run {
        /// *Template*.
        script: String,
    },
}

fn status_200() -> Vec<u16> {
    vec![200]
}

/// How the members of a kind become and stay one cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The unit that forms it.
    pub unit: String,
    /// Files written before the first start, only while no member has data yet.
    #[serde(default)]
    pub seed: Vec<File>,
    /// How long all members, started together, may take to form the cluster, in seconds.
    pub form_timeout_secs: u64,
    /// Script that prints how advanced a stopped member's data is, as one integer.
    #[serde(default)]
    pub position: Option<String>,
    /// Script that starts the most advanced member as the cluster's first.
    #[serde(default)]
    pub promote: Option<String>,
    /// Script, run in another member, that makes the cluster forget the one whose data was dropped
    /// and that does not run (*template*, `departing` is that member).
    #[serde(default)]
    pub forget: Option<String>,
    /// Script, run in the member that came back without data, that gives it its share again.
    #[serde(default)]
    pub grow: Option<String>,
    /// How the number of members in the cluster is observed from one member.
    pub size: ClusterSize,
}

/// How a cluster's size is observed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, tag = "from", rename_all = "snake_case")]
pub enum ClusterSize {
    /// First column of the first row is the number.
    Sql {
        /// One statement.
        query: String,
    },
    /// Number of elements of the JSON array at `path` for which every field of `filter` is equal.
    Http {
        /// Port on the member's management address.
        port: u16,
        /// With its leading slash.
        path: String,
        /// Basic authentication: user name.
        user: String,
        /// Basic authentication: the secret's name.
        secret: String,
        /// Fields that an element must have to count.
        #[serde(default)]
        filter: BTreeMap<String, serde_json::Value>,
    },
}

/// A database with the one user that owns it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The schema's name.
    pub name: String,
    /// The user's name.
    pub user: String,
    /// The secret with its password.
    pub secret: String,
    /// Container kinds from whose addresses it may log in. HAProxy is always among them: that is
    /// where connections come from.
    #[serde(default)]
    pub direct_from: Vec<String>,
}

/// A virtual host with the one user that may use it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The virtual host's name, with its leading slash.
    pub vhost: String,
    /// The user's name.
    pub user: String,
    /// The secret with its password.
    pub secret: String,
}

/// What the identity service must know of a service.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Domains beside `Default`.
    #[serde(default)]
    pub domains: Vec<Domain>,
    /// Projects.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// Roles beside those that the identity service makes itself.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Users.
    #[serde(default)]
    pub users: Vec<User>,
    /// Entries of the catalog.
    #[serde(default)]
    pub services: Vec<CatalogService>,
}

/// A domain.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// One line.
    #[serde(default)]
    pub description: String,
}

/// A project.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The domain's name.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// One line.
    #[serde(default)]
    pub description: String,
}

fn default_domain() -> String {
    "Default".to_owned()
}

/// A user with its roles.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub name: String,
    /// The domain's name.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// The secret with its password.
    pub secret: String,
    /// What it may do.
    #[serde(default)]
    pub roles: Vec<RoleAssignment>,
}

/// A role on a project or on a domain; exactly one of the two is set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoleAssignment {
    /// The role's name.
    pub role: String,
    /// The project's name (in the user's domain).
    #[serde(default)]
    pub project: Option<String>,
    /// The domain's name.
    #[serde(default)]
    pub domain: Option<String>,
}

/// An entry of the catalog: public, internal and admin endpoints of one frontend.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogService {
    /// Its name: `heat`.
    pub name: String,
    /// Its type: `orchestration`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line.
    #[serde(default)]
    pub description: String,
    /// The frontend that serves it.
    pub frontend: String,
    /// What follows the port: `/v1/%(project_id)s`.
    #[serde(default)]
    pub path: String,
}

/// A port on the virtual address, and who answers there.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// Unique among all services; also the name of HAProxy's section.
    pub name: String,
    /// Port on the virtual address.
    pub port: u16,
    /// What HAProxy understands of the traffic.
    pub mode: FrontendMode,
    /// The container kind that answers.
    pub backend: String,
    /// Port on the members; the frontend's when absent.
    #[serde(default)]
    pub backend_port: Option<u16>,
    /// Whether one member serves and the others are its backups.
    #[serde(default)]
    pub single_active: bool,
    /// Further lines of the section, one directive each (*template*).
    #[serde(default)]
    pub options: String,
    /// What follows `server NAME ADDRESS:PORT` on every server's line, `check` included.
    pub server_options: String,
    /// How a member is taken out before its units are touched.
    #[serde(default)]
    pub drain: Drain,
    /// Whether `--expose` also serves it on the host's own address.
    #[serde(default)]
    pub expose: bool,
}

/// What HAProxy understands of the traffic.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FrontendMode {
    /// Requests.
    Http,
    /// Bytes.
    Tcp,
}

/// How a member is taken out.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drain {
    /// `drain`: sessions end by themselves (requests).
    #[default]
    Drain,
    /// `maint`: sessions are ended, clients reconnect elsewhere (long-lived connections).
    Maintenance,
}

/// A command that prepares a service before its units start.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SetupCommand {
    /// Unique in the profile: `schema`.
    pub name: String,
    /// Shown while it runs: "schema of heat".
    pub title: String,
    /// The container kind in whose first member it runs.
    pub container: String,
    /// A shell script run as root. Secrets come by `environment`, never here.
    pub script: String,
    /// Environment of the script (*template*: secrets allowed).
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How it is observed to be done already.
    pub done: Done,
    /// `units`: before the service's units start (the default). `service`: after they are healthy.
    #[serde(default)]
    pub before: SetupPhase,
}

/// When a set-up command runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupPhase {
    /// Before the service's units start.
    #[default]
    Units,
    /// After the units are healthy, before the service counts as ready.
    Ready,
}

/// How a set-up command is observed to be done.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, tag = "observe", rename_all = "snake_case")]
pub enum Done {
    /// The query returns a row whose first column is not 0 (a missing table: not done), and the
    /// container's layers are those with which the script last ran.
    Sql {
        /// One statement, tables qualified by their schema.
        query: String,
    },
    /// The identity service issues a token to the user `admin` with the present secret.
    AdminToken,
}
