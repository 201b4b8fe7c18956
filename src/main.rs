//! The command: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything that could start a thread: both fork, or change namespaces.
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(first) if first == "__helper" => aio::lxc::helper::main(),
        Some(first) if first == "__hook" => aio::lxc::hook::main(arguments),
        Some(first) if first == aio::lxc::view::COMMAND => aio::lxc::view::main(arguments),
        Some(first) if first == aio::gateway::inside::COMMAND => aio::gateway::inside::main(),
        Some(first) if first == aio::gateway::daemon::COMMAND => aio::gateway::daemon::main(),
        Some(first) if first == aio::dev::confined::COMMAND => aio::dev::confined::main(),
        _ => aio::cli::main(),
    }
}
