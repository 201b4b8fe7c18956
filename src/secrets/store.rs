//! `user_secrets.yml` on the disk: readable by its owner alone from its first byte, replaced whole.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind as IoErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use super::file::SecretsFile;
use super::spec::SecretSpec;
use crate::error::{Result, ResultExt as _};
use crate::state::files;

const MODE: u32 = 0o600;

/// The specification that the binary carries, overlaid by `<config-dir>/secrets/*.yml`.
pub fn specification(config_dir: &Path) -> Result<SecretSpec> {
    let directory = config_dir.join("secrets");
    let doing = || format!("read {}", directory.display());
    let mut own = BTreeMap::new();
    for path in files::entries(&directory)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.ends_with(".yml") {
            own.insert(name.to_owned(), fs::read_to_string(&path).doing(doing)?);
        }
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

/// Writes the file if it was changed. Returns whether it wrote.
pub fn write(file: &SecretsFile, path: &Path) -> Result<bool> {
    if !file.changed() {
        return Ok(false);
    }
    files::replace(path, MODE, file.text().as_bytes())?;
    Ok(true)
}
