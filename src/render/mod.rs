//! Templates rendered to files, and where each line of them came from. Pure.

mod context;
mod errors;
mod functions;
mod renderer;
#[cfg(test)]
mod testing;

pub use renderer::Renderer;
