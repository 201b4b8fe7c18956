//! From the desired cloud to the graph of steps that makes it so. Pure: files are rendered, nothing
//! is looked at.
//!
//! The keys are an interface: `aio plan` prints them, records and logs name them.
//!
//! | key | what it does |
//! |---|---|
//! | `host/settings`, `host/network` | kernel limits; bridges, routes, firewall |
//! | `host/filters` | what each container lets in |
//! | `layer/NAME` | builds an image layer |
//! | `container/KIND/MEMBER/define`, `…/files`, `…/start`, `…/units` | one container |
//! | `cluster/KIND/seed`, `cluster/KIND/form` | members that form one cluster |
//! | `container/KIND/MEMBER/forget`, `…/grow` | a member whose data was dropped |
//! | `container/KIND/MEMBER/rejoin` | a member is back, before [`super::rolling`] lets the next go |
//! | `database/access`, `database/NAME` | accounts and schemas |
//! | `setup/SERVICE/NAME` | a profile's own commands; those `before: cloud` after all services |
//! | `identity/catalog` | domains, projects, users, roles, endpoints |
//! | `service/NAME/ready`, `cloud/verify` | the last looks |

mod builder;
mod containers;
mod host;
mod inbound;
mod network;
mod services;

pub(super) use builder::{catalog_key, ready_key};
pub use builder::{container_key, form_key, health, steps};
pub use network::network_spec;
pub use services::setup_command;
