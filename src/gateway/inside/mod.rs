//! The process that enters a container for one channel: the hidden command that `main` dispatches
//! before any thread exists, since liblxc forks.
//!
//! It reads a [`wire::Request`], attaches a child that becomes the command, the container's SFTP
//! server or a connection, answers, and waits for the child's end. When the gateway hangs up (the client went
//! away, or the gateway was killed) it ends the child and its process group.

mod connect;
mod enter;
mod supervise;
pub mod wire;

pub use enter::{COMMAND, NOT_STARTED, leave_streams, main};
