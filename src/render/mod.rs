//! Templates rendered to files, and where each line of them came from. Pure.

#[cfg(test)]
mod builtin_files_tests;
#[cfg(test)]
pub(crate) mod builtin_tests;
mod context;
mod errors;
mod explain;
mod functions;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod reference_tests;
mod renderer;
#[cfg(test)]
pub(crate) mod testing;
mod trace;

pub use explain::{ExplainedLine, Reason};
pub use functions::derived;
pub use renderer::{Overridden, Renderer, syntax_errors};
