//! What a service profile says: the schema of `profiles/services/*.yml`.
//!
//! Everything that is true of one OpenStack (or infrastructure) service and not of another stands
//! in such a file. The types here are the whole language; a mechanism that only one service needs
//! is described in general words and named for what it does, never for the service.
//!
//! Strings marked *template* are rendered with the same context as files (see `render`).

mod cluster;
mod container;
mod dev;
mod file;
mod frontend;
mod identity;
mod leave;
mod listener;
mod service;
mod setup;
mod stores;
mod unit;
mod verify;

pub use cluster::{Cluster, ClusterSize, Speech};
pub use container::{ContainerKind, DataDirectory, HostDirectory, Memory, Probe, SharedDirectory};
pub use dev::{SchemaDev, ServiceDev, UnitDev};
pub use file::{File, Merge};
pub use frontend::{Drain, Frontend, FrontendMode, LoadBalancer, ServerDefaults};
pub use identity::{
    CatalogService, Domain, Identity, IdentityServer, Project, RoleAssignment, User,
};
pub use leave::{Ask, ForgetCommand, Leave, Refusal};
pub use listener::{EVERYONE, Listener, Ports, Protocol};
pub use service::{ServiceProfile, Variable};
pub use setup::{Done, SetupCommand, SetupPhase};
pub use stores::{Binding, Database, LimitedUser, Queue, SqlServer, TopicLimit};
pub use unit::{PATIENCE_SECS, Runs, Unit, UnitStart};
pub use verify::{CLIENT_KIND, Check, Part, Suite};
