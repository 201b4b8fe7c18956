//! The user behind `sudo`: `git` runs as that user.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::error::{Result, ResultExt};
use crate::lxc::process::tool;

/// An account of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Login name; the number when the account has none.
    pub name: String,
    pub home: PathBuf,
}

impl User {
    /// The user who called `sudo aio`, else the one who runs this process.
    pub fn invoking() -> Result<Self> {
        let effective = rustix::process::geteuid().as_raw();
        let called_by = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
        Self::by_id(if effective == 0 { called_by.unwrap_or(0) } else { effective })
    }

    /// The account of a user id; one that has no entry gets a home that does not exist.
    pub fn by_id(uid: u32) -> Result<Self> {
        // `getent` knows accounts of directory services too, `/etc/passwd` does not.
        let output = tool("getent")
            .arg("passwd")
            .arg(uid.to_string())
            .output()
            .doing(|| format!("look up the user {uid}"))?;
        let line = String::from_utf8_lossy(&output.stdout);
        Ok(Self::parse(&line).unwrap_or_else(|| Self {
            uid,
            gid: uid,
            name: uid.to_string(),
            home: PathBuf::from("/nonexistent"),
        }))
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end().split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        Some(Self {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            name: (*name).to_owned(),
            home: PathBuf::from(OsStr::new(home)),
        })
    }

    /// Whether this process runs as somebody else, who may become this user.
    pub(super) fn is_another(&self) -> bool {
        let effective = rustix::process::geteuid();
        effective.is_root() && effective.as_raw() != self.uid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_its_line() {
        let user = User::parse("ann:x:1000:1001:Ann,,,:/home/ann:/bin/bash\n").unwrap();
        let home = PathBuf::from("/home/ann");
        assert_eq!(user, User { uid: 1000, gid: 1001, name: "ann".to_owned(), home });
        assert_eq!(User::parse(""), None);
    }

    #[test]
    fn the_hosts_accounts_are_asked() {
        assert_eq!(User::by_id(0).unwrap().name, "root");
        let nobody_has_it = User::by_id(3_999_999_999).unwrap();
        assert_eq!(nobody_has_it.uid, 3_999_999_999);
        assert_eq!(nobody_has_it.name, "3999999999");
    }
}
