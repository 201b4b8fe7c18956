//! `user_secrets.yml` on the disk: readable by its owner alone from its first byte, replaced whole.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind as IoErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::file::SecretsFile;
use super::spec::SecretSpec;
use crate::error::{Result, ResultExt as _};

const MODE: u32 = 0o600;

/// The specification that the binary carries, overlaid by `<config-dir>/secrets/*.yml`.
pub fn specification(config_dir: &Path) -> Result<SecretSpec> {
    let directory = config_dir.join("secrets");
    let doing = || format!("read {}", directory.display());
    let mut own = BTreeMap::new();
    match fs::read_dir(&directory) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.doing(doing)?.path();
                let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                if name.ends_with(".yml") {
                    own.insert(name.to_owned(), fs::read_to_string(&path).doing(doing)?);
                }
            }
        }
        Err(error) if error.kind() == IoErrorKind::NotFound => {}
        Err(error) => return Err(error).doing(doing),
    }
    SecretSpec::overlaid(own)
}

/// Reads the file; an absent one is an empty one.
pub fn read(path: &Path) -> Result<SecretsFile> {
    crate::lxc::syscall::keep_memory_private();
    let mut text = Zeroizing::new(String::new());
    match File::open(path) {
        Ok(mut file) => {
            file.read_to_string(&mut text).doing(|| format!("read {}", path.display()))?;
        }
        Err(error) if error.kind() == IoErrorKind::NotFound => {}
        Err(error) => return Err(error).doing(|| format!("open {}", path.display())),
    }
    SecretsFile::parse(&text, &path.display().to_string())
}

/// Takes away what others may do with an existing file; says so if there was anything.
pub fn tighten(path: &Path) -> Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).doing(|| format!("open {}", path.display())),
    };
    let doing = || format!("make {} readable by its owner alone", path.display());
    let mode = file.metadata().doing(doing)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(None);
    }
    file.set_permissions(Permissions::from_mode(MODE)).doing(doing)?;
    Ok(Some(format!(
        "{} had mode {mode:04o}: other users of this host could read it. It has {MODE:04o} now.",
        path.display()
    )))
}

/// Writes the file if it was changed: a new one beside it, on the disk before it takes the old one's
/// name, so that a crash leaves the one or the other. Returns whether it wrote.
pub fn write(file: &SecretsFile, path: &Path) -> Result<bool> {
    if !file.changed() {
        return Ok(false);
    }
    let path = target(path);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    let doing = || format!("write {}", path.display());
    let mut new = tempfile::Builder::new()
        .prefix(".user_secrets.")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(directory)
        .doing(doing)?;
    new.write_all(file.text().as_bytes()).doing(doing)?;
    if let Ok(old) = fs::metadata(&path) {
        // A user who owns the file goes on to own it.
        fchown(new.as_file(), Some(old.uid()), Some(old.gid())).doing(doing)?;
    }
    new.as_file().sync_all().doing(doing)?;
    new.persist(&path).doing(doing)?;
    File::open(directory).and_then(|directory| directory.sync_all()).doing(doing)?;
    Ok(true)
}

/// The file itself where `path` is a link to it: a link must not be replaced by a file.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
