//! Swapping a unit's code for a checkout, and back: what the steps of both ways do.
//!
//! Each deed is done once in a run and not compared with what is: a swap is a transaction, with its
//! record ([`crate::state::swaps`]) written before the first change. Every deed of the way back
//! tolerates that what it undoes was never done, or was undone before.

mod ending;
mod process;
mod python;
mod renew;
mod schema;
mod swap_back;
mod swap_in;
mod work;

pub use process::{Observed, is_published, observe};
pub use python::ContainerPython;
pub use schema::Schema;
pub use swap_in::SwapIn;
pub use work::{BalancerFile, Deed, DeedFuture, Work};
