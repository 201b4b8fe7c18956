//! Names of steps.

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

/// Names a step, the same over runs and versions. Shown, recorded and logged as a text, which nobody reads
/// back: whoever asks what a step is about asks here.
///
/// | text | what it does |
/// |---|---|
/// | `host/settings`, `host/network`, `host/filters` | kernel limits; bridges, routes, firewall; what each container lets in |
/// | `host/binary`, `host/boot-unit` | what starts the cloud without this `aio` |
/// | `packages/index`, `packages/download` | the packages of all layers |
/// | `layer/NAME` | builds an image layer |
/// | `container/KIND/MEMBER/…` | one container |
/// | `cluster/KIND/seed`, `cluster/KIND/form` | members that form one cluster |
/// | `database/access`, `database/NAME` | accounts and schemas |
/// | `setup/SERVICE/NAME` | a profile's own commands; those `before: cloud` after all services |
/// | `identity/catalog` | domains, projects, users, roles, endpoints |
/// | `service/NAME/ready`, `cloud/verify` | the last looks |
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepKey {
    /// Something that the host has once for the whole cloud.
    Host(HostStep),
    PackageIndex,
    PackageDownload,
    /// An image layer, by its name.
    Layer(String),
    Container {
        kind: String,
        member: u32,
        step: ContainerStep,
    },
    /// The first member of a cluster, before the others.
    ClusterSeed(String),
    /// All members of a cluster, by their kind.
    ClusterForm(String),
    /// The engine's own account in the databases.
    DatabaseAccess,
    /// A database, by its name.
    Database(String),
    Setup {
        service: String,
        command: String,
    },
    /// The identity service's contents.
    Catalog,
    /// The last look at a service.
    Ready(String),
    /// The last look at all.
    CloudVerify,
    /// A step of a command that shares none of its steps with another: `verify/heat/stack`.
    Own(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostStep {
    Settings,
    Binary,
    /// The unit that starts the cloud at boot.
    BootUnit,
    Network,
    Filters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerStep {
    /// Its definition and directories.
    Define,
    Files,
    Start,
    /// The others of its cluster forget the data that it had.
    Forget,
    /// Its units run.
    Units,
    /// Its cluster counts on its data again.
    Grow,
    /// It is back in service, before the next one goes.
    Rejoin,
    /// It is out of service and does not run.
    Stop,
    /// Its root is thrown away.
    Discard,
    /// It is gone, with its data.
    Remove,
}

impl StepKey {
    /// The key of a step that only one command has.
    pub fn new(text: impl Into<String>) -> Self {
        Self::Own(text.into())
    }
}

impl Display for StepKey {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(step) => write!(formatter, "host/{}", step.word()),
            Self::PackageIndex => formatter.write_str("packages/index"),
            Self::PackageDownload => formatter.write_str("packages/download"),
            Self::Layer(name) => write!(formatter, "layer/{name}"),
            Self::Container { kind, member, step } => {
                write!(formatter, "container/{kind}/{member}/{}", step.word())
            }
            Self::ClusterSeed(kind) => write!(formatter, "cluster/{kind}/seed"),
            Self::ClusterForm(kind) => write!(formatter, "cluster/{kind}/form"),
            Self::DatabaseAccess => formatter.write_str("database/access"),
            Self::Database(name) => write!(formatter, "database/{name}"),
            Self::Setup { service, command } => write!(formatter, "setup/{service}/{command}"),
            Self::Catalog => formatter.write_str("identity/catalog"),
            Self::Ready(service) => write!(formatter, "service/{service}/ready"),
            Self::CloudVerify => formatter.write_str("cloud/verify"),
            Self::Own(text) => formatter.write_str(text),
        }
    }
}

impl Serialize for StepKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl HostStep {
    fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Binary => "binary",
            Self::BootUnit => "boot-unit",
            Self::Network => "network",
            Self::Filters => "filters",
        }
    }
}

impl ContainerStep {
    fn word(self) -> &'static str {
        match self {
            Self::Define => "define",
            Self::Files => "files",
            Self::Start => "start",
            Self::Forget => "forget",
            Self::Units => "units",
            Self::Grow => "grow",
            Self::Rejoin => "rejoin",
            Self::Stop => "stop",
            Self::Discard => "discard",
            Self::Remove => "remove",
        }
    }
}
