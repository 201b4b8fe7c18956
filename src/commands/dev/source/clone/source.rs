//! What a clone is made of, and what it is called.

use std::path::Path;

use super::address::{self, Address};
use crate::commands::dev::source::look::RepositoryInfo;
use crate::commands::dev::source::reader::CheckoutReader;
use crate::commands::dev::source::user::User;
use crate::error::{Error, Result};
use crate::model::hash::sha256_hex;

/// What the remote of a clone of a URL is called, as everywhere.
pub(super) const ORIGIN: &str = "origin";

/// What the remote of a clone of a work tree is called: `origin` is that work tree's own.
pub(super) const SOURCE: &str = "aio-source";

/// What clones are made of.
pub(super) struct Source {
    /// What git is given.
    pub url: String,
    /// What messages say: without a password.
    pub shown: String,
    pub name: String,
    /// What its remote is called.
    pub remote: &'static str,
    /// The remotes of a work tree, to be taken over: name and URL.
    pub remotes: Vec<(String, String)>,
    /// The user that git runs as.
    pub user: User,
}

impl Source {
    pub fn of(address: Address) -> Result<Self> {
        let user = User::invoking()?;
        let path = match address {
            Address::Url(url) => {
                return Ok(Self {
                    shown: address::without_password(&url),
                    name: clone_name(&url, &url),
                    remote: ORIGIN,
                    remotes: Vec::new(),
                    url,
                    user,
                });
            }
            Address::Path(path) => path,
        };
        let reader = CheckoutReader::find(&path)?;
        // All work trees of one repository share it.
        let RepositoryInfo { root, common, remotes } = reader.repository()?;
        let url = common.to_str().map(str::to_owned).ok_or_else(|| {
            Error::failed(format!("clone {}", root.display())).because("its path is not UTF-8")
        })?;
        Ok(Self {
            shown: root.display().to_string(),
            name: clone_name(&root.to_string_lossy(), &url),
            remote: SOURCE,
            remotes: remotes_of(remotes, &root),
            url,
            user: who_may_read(user, reader.owner()?),
        })
    }
}

/// Root that was not called through `sudo` reads a repository as its owner: git refuses others.
fn who_may_read(user: User, owner: User) -> User {
    if user.uid == 0 && user.uid != owner.uid { owner } else { user }
}

/// `heat-3fa2b1c0`: to be recognised by the name, and told from others of that name by the rest.
pub(super) fn clone_name(readable: &str, unique: &str) -> String {
    let trim = |text: &str| text.trim_end_matches('/').trim_end_matches(".git").to_owned();
    let readable = trim(readable);
    let last = readable.rsplit(['/', ':']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "._-".contains(*letter))
        .collect();
    let plain = plain.trim_start_matches(['.', '-']);
    let short = &sha256_hex(trim(unique))[..8];
    format!("{}-{short}", if plain.is_empty() { "clone" } else { plain })
}

fn remotes_of(remotes: Vec<(String, String)>, root: &Path) -> Vec<(String, String)> {
    let others = remotes.into_iter().filter(|(name, _)| name != SOURCE);
    let whole = |(name, url): (String, String)| match Address::classify(&url) {
        Address::Url(url) => (name, url),
        Address::Path(path) => (name, root.join(path).display().to_string()),
    };
    others.map(whole).collect()
}
