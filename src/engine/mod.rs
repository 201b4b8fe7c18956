//! Runs a graph of steps: concurrently, journaled, cancellable, resumable.
//!
//! [`run::run`] is the loop. It owns what the user is told (events to [`listen::Listener`]s, a
//! [`report::Report`] at the end); tasks own nothing but their step.

mod act;
mod children;
mod dispatcher;
pub mod durations;
pub mod event;
pub mod graph;
pub mod interrupt;
pub mod journal;
mod judge;
pub mod key;
pub mod listen;
pub mod options;
pub mod report;
pub mod run;
pub mod step;
mod tally;
pub mod wait;
