//! The command line: one file per command, each with its arguments and a `run` that hands over to
//! the modules that do the work. No logic here.

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
pub mod image;
pub mod logs;
pub mod man;
pub mod openstack;
pub mod profile;
pub mod rebuild;
pub mod size;
mod start;
pub mod status;
pub mod support_bundle;
pub mod tempest;
pub mod verify;

pub use command::{Cli, Command, main};
