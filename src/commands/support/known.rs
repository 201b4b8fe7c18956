//! What must be masked: the values of `user_secrets.yml`, what templates make of them, and values of
//! the user's other files whose names say that they are secrets.

use secrecy::ExposeSecret as _;

use super::files::settings;
use super::mask::{Known, values_of_settings};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::paths::Paths;
use crate::render::derived;
use crate::secrets::store;
use crate::secrets::tls::store::key_files;

/// All of it. `expected`: there is, or was, a cloud that has secrets.
pub fn known(paths: &Paths, expected: bool) -> Result<Vec<Known>> {
    let file = paths.secrets_file();
    let doing = || format!("read {}", file.display());
    let is_there = file.try_exists().doing(doing)?;
    if expected && !is_there {
        return Err(Error::new(ErrorKind::NotFound, doing()).because("it is missing"));
    }
    let secrets = store::read(&file)?.every_value().into_iter().map(|(name, value)| {
        let derived = derived(value.expose_secret());
        Known { name, value, derived }
    });
    let mut known: Vec<Known> = secrets.collect();
    for path in key_files(&paths.tls_dir()) {
        if let Ok(key) = std::fs::read_to_string(&path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            known.push(Known { name, value: key.into(), derived: Vec::new() });
        }
    }
    for path in settings(paths) {
        // What cannot be read here cannot be collected either.
        let text = std::fs::read(path).unwrap_or_default();
        known.extend(values_of_settings(&text).into_iter().map(|(name, value)| {
            let derived = derived(&value);
            Known { name, value: value.into(), derived }
        }));
    }
    Ok(known)
}
