//! What a change of Gerrit's takes along: the changes below it in its own stack, and those that
//! `Depends-On:` names in other projects, as OpenStack's Zuul understands it
//! (<https://zuul-ci.org/docs/zuul/latest/gating.html#cross-project-dependencies>).
//!
//! Nothing is fetched: the review server is asked by its REST interface, without credentials. What it
//! says is a stranger's: answers, changes and time are limited, names are checked, and nothing leads
//! to another server.

use super::change::Change;
use super::git::Watch;
use crate::error::Result;

mod address;
mod answers;
mod collapse;
mod footers;
pub mod needed;
mod network;
mod server;
#[cfg(test)]
mod testing;
mod walk;

use needed::Dependencies;
use network::Network;

/// Finds what a change depends on. `from` is the URL of its project at the review server, or a work
/// tree whose remotes or `.gitreview` lead there. Blocks, so it is for a thread that may.
///
/// # Errors
/// When there is no review server or no such change, when one that is needed is abandoned or cannot
/// be found, and when two of one project do not go together.
pub fn dependencies(from: &str, change: Change, watch: &mut Watch) -> Result<Dependencies> {
    find(from, change, &Network::of_host(), watch)
}

fn find(from: &str, change: Change, network: &Network, watch: &mut Watch) -> Result<Dependencies> {
    let (server, project) = server::find(from, network, watch.cancelled)?;
    (watch.progress)(&format!("ask {} what change {change} depends on", server.base()));
    let (found, notes) = walk::walk(&server, &project, change, watch.cancelled)?;
    let mut changes = collapse::collapse(found, change)?;
    for needed in changes.iter_mut().filter(|needed| needed.project == project) {
        from.clone_into(&mut needed.from);
    }
    Ok(Dependencies { changes, notes })
}

#[cfg(test)]
mod tests;
