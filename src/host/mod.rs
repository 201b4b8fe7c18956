//! Everything that touches the machine, behind one trait for each concern.
//!
//! The real implementations stand beside this file, the fakes under [`fake`] with the same names:
//! they keep state and fail on demand. Steps see [`Host`] and nothing else.

mod blocking;
pub mod confined;
pub mod containers;
pub mod diagnostics;
pub mod facts;
#[cfg(test)]
pub mod fake;
pub mod http;
pub mod installation;
pub mod journal;
pub mod keepsakes;
pub mod layers;
mod lookup;
mod machine;
pub mod network;
pub mod python;
pub mod records;
pub mod settings;
pub mod shared;
pub mod sql;
pub mod subids;
pub mod tool;

pub use crate::lxc::process::Stream;
pub use blocking::blocking;
use machine::ask_socket;
pub use machine::{
    BuildProgress, ContainerState, Containers, Diagnostics, Heard, Host, HostNetwork, Http,
    Installation, Keepsakes, Layers, Listen, Records, Request, Response, Settings, Sql, SqlServer,
    Stop, exists,
};
