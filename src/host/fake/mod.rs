//! Stateful fakes of the host traits, for tests: same names as the real ones, they fail on demand.

mod absent;

pub use absent::absent;
