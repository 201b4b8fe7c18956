//! `aio gateway`: an SSH server in front of all containers. The user name is the container; no sshd
//! runs in any of them.
//!
//! ```text
//! server ── a connection ──▶ connection (who, which container) ──▶ session | forward   (a channel)
//!                                                                      │
//!                                  process ◀── wire ──▶ inside: a process of this binary that enters
//!                                                       the container and becomes the command
//! ```
//!
//! The gateway never holds the cloud's lock and changes nothing of the cloud: it reads which
//! containers there are when somebody comes in.

pub mod client;
pub mod connection;
pub mod daemon;
pub mod forward;
pub mod host_key;
pub mod input;
pub mod inside;
pub mod keys;
pub mod log;
pub mod names;
mod options;
pub mod process;
pub mod queue;
pub mod records;
pub mod server;
pub mod session;
pub mod socket;
pub mod ssh_config;
pub mod terminal;

pub use options::Options;
pub use records::stop;
