//! One package index for all builds: the host's APT with directories of its own.
//!
//! The index is fetched once and read by every build, also by several at once: each holds a shared
//! lock on it, and it is refreshed under an exclusive one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result, ResultExt};

use super::failure;
use super::process::{self, Stream, tool};
use super::sources::{self, Acquire, KEYRING};

/// The index of one suite.
#[derive(Debug)]
pub struct Index {
    /// The root of APT's directories.
    dir: PathBuf,
    /// Text of the `.sources` file.
    pub sources: String,
    /// The host's settings for fetching.
    pub acquire: Acquire,
}

/// A package archive to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Where it comes from.
    pub uri: String,
    /// File name in the pool.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its hash in hexadecimal digits.
    pub sha256: String,
}

/// What an installation would do.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// Archives of the packages that are not installed yet.
    pub archives: Vec<Archive>,
}

/// While this lives nobody changes the index.
pub struct InUse(#[expect(dead_code, reason = "held for its lock")] File);

impl Index {
    /// Writes the configuration of the index of `suite` below `downloads`.
    ///
    /// # Errors
    /// When the host's sources cannot be read or the directories cannot be made.
    pub fn open(downloads: &Path, suite: &str) -> Result<Self> {
        if !Path::new(KEYRING).is_file() {
            return Err(Error::new(ErrorKind::Host, "check Debian's packages")
                .because(format!("{KEYRING} is missing"))
                .hint("Install the package debian-archive-keyring and run again."));
        }
        std::fs::create_dir_all(downloads).doing(|| format!("make {}", downloads.display()))?;
        let sources = sources::sources_text(suite, downloads)?;
        let digest = Sha256::digest(sources.as_bytes());
        let name = format!("index-{suite}-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]);
        let dir = downloads.join(name);
        for directory in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "etc/apt/trusted.gpg.d",
            "var/cache/apt/archives/partial",
            "var/lib/apt/lists/partial",
            "var/lib/dpkg",
            "var/log/apt",
        ] {
            let path = dir.join(directory);
            std::fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
        }
        let acquire = Acquire::of_host()?;
        let index = Self { dir, sources, acquire };
        index.write("etc/apt/sources.list.d/debian.sources", &index.sources)?;
        index.write("var/lib/dpkg/status", "")?;
        index.write("apt.conf", &index.configuration())?;
        Ok(index)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        // What is right stays untouched: APT judges its caches by time stamps.
        if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
            return Ok(());
        }
        std::fs::write(&path, text).doing(|| format!("write {}", path.display()))
    }

    /// APT's configuration with this index and no directory of the host's own APT.
    pub fn configuration(&self) -> String {
        let dir = self.dir.display();
        format!(
            "Dir \"{dir}\";\n\
             Dir::State::status \"{dir}/var/lib/dpkg/status\";\n\
             Dir::Etc::netrc \"/etc/apt/auth.conf\";\n\
             Dir::Etc::netrcparts \"/etc/apt/auth.conf.d\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::ForceHash \"SHA256\";\n\
             APT::Sandbox::User \"root\";\n\
             APT::Install-Recommends \"false\";\n{}",
            self.acquire.for_host(),
        )
    }

    /// Where the index files are.
    pub fn lists(&self) -> PathBuf {
        self.dir.join("var/lib/apt/lists")
    }

    /// APT's parsed index, if there is one: a build that starts with a copy need not parse again.
    pub fn parsed(&self) -> PathBuf {
        self.dir.join("var/cache/apt/srcpkgcache.bin")
    }

    /// A command that uses this index and ends with the thread that started it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = tool("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]);
        command.env("APT_CONFIG", self.dir.join("apt.conf"));
        command
    }

    /// Fetches the index, unless another build is reading it this moment (then it is fresh).
    ///
    /// # Errors
    /// When the index cannot be reached or its signature is not known to the host.
    pub fn refresh(
        &self,
        cancelled: &dyn Fn() -> bool,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let path = self.dir.join("lock");
        let lock = File::create(&path).doing(|| format!("open {}", path.display()))?;
        if lock.try_lock().is_err() {
            return Ok(());
        }
        let mut command = self.command("apt-get");
        command.args(["update", "--quiet", "--error-on=any"]);
        let finished = process::run(command, cancelled, &mut |stream, line| {
            if stream == Stream::Err {
                on_line(line);
            }
        })?;
        if finished.status.success() {
            return Ok(());
        }
        Err(failure::explain(&finished.tail, "fetch the package index", &self.sources))
    }

    /// Keeps the index as it is until the result is dropped.
    ///
    /// # Errors
    /// When the lock file cannot be opened, or on cancellation.
    pub fn hold(&self, cancelled: &dyn Fn() -> bool) -> Result<InUse> {
        let path = self.dir.join("lock");
        let lock = File::create(&path).doing(|| format!("open {}", path.display()))?;
        while lock.try_lock_shared().is_err() {
            if cancelled() {
                return Err(Error::new(ErrorKind::Interrupted, "wait for the package index"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(InUse(lock))
    }

    /// What installing `packages` onto the system with that dpkg `status` file takes.
    ///
    /// # Errors
    /// When a package is unknown or cannot be installed with the others.
    pub fn resolve(
        &self,
        packages: &[String],
        status: Option<&Path>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Resolution> {
        let mut command = self.command("apt-get");
        command.args(["install", "--yes", "--print-uris", "--no-install-recommends"]);
        if let Some(status) = status {
            command.arg("--option");
            command.arg(format!("Dir::State::status={}", status.display()));
        }
        command.args(packages);
        let finished = process::run(command, cancelled, &mut |_, _| {})?;
        if finished.status.success() {
            return Ok(Resolution { archives: parse_uris(&finished.stdout) });
        }
        let what = format!("find packages {}", packages.join(" "));
        Err(failure::explain(&finished.tail, &what, &self.sources))
    }
}

/// Lines `'URI' FILE SIZE SHA256:HASH`.
fn parse_uris(text: &str) -> Vec<Archive> {
    let parse = |line: &str| {
        let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
        let mut words = rest.split(' ');
        let (file, size, hash) = (words.next()?, words.next()?, words.next()?);
        Some(Archive {
            uri: uri.to_owned(),
            file: file.to_owned(),
            size: size.parse().ok()?,
            sha256: hash.strip_prefix("SHA256:")?.to_owned(),
        })
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_read_from_what_apt_prints() {
        let text = "Reading package lists...\n\
            'http://m/debian/pool/l/login_1%3a4%2bdeb_amd64.deb' login_1%3a4+deb_amd64.deb 77 SHA256:ab\n\
            'http://m/debian/pool/x.deb' x.deb 5 MD5Sum:cd\n";
        assert_eq!(
            parse_uris(text),
            [Archive {
                uri: "http://m/debian/pool/l/login_1%3a4%2bdeb_amd64.deb".to_owned(),
                file: "login_1%3a4+deb_amd64.deb".to_owned(),
                size: 77,
                sha256: "ab".to_owned(),
            }]
        );
    }
}
