//! `aio`: a production-shaped OpenStack on one machine, for the people who work on OpenStack.
//!
//! OpenStack is data (`profiles/`), this crate is the engine. Imports go one way, which
//! `tests/architecture.rs` reads from the sources:
//!
//! ```text
//! cli → session → gateway → plan → {steps, ui} → engine → {dev, host} → secrets → state → lxc →
//! render → model → config → error
//! ```
//!
//! A value stands in the lowest room that speaks of it. The rooms that touch the machine stand above
//! those that only think, `lxc` above `model` too, so that the order alone keeps `render`, `model` and
//! `config` from I/O other than reading profiles and the user's files. `plan` builds steps and stands
//! above them, but sees neither the host nor what is stored there: a whole cloud can be planned without
//! root. `steps` never print, `ui` never sees the host. `gateway`, the SSH server in front of the
//! containers, runs no steps. `session` is what commands share: from files and facts to a run of steps.

pub mod cli;
pub mod config;
pub mod dev;
pub mod engine;
pub mod error;
pub mod gateway;
pub mod host;
pub mod lxc;
pub mod model;
pub mod plan;
pub mod render;
pub mod secrets;
pub mod session;
pub mod state;
pub mod steps;
pub mod ui;
