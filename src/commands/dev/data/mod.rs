//! The databases of a service while it runs from a checkout, and the way back (design §9).
//!
//! Before the first thing that a checkout could write, all databases of its service are kept as of one
//! moment, with a picture of what they look like. When the last swap of the service ends, in whatever
//! way, that picture is compared with what is there. Where tables, revisions or what the code writes of
//! itself (`records` in the profile) are others, the release's own code may not run on them: they go
//! back. Otherwise they stay, with all that was written meanwhile.

mod changes;
mod fate;
mod picture;
mod point;

pub use changes::Changes;
pub use fate::Fate;
pub use picture::revisions;
pub use point::RestorePoint;
