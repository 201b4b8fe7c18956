//! Who listens to a run, by how much a user wants to see of it.

use std::io::IsTerminal;

use crate::engine::listen::Listener;

/// How much a user wants to see of a run.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub json: bool,
    /// Nothing but errors and data.
    pub quiet: bool,
    /// 0: what changed; 1: every step; 2: every line of output too.
    pub verbose: u8,
    /// Every line of output where no bars can show how far it is.
    pub lines: bool,
}

/// The listeners of a run that changes something or looks whether it would.
pub fn listeners(wish: Wish, log: Option<&super::logfile::LogFile>) -> Vec<Box<dyn Listener>> {
    let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
    if let Some(log) = log {
        listeners.push(Box::new(log.clone()));
    }
    if wish.json {
        if !wish.quiet {
            listeners.push(Box::new(super::json::Json));
        }
    } else if !wish.quiet {
        if wish.verbose == 0 && can_redraw() {
            listeners.push(Box::new(super::bars::Bars::default()));
        } else {
            let verbose = if wish.lines { 2 } else { wish.verbose };
            listeners.push(Box::new(super::plain::Plain::new(verbose)));
        }
    }
    listeners
}

/// Whether standard error is a terminal that can move its cursor.
fn can_redraw() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
