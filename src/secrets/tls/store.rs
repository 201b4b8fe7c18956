//! `tls/` in the configuration directory: the authority, what the outside address shows, and below
//! `containers/` what each container does. Keys are readable by their owner alone from their first byte.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind as IoErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::outside::{Brought, Held};
use super::pair::Pair;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::state::files::{remove, write_atomic};

/// No certificate or key is longer than this many bytes.
const LONGEST: u64 = 1 << 20;

const AUTHORITY: &str = "ca";
const SHOWN: &str = "outside";

fn containers(directory: &Path) -> PathBuf {
    directory.join("containers")
}

/// The certificate that clients are to trust.
pub fn authority_file(directory: &Path) -> PathBuf {
    directory.join(format!("{AUTHORITY}.crt"))
}

/// What this program writes there: files, and a directory.
pub fn own_files(directory: &Path) -> Vec<PathBuf> {
    let endings = |name| ["crt", "key"].map(|ending| directory.join(format!("{name}.{ending}")));
    let files = [AUTHORITY, SHOWN].into_iter().flat_map(endings);
    files.chain([containers(directory)]).collect()
}

/// Every private key that may stand there.
pub fn key_files(directory: &Path) -> Vec<PathBuf> {
    let own = [AUTHORITY, SHOWN].map(|name| directory.join(format!("{name}.key")));
    let containers = containers(directory);
    let theirs = names(&containers).into_iter().map(|name| containers.join(format!("{name}.key")));
    own.into_iter().chain(theirs).collect()
}

/// Returns the names for which a directory has a certificate.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let certificates = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".crt")?.to_owned()));
    certificates.collect()
}

pub fn read(directory: &Path) -> Result<Held> {
    let containers = containers(directory);
    let mut theirs = BTreeMap::new();
    for name in names(&containers) {
        if let Some(pair) = pair(&containers, &name)? {
            theirs.insert(name, pair);
        }
    }
    Ok(Held {
        authority: pair(directory, AUTHORITY)?,
        shown: pair(directory, SHOWN)?,
        containers: theirs,
    })
}

/// Writes what differs, and removes what is shown no more; the authority stays.
pub fn write(directory: &Path, held: &Held) -> Result<()> {
    if let Some(authority) = &held.authority {
        write_pair(directory, AUTHORITY, authority)?;
    }
    match &held.shown {
        Some(shown) => write_pair(directory, SHOWN, shown)?,
        None => remove_pair(directory, SHOWN)?,
    }
    let containers = containers(directory);
    for (name, pair) in &held.containers {
        write_pair(&containers, name, pair)?;
    }
    for gone in names(&containers).into_iter().filter(|name| !held.containers.contains_key(name)) {
        remove_pair(&containers, &gone)?;
    }
    Ok(())
}

fn write_pair(directory: &Path, name: &str, pair: &Pair) -> Result<()> {
    // Whoever may look into the configuration directory may copy the certificates.
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .doing(|| format!("make the directory {}", directory.display()))?;
    let certificate = directory.join(format!("{name}.crt"));
    let key = directory.join(format!("{name}.key"));
    // The key first: a certificate without its key would be of no use.
    for (path, mode, text) in
        [(key, 0o600, pair.key.expose_secret()), (certificate, 0o644, &pair.certificate)]
    {
        let present = text_of(&path)?;
        if present.is_none_or(|present| present.as_str() != text) {
            write_atomic(&path, mode, text.as_bytes())?;
        }
    }
    Ok(())
}

/// The certificate last: while it is there, so is what says that a key is missing.
fn remove_pair(directory: &Path, name: &str) -> Result<()> {
    for path in ["key", "crt"].map(|ending| directory.join(format!("{name}.{ending}"))) {
        remove(&path)?;
    }
    Ok(())
}

pub fn brought(certificate: &Path, key: &Path) -> Result<Brought> {
    let read = |path: &Path| {
        text_of(path)?.ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("read {}", path.display()))
                .because("there is no such file")
                .hint("`tls_certificate` and `tls_key` in cloud.yml name a file each.")
        })
    };
    Ok(Brought {
        certificate_file: certificate.display().to_string(),
        certificate: read(certificate)?.as_str().to_owned(),
        key_file: key.display().to_string(),
        key: read(key)?.as_str().into(),
    })
}

fn pair(directory: &Path, name: &str) -> Result<Option<Pair>> {
    let path = directory.join(format!("{name}.crt"));
    let key_path = directory.join(format!("{name}.key"));
    let (certificate, key) = match (text_of(&path)?, text_of(&key_path)?) {
        (Some(certificate), Some(key)) => (certificate, key),
        // Clients have it.
        (Some(_), None) if name == AUTHORITY => {
            return Err(Error::new(ErrorKind::Config, format!("read {}", key_path.display()))
                .because("it is missing, and its certificate, which clients trust, is there")
                .hint("Put it back, or remove the certificate: `aio bootstrap` makes a new authority."));
        }
        _ => return Ok(None),
    };
    let key = SecretString::from(key.as_str());
    Pair::read(&certificate, &key).map(Some).map_err(|why| {
        Error::new(ErrorKind::Config, format!("use {} with its key", path.display()))
            .because(why)
            .hint(format!(
                "Remove {name}.crt and {name}.key in {}: `aio bootstrap` makes new ones.",
                directory.display()
            ))
    })
}

fn text_of(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let doing = || format!("read {}", path.display());
    match fs::metadata(path) {
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).doing(doing),
        Ok(found) if !found.is_file() || found.len() > LONGEST => {
            return Err(Error::new(ErrorKind::Config, doing())
                .because("it is not a file of the size that certificates and keys have"));
        }
        Ok(_) => {}
    }
    let bytes = fs::read(path).doing(doing)?;
    String::from_utf8(bytes).map(|text| Some(Zeroizing::new(text))).map_err(|_| {
        Error::new(ErrorKind::Config, doing()).because("it is no text, as PEM is").hint(format!(
            "Write it as PEM: openssl x509 -inform DER -in {0} -out {0}.pem, and a key by openssl pkey.",
            path.display()
        ))
    })
}
