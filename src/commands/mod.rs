//! The command line: a room per command, with its arguments, what it does, its steps if no other
//! command has them, and its words. A command of one file has it here.
//!
//! What several commands share stands below: [`crate::cloud`] leads from the files and the host to a
//! cloud and a run of its steps.

pub mod attach;
pub mod bootstrap;
mod command;
pub mod completions;
pub mod config;
pub mod destroy;
pub mod dev;
pub mod examples;
pub mod gateway;
pub mod global;
mod hidden;
pub mod image;
pub mod logs;
pub mod man;
pub mod openstack;
pub mod power;
pub mod profile;
pub mod rebuild;
pub mod release;
mod runtime;
pub mod size;
pub mod status;
pub mod support;
pub mod tempest;
pub mod upgrade;
pub mod verify;

pub use command::main;
