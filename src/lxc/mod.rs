//! liblxc and the system calls that the standard library lacks: the only unsafe code.
//!
//! Whatever makes liblxc fork (start, stop, attach) or changes the process as a whole (namespaces,
//! root directory, credentials) runs in a process of its own with a single thread: the hidden
//! commands `aio __helper` ([`helper`]) and `aio __hook` ([`hook`]), which `main` dispatches before
//! any thread exists. A fork of a process with threads could inherit locked mutexes, and the
//! monitor that a start leaves behind would be a copy of it, secrets included. Reading (state, init
//! process) is safe anywhere.

pub mod accounts;
pub mod attach;
pub mod bounded;
pub mod container;
pub mod descent;
pub mod files;
pub mod filter;
pub mod helper;
pub mod hook;
pub mod inside;
pub mod log;
pub mod prepare;
pub mod process;
pub mod protocol;
pub mod publication;
mod relay;
pub mod root;
pub mod rooted;
pub mod sandbox;
pub mod syscall;
pub mod view;
