//! Stateful fakes of the host traits, for tests: same names as the real ones, they fail on demand.

pub mod containers;
pub mod diagnostics;
mod empty;
pub mod http;
pub mod keepsakes;
pub mod network;
pub mod records;
pub mod settings;
pub mod sql;

pub use empty::empty;
