//! Files and directories of `aio`'s own on the host: private from their first moment, replaced
//! atomically.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::error::{Result, ResultExt};
use crate::model::paths::Paths;

/// Makes the state directory (others may pass through it to the merged roots) and the private one
/// below it, which nobody but root may enter.
///
/// # Errors
/// When one cannot be made.
pub fn prepare(paths: &Paths) -> Result<()> {
    let doing = || format!("make the directory {}", paths.state_dir.display());
    if !paths.state_dir.is_dir() {
        DirBuilder::new().recursive(true).mode(0o755).create(&paths.state_dir).doing(doing)?;
        let passable = Permissions::from_mode(0o711);
        fs::set_permissions(&paths.state_dir, passable).doing(doing)?;
    }
    private_directory(&paths.cloud_dir())
}

/// Makes a directory that only root can enter, and its missing parents likewise. Directories that
/// are there keep their mode.
///
/// # Errors
/// When one cannot be made.
pub fn private_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .doing(|| format!("make the directory {}", path.display()))
}

/// Makes a directory that everybody can enter, and its missing parents likewise, whatever the mask of
/// whoever called. Directories that are there keep their mode.
///
/// # Errors
/// When one cannot be made.
pub fn open_directory(path: &Path) -> Result<()> {
    let is_missing = |it: &&Path| !it.as_os_str().is_empty() && !it.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    for directory in missing.into_iter().rev() {
        let doing = || format!("make the directory {}", directory.display());
        fs::create_dir(directory).doing(doing)?;
        fs::set_permissions(directory, Permissions::from_mode(0o755)).doing(doing)?;
    }
    Ok(())
}

/// Replaces a file: a reader sees the old content or the new, and nobody sees the new one before it
/// has its mode. Its directory is made when it is missing.
///
/// # Errors
/// When it cannot be written.
pub fn write_atomic(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    private_directory(directory)?;
    let doing = || format!("write {}", path.display());
    let mut file = tempfile::Builder::new()
        .prefix(".aio-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .doing(doing)?;
    // The mask of the caller may have taken bits away.
    file.as_file().set_permissions(Permissions::from_mode(mode)).doing(doing)?;
    file.write_all(content).doing(doing)?;
    file.as_file().sync_data().doing(doing)?;
    file.persist(path).doing(doing)?;
    File::open(directory).and_then(|directory| directory.sync_all()).doing(doing)
}

/// Removes a file; no error when it is not there.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_state_directory_can_be_passed_and_the_private_one_not() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths {
            config_dir: directory.path().join("etc"),
            state_dir: directory.path().join("var/lib/aio"),
            cloud: "aio1".to_owned(),
        };
        prepare(&paths).unwrap();
        prepare(&paths).unwrap();
        assert_eq!(mode(&paths.state_dir), 0o711);
        assert_eq!(mode(&paths.private_dir()), 0o700);
        assert_eq!(mode(&paths.cloud_dir()), 0o700);
    }

    #[test]
    fn writes_with_the_mode_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/secret");
        write_atomic(&path, 0o600, b"old").unwrap();
        write_atomic(&path, 0o644, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o644);
        assert_eq!(mode(&directory.path().join("a")), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
