//! Who may come in: public keys of files. They are read again for every connection, so a key that is
//! taken out of its file opens nothing from then on.

use std::path::{Path, PathBuf};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::lxc::process::tool;

/// What the server can verify; also what it tells clients, so that they offer nothing else.
pub const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// Where keys are.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Source {
    /// Files that the user named.
    Files(Vec<PathBuf>),
    /// `id_*.pub` in the first of these directories that has a usable key.
    Directories(Vec<PathBuf>),
}

impl Source {
    /// What the user named, else the invoking user's own: that of `sudo` first.
    pub fn new(named: &[PathBuf]) -> Self {
        if !named.is_empty() {
            return Self::Files(named.to_vec());
        }
        let invoking = std::env::var("SUDO_USER").ok().and_then(|user| home_of(&user));
        let own = std::env::var_os("HOME").map(PathBuf::from);
        let mut homes: Vec<PathBuf> = invoking.into_iter().chain(own).collect();
        homes.dedup();
        Self::Directories(homes.into_iter().map(|home| home.join(".ssh")).collect())
    }

    /// Reads them.
    ///
    /// # Errors
    /// When a named file cannot be read, or there is no usable key.
    pub fn load(&self) -> Result<Keys> {
        let mut keys = Keys::default();
        match self {
            Self::Files(files) => {
                for file in files {
                    keys.read(file).map_err(|error| {
                        Error::new(ErrorKind::Usage, format!("read keys of {}", file.display()))
                            .because(error)
                            .hint("`--authorized-keys` takes a file with public keys, one a line.")
                    })?;
                }
            }
            Self::Directories(directories) => {
                for directory in directories {
                    for file in public_keys(directory) {
                        if let Err(error) = keys.read(&file) {
                            keys.refuse(&file, 0, &error.to_string());
                        }
                    }
                    if !keys.usable.is_empty() {
                        break;
                    }
                }
            }
        }
        if keys.usable.is_empty() { Err(self.none(&keys)) } else { Ok(keys) }
    }

    fn none(&self, keys: &Keys) -> Error {
        let paths = match self {
            Self::Files(paths) | Self::Directories(paths) => paths,
        };
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let error = Error::new(ErrorKind::Host, "find a public key that may come in")
            .because(format!("there is no usable one in {}", paths.join(", ")));
        let error = keys.refused.iter().fold(error, |error, refused| error.because(refused));
        error
            .hint("Make one with `ssh-keygen -t ed25519`.")
            .hint("Or name a file with public keys: `--authorized-keys FILE`.")
    }
}

/// The home directory of a user, from wherever this host keeps its users.
fn home_of(user: &str) -> Option<PathBuf> {
    let output = tool("getent").args(["passwd", "--", user]).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    line.trim().split(':').nth(5).filter(|home| !home.is_empty()).map(PathBuf::from)
}

fn public_keys(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_key = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("id_") && name.ends_with(".pub")
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_key).collect();
    files.sort_unstable();
    files
}

/// A key that opens the gateway.
#[derive(Clone, Debug)]
pub struct Key {
    data: KeyData,
    /// `SHA256:…`
    pub fingerprint: String,
    /// The comment, if there is one.
    pub comment: String,
    /// Where it was found.
    pub file: PathBuf,
}

/// All keys.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Those that open the gateway.
    pub usable: Vec<Key>,
    /// Those that cannot, each with where it stands and why.
    pub refused: Vec<String>,
}

impl Keys {
    /// The key, if it may come in. Comments do not matter.
    pub fn find(&self, offered: &PublicKey) -> Option<&Key> {
        self.usable.iter().find(|key| key.data == *offered.key_data())
    }

