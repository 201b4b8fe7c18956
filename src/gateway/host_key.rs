//! The gateway's own key: made once for a cloud, kept, and known to the clients that use the
//! configuration that the gateway prints.

use std::path::PathBuf;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};

use crate::error::{Error, Result, ResultExt};
use crate::model::paths::Paths;
use crate::state::files;

fn file(paths: &Paths) -> PathBuf {
    paths.gateway_dir().join("host_key")
}

/// The name under which clients know the key, whatever the port.
pub fn alias(paths: &Paths) -> String {
    format!("aio-gateway-{}", paths.cloud)
}

/// The key, made when there is none, and the file of known hosts with it.
///
/// # Errors
/// When it cannot be read or written.
pub fn load(paths: &Paths) -> Result<PrivateKey> {
    let file = file(paths);
    let doing = || format!("read the gateway's host key {}", file.display());
    let key = match std::fs::read(&file) {
        Ok(text) => PrivateKey::from_openssh(text).map_err(|error| {
            Error::failed(doing()).because(error).hint(format!(
                "Remove {}: a new key is made, and clients are told that it changed.",
                file.display()
            ))
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(paths)?,
        Err(error) => return Err(error).doing(doing),
    };
    publish(paths, &key)?;
    Ok(key)
}

fn make(paths: &Paths) -> Result<PrivateKey> {
    let doing = || "make the gateway's host key".to_owned();
    let mut key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).doing(doing)?;
    key.set_comment(alias(paths));
    let text = key.to_openssh(LineEnding::LF).doing(doing)?;
    files::prepare(paths)?;
    files::write_atomic(&file(paths), 0o600, text.as_bytes())?;
    Ok(key)
}

/// Writes the file that `ssh` reads as any user.
fn publish(paths: &Paths, key: &PrivateKey) -> Result<()> {
    let file = paths.known_hosts_file();
    let public = key.public_key().to_openssh().doing(|| "write the host key".to_owned())?;
    let line = format!("{} {public}\n", alias(paths));
    if std::fs::read(&file).is_ok_and(|present| present == line.as_bytes()) {
        return Ok(());
    }
    if let Some(directory) = file.parent() {
        use std::os::unix::fs::PermissionsExt;
        files::private_directory(directory)?;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))
            .doing(|| format!("open {} to all users", directory.display()))?;
    }
    files::write_atomic(&file, 0o644, line.as_bytes())
}

/// Removes what stands outside of the cloud's own directory.
///
/// # Errors
/// When it cannot be removed.
pub fn withdraw(paths: &Paths) -> Result<()> {
    let file = paths.known_hosts_file();
    files::remove(&file)?;
    if let Some(directory) = file.parent() {
        // Another cloud's may be there still.
        let _ = std::fs::remove_dir(directory);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_kept_private_and_made_known() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let made = load(&paths).unwrap();
        let loaded = load(&paths).unwrap();
        assert_eq!(made.public_key().key_data(), loaded.public_key().key_data());
        let mode = |path: &PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file(&paths)), 0o600);
        let known = paths.known_hosts_file();
        assert_eq!(mode(&known), 0o644);
        assert_eq!(mode(&known.parent().unwrap().to_owned()), 0o755);
        let line = std::fs::read_to_string(&known).unwrap();
        assert!(line.starts_with("aio-gateway-aio1 ssh-ed25519 AAAA"), "{line}");
        withdraw(&paths).unwrap();
        withdraw(&paths).unwrap();
        assert!(!known.parent().unwrap().exists());

        std::fs::write(file(&paths), "torn").unwrap();
        assert!(load(&paths).unwrap_err().hints[0].starts_with("Remove "));
    }
}
