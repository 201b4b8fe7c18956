//! Writing files inside a container's root: run by the helper after it has attached to a running
//! container or changed its root to that of a stopped one. Absolute paths are the container's.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::accounts::Accounts;

/// A file to write.
#[derive(Debug, Deserialize, Serialize)]
pub struct FileRequest {
    /// Absolute path in the container.
    pub path: PathBuf,
    /// `user:group`.
    pub owner: String,
    /// Permission bits.
    pub mode: u32,
    /// The content, base64.
    pub content: String,
}

impl FileRequest {
    /// From the content as it is.
    pub fn new(path: impl Into<PathBuf>, owner: &str, mode: u32, content: &[u8]) -> Self {
        let content = STANDARD.encode(content);
        Self { path: path.into(), owner: owner.to_owned(), mode, content }
    }
}

/// Writes files below the current root directory, each atomically. The message of an error names
/// the file.
pub fn write_all(files: &[FileRequest]) -> Result<(), String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let accounts = Accounts::new(read("/etc/passwd"), read("/etc/group"));
    for file in files {
        write(file, &accounts).map_err(|error| format!("`{}`: {error}", file.path.display()))?;
    }
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "in the root of a container there are other owners, and no temporary name is safe"
)]
fn write(file: &FileRequest, accounts: &Accounts) -> Result<(), String> {
    let content = STANDARD.decode(&file.content).map_err(|error| error.to_string())?;
    let (uid, gid) = accounts.resolve(&file.owner)?;
    let parent = file.path.parent().ok_or("it is not a path of a file")?;
    let name = file.path.file_name().ok_or("it is not a path of a file")?;
    let make = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        let temporary = temporary_path(parent, &name.to_string_lossy());
        let result = write_temporary(&temporary, &content, uid, gid, file.mode)
            .and_then(|()| std::fs::rename(&temporary, &file.path));
        if result.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        result
    };
    make().map_err(|error| error.to_string())
}

/// Beside the target, so that the rename stays on one file system; the process id keeps two writers
/// apart.
fn temporary_path(parent: &Path, name: &str) -> PathBuf {
    parent.join(format!(".{name}.aio-{}", std::process::id()))
}

fn write_temporary(path: &Path, content: &[u8], uid: u32, gid: u32, mode: u32) -> io::Result<()> {
    // A leftover of an earlier process with the same id; `create_new` then never follows a link.
    let _ = std::fs::remove_file(path);
    // Nobody else can open it before owner and mode are right.
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    fchown(&file, Some(uid), Some(gid))?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn own() -> String {
        format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
    }

    #[test]
    fn makes_parents_replaces_links_and_sets_the_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/file");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let elsewhere = directory.path().join("elsewhere");
        std::fs::write(&elsewhere, "old").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let deep = directory.path().join("x/y/z");
        write_all(&[
            FileRequest::new(&path, &own(), 0o640, b"new\0"),
            FileRequest::new(&deep, &own(), 0o4755, b""),
        ])
        .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new\0");
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"old");
        assert_eq!(path.symlink_metadata().unwrap().mode() & 0o7777, 0o640);
        assert_eq!(deep.metadata().unwrap().mode() & 0o7777, 0o4755);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_no_temporary() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("x"), "").unwrap();
        let error = write_all(&[FileRequest::new(&path, &own(), 0o600, b"x")]).unwrap_err();
        assert!(error.contains("taken"), "{error}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        let request = FileRequest::new("/x", "no-such-user:root", 0o600, b"");
        assert!(write_all(&[request]).unwrap_err().contains("no-such-user"));
    }
}
