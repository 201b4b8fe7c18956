//! Ends every process that descends from this one: the second Ctrl-C.
//!
//! Children stand in process groups of their own, each made by the part that needs it. Asking the
//! kernel who descends from us needs no book-keeping in any of them and misses none. Containers
//! that are up are not concerned: their monitors were adopted by init.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::lxc::process::Stat;

/// Kills all descendants. A tree that still grows is walked again, a few times at most.
pub fn kill_descendants() {
    for _ in 0..5 {
        let descendants = descendants(getpid(), &parents());
        if descendants.is_empty() {
            return;
        }
        for pid in descendants {
            // It may have ended by itself: nothing to report.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Parent by process, zombies left out.
fn parents() -> HashMap<Pid, Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = Stat::of(pid).filter(|stat| !stat.has_ended())?;
            Some((Pid::from_raw(pid.try_into().ok()?)?, Pid::from_raw(stat.parent)?))
        })
        .collect()
}

/// Returns the processes that have `ancestor` above them, the nearest first.
fn descendants(ancestor: Pid, parents: &HashMap<Pid, Pid>) -> Vec<Pid> {
    let mut found = vec![ancestor];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_grandchildren_and_nobody_else() {
        let pid = |number| Pid::from_raw(number).unwrap();
        let parents: HashMap<Pid, Pid> =
            [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)].map(|(a, b)| (pid(a), pid(b))).into();
        assert_eq!(descendants(pid(2), &parents), [pid(3), pid(4)]);
        assert!(descendants(pid(6), &parents).is_empty());
    }

    #[test]
    fn sees_a_real_child_in_its_own_group() {
        use std::os::unix::process::CommandExt;
        let mut child =
            std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(descendants(getpid(), &parents()).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
