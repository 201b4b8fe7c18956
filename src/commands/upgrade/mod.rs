//! `aio upgrade`: a running cloud from one release of OpenStack to the next, and back.
//!
//! It is the graph of `bootstrap` for the cloud that is to be, put in an order ([`order`]): services go
//! one after another, those that others need first. Of each the schema is brought to what both releases
//! live with, by the next one's code in a container that still serves the former ([`beside`]); then it
//! is written down that the service is of the next release; then its members are replaced, one at a time;
//! then its set-up commands run whole. A run that was cut off is simply run again: what is behind is
//! known from what was written down ([`Cloud::behind`](crate::model::cloud::Cloud::behind)), and all else
//! is looked at. Who is on its way up by then is waited for ([`members`]): the next of its kind is stopped
//! when it serves.
//!
//! Before the first change all databases are copied at one moment ([`restore_point`]). Layers of the
//! former release stay until the upgrade is accepted.

mod args;
mod back;
mod beside;
mod members;
mod options;
mod order;
mod pairs;
mod plan;
mod probe;
mod restore_point;
mod run;
mod standing;
mod upgraded;
mod words;

pub use args::{Args, run};
pub use standing::Standing;
