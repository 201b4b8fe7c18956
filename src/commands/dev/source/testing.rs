//! Real repositories for the tests of this module.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

/// Runs git as the machine's settings do not matter; what it printed.
pub fn git(directory: &Path, args: &[&str]) -> String {
    let (succeeded, said) = try_git(directory, args);
    assert!(succeeded, "git {args:?}: {said}");
    said
}

/// As [`git`], for what may fail: whether it succeeded.
pub fn try_git(directory: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example", "-c", "commit.gpgsign=false"])
        .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"])
        .args(["-c", "safe.directory=*"])
        .args(args)
        .env("GIT_EDITOR", "true")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).trim_end().to_owned())
}

/// A directory that other users may enter.
pub fn open_directory() -> tempfile::TempDir {
    static ONCE: Once = Once::new();
    ONCE.call_once(super::allow_foreign_owners);
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// A repository on the branch `main` with one commit of `files`.
pub fn repository(path: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(path).unwrap();
    git(path, &["init", "--quiet"]);
    commit(path, files, "start");
}

/// Writes files and commits all there is; the commit's id.
pub fn commit(path: &Path, files: &[(&str, &str)], subject: &str) -> String {
    write(path, files);
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "--message", subject]);
    git(path, &["rev-parse", "HEAD"])
}

pub fn write(root: &Path, files: &[(&str, &str)]) {
    for (file, content) in files {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
}

/// All that a write could change about a file: mode, owner, group, size, time of modification and
/// of any change to its inode, links.
type Traces = (u32, u32, u32, u64, i64, i64, i64, i64, u64);

/// Every file below a directory, git's own included, with what a write would change.
pub fn listing(root: &Path) -> BTreeMap<PathBuf, Traces> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let about = path.symlink_metadata().unwrap();
        if about.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let traces = (
            about.mode(),
            about.uid(),
            about.gid(),
            about.size(),
            about.mtime(),
            about.mtime_nsec(),
            about.ctime(),
            about.ctime_nsec(),
            about.nlink(),
        );
        found.insert(path, traces);
    }
    found
}

/// Gives a tree to another user, as root can; whether it could.
pub fn give_away(root: &Path, uid: u32) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    for path in listing(root).keys() {
        std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap();
    }
    true
}
