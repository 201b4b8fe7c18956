//! Whether all profiles fit together: every name that one of them uses is defined by another.
//!
//! All mistakes are found in one go, each with its file, its line and the nearest right name.

mod kind;
mod mistakes;
mod profiles;
mod scenario;
mod service;
mod shared;
