//! Which limits the kernel's control groups of this host have.

use std::path::Path;

const MOUNTS: &str = "/sys/fs/cgroup";

/// Whether the tasks of a container can be limited.
pub fn tasks(unified: bool) -> bool {
    has_tasks(Path::new(MOUNTS), unified)
}

/// Whether the swap that a container takes can be limited: not where the kernel does not count it.
pub fn swap(unified: bool) -> bool {
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    has_swap(Path::new(MOUNTS), unified, &command_line)
}

fn has_tasks(mounts: &Path, unified: bool) -> bool {
    if unified {
        let controllers = std::fs::read_to_string(mounts.join("cgroup.controllers"));
        return controllers.is_ok_and(|names| names.split_whitespace().any(|name| name == "pids"));
    }
    mounts.join("pids/cgroup.procs").exists()
}

fn has_swap(mounts: &Path, unified: bool, command_line: &str) -> bool {
    if !unified {
        return mounts.join("memory/memory.memsw.limit_in_bytes").exists();
    }
    // The root of the tree has no limits. A group below it with a memory limit tells; where there is
    // none yet, a kernel counts swap unless it is told not to.
    let groups = std::fs::read_dir(mounts).into_iter().flatten().flatten();
    let limited = groups.map(|group| group.path()).find(|group| group.join("memory.max").exists());
    match limited {
        Some(group) => group.join("memory.swap.max").exists(),
        None => !command_line.split_whitespace().any(|word| word == "swapaccount=0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mounts: &Path, path: &str, text: &str) {
        let path = mounts.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn both_versions_say_what_they_can_limit() {
        let mounts = tempfile::tempdir().unwrap();
        let mounts = mounts.path();
        for unified in [true, false] {
            assert!(!has_tasks(mounts, unified));
            assert!(!has_swap(mounts, unified, "quiet swapaccount=0"));
        }
        assert!(has_swap(mounts, true, "quiet"));
        file(mounts, "lxc/memory.max", "max\n");
        assert!(!has_swap(mounts, true, "quiet"));
        file(mounts, "cgroup.controllers", "cpu memory pids\n");
        file(mounts, "lxc/memory.swap.max", "max\n");
        assert!(has_tasks(mounts, true) && has_swap(mounts, true, ""));
        file(mounts, "pids/cgroup.procs", "1\n");
        file(mounts, "memory/memory.memsw.limit_in_bytes", "9223372036854771712\n");
        assert!(has_tasks(mounts, false) && has_swap(mounts, false, ""));
    }
}
