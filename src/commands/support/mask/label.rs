//! What is masked where, and what is written in its place.

use std::ops::Range;

/// From this many characters on a value is masked wherever it stands.
pub const ANYWHERE: usize = 8;

/// From this many characters on a value is masked where it stands as a word.
pub const WORD: usize = 4;

/// What is written in the place of what looks like a secret.
pub enum Label {
    /// These words.
    Fixed(&'static str),
    /// What stands there.
    Text(Range<usize>),
}
