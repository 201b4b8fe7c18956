//! A container kind: its layers, memory and data, and its units, files and health.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use super::file::{File, Origin, root_root};
use super::listener::Listener;
use super::unit::Unit;
use crate::config::release::Release;

/// A kind of container; its members differ in number, name and address alone.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerKind {
    /// One line for tables.
    pub summary: String,
    /// How many members `--with` gives it where the scenario has none: 1 unless it says otherwise,
    /// 0 for a kind that must be asked for by its own name.
    #[serde(default = "one")]
    pub members: u32,
    /// How many it can have at most, where there is a limit.
    #[serde(default)]
    pub most: Option<u32>,
    /// Named layers of the release file (`profiles/releases`) that lie below the kind's own,
    /// lowest first, without the base: `[openstack]`.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Packages of the kind's own layer. Empty: the kind has no layer of its own. Kinds with the same
    /// `layers` and `packages` share one: write the list once, with an anchor of YAML's.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Packages that bring OpenStack's own programs, in releases that have them as packages. Others have
    /// them as wheels.
    #[serde(default)]
    pub packaged: Vec<String>,
    /// Users beside those that its units run as, and the further groups that any of them is in: `{nova:
    /// [kvm, libvirt]}`. For releases whose programs come without packages.
    #[serde(default)]
    pub users: BTreeMap<String, Vec<String>>,
    /// A shell script that finishes the kind's own layer: it runs in the layer's system, as the owner of
    /// its files, without capabilities and without a network. For releases whose programs come without
    /// packages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub layer_script: String,
    /// Networks beside the NAT network that every container has: `[management]`.
    #[serde(default = "management_only")]
    pub networks: Vec<String>,
    /// Those of `networks` whose interface comes without its address: the service itself takes it
    /// over, and puts the address where it wants it (a switch's own port, say). Templates see it in
    /// `container.addresses` all the same.
    #[serde(default)]
    pub unaddressed: Vec<String>,
    /// Devices of the host that it may open, where the host has them: `[/dev/net/tun]`. They are nodes
    /// of its own, whatever the permissions of the host's are.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Whether it makes network namespaces, or mounts file systems of the kernel's. In an
    /// unprivileged container the kernel allows that only where whole ones stand already.
    #[serde(default)]
    pub nesting: bool,
    /// Whether the internal virtual address stands on this kind's management interface.
    #[serde(default)]
    pub virtual_address: bool,
    /// Whether its daemons speak TLS themselves where everything does: each member then has a
    /// certificate, for its management address and, where it answers at the virtual address, for that.
    #[serde(default)]
    pub certificate: bool,
    /// Why the container must be privileged; absent for an unprivileged one.
    #[serde(default)]
    pub privileged: Option<String>,
    /// Whether its units ask the identity service for others as soon as they start: they wait for
    /// users, roles and the catalog. Others are started beside the identity service.
    #[serde(default)]
    pub needs_catalog: bool,
    /// Kinds without whose units its own do not finish their start, of the same service mostly: what a
    /// service `needs` is there anyway. Other kinds of a service are started beside each other.
    #[serde(default)]
    pub after: Vec<String>,
    /// Whether the others work with it while it is of the release before theirs: an upgrade comes to it
    /// last of all, or leaves it where it is.
    #[serde(default)]
    pub upgraded_last: bool,
    /// Whether other versions of the release's Python distributions take the place of its own while it
    /// runs, where nothing else of its layers changed: what users have in it goes on.
    #[serde(default)]
    pub renewed_in_place: bool,
    /// What it lets in beside the host and the load balancer, which reaches what stands behind a
    /// frontend. Nobody else opens a connection to it.
    #[serde(default)]
    pub listens: Vec<Listener>,
    /// Kinds that do not name this one in their `listens`, and let it in there all the same: for a
    /// service that uses one of another profile without the load balancer between.
    #[serde(default)]
    pub client_of: Vec<String>,
    /// What it uses and may use.
    pub memory: Memory,
    /// Its share of the processors where they are short, beside the 100 of any other kind: 1 to 10000,
    /// as `cpu.weight` of the kernel's control groups. For what all others wait for, and for what
    /// answers a health check.
    #[serde(default)]
    pub cpu_weight: Option<u16>,
    /// Directories that outlive a rebuild.
    #[serde(default)]
    pub data: Vec<DataDirectory>,
    /// Directories of the host, shared by all clouds, that it may read.
    #[serde(default)]
    pub shared: Vec<SharedDirectory>,
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

impl ContainerKind {
    /// Writes out what follows from what its units run in a release, and leaves out what is for others.
    pub(crate) fn complete(&mut self, service: &str, release: &Release) {
        let origin = release.origin();
        let has = |only, since: &Option<String>, until: &Option<String>| {
            release.has(only, since.as_deref(), until.as_deref())
        };
        self.units.retain(|unit| has(unit.only, &unit.since, &unit.until));
        match origin {
            Origin::Packages => {
                self.packages.append(&mut self.packaged);
                self.users.clear();
                self.layer_script.clear();
            }
            Origin::Wheels => {
                self.packaged.clear();
                let users = self.units.iter().filter_map(|unit| unit.user(service));
                for user in users.filter(|user| *user != "root") {
                    self.users.entry(user.to_owned()).or_default();
                }
            }
        }
        self.files.retain(|file| has(file.only, &file.since, &file.until));
        self.files.extend(self.units.iter().flat_map(|unit| unit.files(service, origin)));
    }
}

fn one() -> u32 {
    1
}

fn management_only() -> Vec<String> {
    vec!["management".to_owned()]
}

/// Memory of one member: what `aio profile measure KIND` prints.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
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
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
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

/// A directory of the host in a container, read-only.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SharedDirectory {
    /// Which.
    pub directory: HostDirectory,
    /// Absolute path in the container.
    pub path: String,
}

/// What the host keeps for all clouds of a state directory.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HostDirectory {
    /// Packages of the distribution, of which layers are built.
    Packages,
    /// Python wheels that checkouts needed.
    Wheels,
}

fn mode_0755() -> String {
    "0755".to_owned()
}

/// One question whose answer tells whether something works.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
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
    /// A shell script in the container exits with 0: for what listens on nothing, that it is connected to
    /// the message queue (`ss`, as in `services/cinder.yml`).
    Run {
        /// *Template*.
        script: String,
    },
}

fn status_200() -> Vec<u16> {
    vec![200]
}
