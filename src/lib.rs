//! `aio`: a production-shaped OpenStack on one machine, for the people who work on OpenStack.
//!
//! The way through the house (an arrow is the only allowed direction of imports):
//!
//! ```text
//! cli → session → config → model → plan → engine → steps → host → lxc
//! ```
//!
//! `gateway`, the SSH server in front of the containers, stands beside `session`: it runs no steps.
//!
//! `model`, `plan` and `render` do no I/O, so a whole cloud can be planned without root. `steps`
//! never print; `ui` never sees the host. `session` is what commands share: from files and facts to a
//! run of steps. OpenStack is data (`profiles/`), this crate is the engine.

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
