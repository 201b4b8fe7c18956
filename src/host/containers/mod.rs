//! Real containers: LXC's, with roots of layers.
//!
//! What LXC must know stands in its own directory, so stock tools see and start the containers; the
//! hooks named there mount and unmount the root. What `aio` must know to compare stands in the
//! record beside it ([`definition`]). Nothing here is cached: every answer is looked up.

mod cgroup;
mod client;
mod config;
mod definition;
mod filter;
mod implementation;
mod inner;
pub mod limits;
mod read;
mod real;
mod renew;
mod start;

pub use inner::HostFeatures;
pub use real::RealContainers;
