//! The host as it is, to compare before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::process::shell;

/// Everything about the host that a cloud may touch, one line each.
#[derive(Clone, Debug)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks at links, routes, rules, mounts, files, control groups and kernel settings.
    pub fn take() -> Self {
        let mut lines = BTreeSet::new();
        let mut add = |what: &str, text: &str| {
            lines.extend(text.lines().map(|line| format!("{what}: {}", line.trim())));
        };
        add("link", &shell("for link in /sys/class/net/*; do echo ${link##*/}; done"));
        add("address", &shell("ip -o addr show | sed 's/ valid_lft.*//' | cut -d' ' -f2-"));
        // Routes that a router announces live for a while, each time as another object.
        add(
            "route",
            &shell(
                "{ ip route show table all; ip -6 route show table all; } \
                 | sed 's/ expires [0-9]*sec//; s/ nhid [0-9]*//'",
            ),
        );
        add("rule", &shell("ip rule"));
        add("nft", &shell("nft --stateless list tables"));
        add("mount", &shell("cut -d' ' -f5 /proc/self/mountinfo"));
        add(
            "cgroup",
            &shell("find /sys/fs/cgroup -maxdepth 3 -type d -path '*lxc*' 2>/dev/null || :"),
        );
        add(
            "setting",
            &shell(
                "sysctl -e fs.inotify net.ipv4.ip_forward kernel.keys net.netfilter \
                 net.ipv4.neigh.default fs.aio-max-nr vm.max_map_count 2>/dev/null \
                 | grep -v nf_conntrack_count || :",
            ),
        );
        for directory in ["/etc", "/usr/local", "/var/lib/lxc", "/var/lib/misc", "/root"] {
            files(Path::new(directory), if directory == "/root" { 1 } else { 8 }, &mut lines);
        }
        for directory in ["/", "/var/lib", "/var/log", "/run", "/opt", "/srv", "/tmp", "/var/tmp"] {
            let Ok(entries) = fs::read_dir(directory) else { continue };
            let paths = entries.flatten().map(|entry| entry.path().display().to_string());
            // Whoever uses the machine leaves temporary files: ours and our tools' have these names.
            let ours =
                |path: &String| ["aio", "mmdebstrap", "apt"].iter().any(|it| path.contains(it));
            let paths = paths.filter(|path| !directory.ends_with("tmp") || ours(path));
            lines.extend(paths.map(|path| format!("path: {path}")));
        }
        // What the first namespace of a test's own leaves: `aio` names none.
        lines.retain(|line| !line.ends_with(": /run/netns"));
        Self(lines)
    }

    /// Keeps it in a file, over a reboot.
    pub fn save(&self, file: &Path) {
        let lines: String = self.0.iter().map(|line| format!("{line}\n")).collect();
        fs::write(file, lines).unwrap();
    }

    /// Reads what [`Self::save`] kept.
    pub fn load(file: &Path) -> Self {
        Self(fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect())
    }

    /// What was added and what is missing now, compared with `before`.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let added = self.0.difference(&before.0).map(|line| format!("+ {line}"));
        let gone = before.0.difference(&self.0).map(|line| format!("- {line}"));
        added.chain(gone).collect()
    }
}

/// Each file with its size and, in `/etc`, a hash of its content: a file that was changed and put back
/// is equal.
fn files(directory: &Path, depth: usize, lines: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth > 1 {
            lines.insert(format!("directory: {}", path.display()));
            files(&path, depth - 1, lines);
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap_or_default();
            lines.insert(format!("link: {} -> {}", path.display(), target.display()));
        } else if kind.is_file() && depth > 1 {
            let size = entry.metadata().map(|metadata| metadata.len()).unwrap_or_default();
            let content = if path.starts_with("/etc") { fs::read(&path) } else { Ok(Vec::new()) };
            let hash = Sha256::digest(content.unwrap_or_default());
            lines.insert(format!("file: {} {size} {:02x?}", path.display(), &hash[..6]));
        }
    }
}
