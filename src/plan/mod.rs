//! What is to be done, as a graph of steps. Pure.

pub mod graph;
