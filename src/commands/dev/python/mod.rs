//! The Python half of a swap: what a container's packaged Python has and a checkout needs, the wheels
//! that make up the difference, and how a debugger gets in.
//!
//! It knows neither containers nor checkouts: whoever calls it hands over plain values and a way to
//! run a script in the container ([`Inspect`]).

pub mod debug;
pub mod delta;
pub mod inspect;
mod sitecustomize;
#[cfg(test)]
mod testing;

pub use delta::{Cache, Delta, Whose};
pub use inspect::{Inspect, Inspection, Project, Request};
pub use sitecustomize::SITECUSTOMIZE;
