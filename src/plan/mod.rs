//! What is to be done, as a graph of steps. Pure.

pub mod bootstrap;
pub mod change;
pub mod leave;
pub mod rolling;
