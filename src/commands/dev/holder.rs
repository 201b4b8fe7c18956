//! The process that undoes a swap when it ends.

use crate::error::{Error, Result};
use crate::model::swap::Holder;

/// This process.
pub fn own() -> Result<Holder> {
    let pid = std::process::id();
    let started = started(pid)
        .ok_or_else(|| Error::failed("look at the own process").because("`/proc` has none"))?;
    Ok(Holder { pid, started })
}

/// Whether it still runs: a later process of the same number is another one.
pub fn is_alive(holder: Holder) -> bool {
    started(holder.pid) == Some(holder.started)
}

/// Returns when a process started, in clock ticks since the host's boot: the 22nd field of
/// `/proc/PID/stat` (see proc(5)), counted after the name, which may hold anything.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
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
