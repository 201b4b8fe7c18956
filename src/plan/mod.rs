//! From the desired cloud to a graph of steps.
