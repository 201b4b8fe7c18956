//! The process that undoes a swap when it ends.

use crate::error::{Error, Result};
use crate::lxc::process::started_ticks;
use crate::model::swap::Holder;

/// This process.
pub fn own() -> Result<Holder> {
    let pid = std::process::id();
    let started = started_ticks(pid)
        .ok_or_else(|| Error::failed("look at the own process").because("`/proc` has none"))?;
    Ok(Holder { pid, started })
}

/// Whether it still runs: a later process of the same number is another one.
pub fn is_alive(holder: Holder) -> bool {
    started_ticks(holder.pid) == Some(holder.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_lives_and_one_that_started_at_another_time_does_not() {
        let own = own().unwrap();
        assert!(is_alive(own));
        assert!(!is_alive(Holder { started: own.started + 1, ..own }));
        assert!(!is_alive(Holder { pid: u32::MAX, ..own }));
    }
}
