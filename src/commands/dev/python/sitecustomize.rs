//! What Python runs first in a swapped unit.

/// The `sitecustomize.py` of a swapped unit: its table says which environment variables it obeys.
pub const SITECUSTOMIZE: &str = include_str!("../../../../bootstrap/dev/sitecustomize.py");

#[cfg(test)]
mod tests;
