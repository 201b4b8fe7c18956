//! Commands that `aio` gives itself: processes of their own, in containers or without rights.

use std::process::ExitCode;

use super::dev::confined;
use crate::gateway::{daemon, inside};
use crate::host::confined::COMMAND;
use crate::lxc::{helper, hook, view};

/// Runs the hidden command of this process, if it is one. Before anything that could start a thread:
/// some fork, or change namespaces.
pub fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    Some(match first.to_str()? {
        "__helper" => helper::main(),
        "__hook" => hook::main(arguments),
        view::COMMAND => view::main(arguments),
        inside::COMMAND => inside::main(),
        daemon::COMMAND => daemon::main(),
        COMMAND => confined::main(),
        _ => return None,
    })
}
