//! From the desired cloud to the graph of steps that makes it so. Pure: files are rendered, nothing
//! is looked at.
//!
//! The keys are an interface: `aio plan` prints them, records and logs name them. See
//! [`StepKey`](crate::engine::key::StepKey).

mod builder;
mod containers;
mod host;
mod inbound;
mod network;
mod services;

pub(super) use builder::{back_in_service, catalog_key, ready_key};
pub use builder::{container_key, form_key, health, steps};
pub use network::network_spec;
pub(super) use services::rendered_done;
pub use services::setup_command;