    fn read(&mut self, file: &Path) -> std::io::Result<()> {
        let text = std::fs::read(file)?;
        for (index, line) in String::from_utf8_lossy(&text).lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match usable(line) {
                Ok(key) => self.usable.push(Key {
                    data: key.key_data().clone(),
                    fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
                    comment: String::from_utf8_lossy(key.comment().as_bytes()).into_owned(),
                    file: file.to_owned(),
                }),
                Err(reason) => self.refuse(file, index + 1, &reason),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, file: &Path, line: usize, reason: &str) {
        let place = if line == 0 { String::new() } else { format!(":{line}") };
        self.refused.push(format!("{}{place}: {reason}", file.display()));
    }
}

/// The key of a line, or why it cannot be used.
fn usable(line: &str) -> Result<PublicKey, String> {
    let first = line.split_whitespace().next().unwrap_or_default();
    let looks_like_key = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| first.starts_with(start));
    if !looks_like_key {
        return Err("a key with options is not used, since they could not be kept".to_owned());
    }
    if first.contains("-cert-") {
        return Err("certificates are not supported".to_owned());
    }
    let key = PublicKey::from_openssh(line).map_err(|error| format!("not a key: {error}"))?;
    if ALGORITHMS.contains(&key.algorithm()) {
        return Ok(key);
    }
    Err(format!(
        "{first} keys cannot be verified here; ed25519 and ecdsa keys can (`ssh-keygen -t ed25519`)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIE1e/Ixpadgzceydebl3Va2D3r+EupsICqv9U0+L+ac8";
    const RSA: &str = "ssh-rsa \
        AAAAB3NzaC1yc2EAAAADAQABAAAAgQDgxjxkQ1Ujpwnm6JUtARyOMg/0ceJ4su1GKrxIxIYC/qbfSjtJooWH\
        8rW6378nVlc5dNVz90dMkVwa0hJwoY1gvI4jF+xnZNHZ4v8SjmPXpHCQJ038cLFXCYLgcCHlFpV2xe7xILoR\
        MuH1/cAt22+xDzWf0yrAz0neLMAF6xP1dw== me@host";

    fn keys(text: &str) -> (tempfile::TempDir, Result<Keys>) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("id_x.pub");
        std::fs::write(&file, text).unwrap();
        let keys = Source::Files(vec![file]).load();
        (directory, keys)
    }

    #[test]
    fn a_key_is_known_by_its_data_alone() {
        let (_directory, keys) = keys(&format!("# me\n\n{ED25519} me@host\n"));
        let keys = keys.unwrap();
        assert_eq!(keys.usable[0].comment, "me@host");
        assert!(keys.usable[0].fingerprint.starts_with("SHA256:"));
        assert!(keys.find(&PublicKey::from_openssh(ED25519).unwrap()).is_some());
        let other = russh::keys::PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
        assert!(keys.find(other.public_key()).is_none());
    }

    #[test]
    fn what_cannot_work_is_named_with_its_line() {
        let text = format!("{RSA}\n{ED25519}\ncommand=\"ls\" {ED25519}\nssh-ed25519 !!!\n");
        let (_directory, keys) = keys(&text);
        let keys = keys.unwrap();
        assert_eq!(keys.usable.len(), 1);
        let said = |index: usize, what: &str| keys.refused[index].contains(what);
        assert!(said(0, ".pub:1: ssh-rsa keys cannot be verified"), "{:?}", keys.refused);
        assert!(said(1, ":3: a key with options"), "{:?}", keys.refused);
        assert!(said(2, ":4: not a key"), "{:?}", keys.refused);
    }

    #[test]
    fn without_a_usable_key_the_reasons_and_the_cure_are_told() {
        let (_directory, keys) = keys(RSA);
        let error = keys.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Host);
        assert!(error.causes[1].contains("ssh-rsa"), "{error}");
        assert!(error.hints[0].contains("ssh-keygen -t ed25519"));
        let missing = Source::Files(vec!["/nonexistent/keys".into()]).load().unwrap_err();
        assert_eq!(missing.kind, ErrorKind::Usage);
    }

    #[test]
    fn the_first_directory_with_a_usable_key_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
        for (place, name, text) in [
            (&first, "id_rsa.pub", RSA),
            (&second, "id_ed25519.pub", ED25519),
            (&second, "other.pub", "nonsense"),
        ] {
            std::fs::create_dir_all(place).unwrap();
            std::fs::write(place.join(name), text).unwrap();
        }
        let keys = Source::Directories(vec![first, second.clone()]).load().unwrap();
        assert_eq!(keys.usable.len(), 1);
        assert_eq!(keys.usable[0].file, second.join("id_ed25519.pub"));
        assert_eq!(keys.refused.len(), 1);
    }
}
