//! Real image layers: directories built by mmdebstrap, APT and dpkg, published by a rename.
//!
//! The base is unpacked by mmdebstrap; the packages of every layer, the base's own included, are
//! installed by the host's APT into an overlay of the parents and one upper directory, which then
//! is the layer. See `build.sh` for what happens in there, and why it is fast.

mod acquire;
mod build;
mod failure;
mod finish;
mod index;
mod install;
mod packages;
mod pool;
mod preparations;
mod process;
mod python;
mod real;
pub mod sources;
mod startable;
mod status;
mod store;
mod units;
mod users;
mod workspace;

pub use real::{RealLayers, downloads_size, remove_downloads};
pub use users::users;
