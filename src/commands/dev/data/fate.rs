//! The end of a swap, as its databases see it.

/// What becomes of databases when a swap is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They go back if the release's own code may not run on them.
    AsNeeded,
    /// They go back.
    Back,
    /// They stay as they are.
    Stay,
}
