//! The host's tools for Python's distributions, run without rights ([`crate::host::confined`]), and the
//! settings of the host that they follow.

pub mod ini;
mod installer;
mod pip;
mod settings;
#[cfg(test)]
pub mod testing;

pub use installer::{Installer, NAME as UV, Target, Task};
pub use pip::{Pip, Places, Platform, listed};
