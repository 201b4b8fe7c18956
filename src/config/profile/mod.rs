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
mod upgrade;
mod verify;

pub use cluster::{Cluster, ClusterSize, Speech};
pub use container::{ContainerKind, HostDirectory, Probe};
pub use dev::{SchemaDev, ServiceDev, UnitDev};
pub use file::{File, Merge, Origin};
pub use frontend::{Drain, Frontend, FrontendMode, LoadBalancer};
pub use identity::{Identity, IdentityServer, User};
pub use leave::{Ask, ForgetCommand, Leave, Refusal};
pub use listener::{EVERYONE, Ports, Protocol};
pub use service::{ServiceProfile, Variable};
pub use setup::{Done, SetupCommand, SetupPhase};
pub use stores::{Database, Queue, SqlServer};
pub use unit::{PATIENCE_SECS, Runs, Unit, UnitStart};
pub use upgrade::ServiceUpgrade;
#[cfg(test)]
pub use verify::Part;
pub use verify::{CLIENT_KIND, Check, Lasting, Suite};
