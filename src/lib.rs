//! `aio`: a production-shaped OpenStack on one machine, for the people who work on OpenStack.
//!
//! OpenStack is data (`profiles/`), this crate is the engine. Imports go one way, which
//! `tests/architecture.rs` reads from the sources:
//!
//! ```text
//! for_tests → commands → cloud → gateway → plan → {steps, ui} → engine → host → secrets → state →
//! lxc → render → model → config → error
//! ```
//!
//! A value stands in the lowest room that speaks of it. The rooms that touch the machine stand above
//! those that only think, `lxc` above `model` too, so that the order alone keeps `render`, `model` and
//! `config` from I/O other than reading profiles and the user's files. `plan` builds steps and stands
//! above them, but sees neither the host nor what is stored there: a whole cloud can be planned without
//! root. `steps` never print, `ui` never sees the host. `gateway`, the SSH server in front of the
//! containers, runs no steps. `cloud` is the front door: from files and facts to a run of steps.
//! Each of the `commands` has a room with all that is its own, `dev` the largest.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests make what they look at, and need no care")
)]

mod cloud;
mod commands;
mod config;
mod engine;
mod error;
pub mod for_tests;
mod gateway;
mod host;
mod lxc;
mod model;
mod plan;
mod render;
mod secrets;
mod state;
mod steps;
mod ui;

pub use commands::main;
