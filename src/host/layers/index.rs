//! The package index: the host's APT with directories of its own.
//!
//! The archive's whole index has some 70 000 packages, and every call of APT that sees it costs a
//! second or two of a processor. So it is asked once, for the packages of all layers together, and
//! an index narrowed to what came out (some hundreds) serves the builds.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::process::Stream;
use crate::model::hash::sha256_hex;
use crate::state::files;

use super::acquire::Acquire;
use super::failure;
use super::process::{self, tool};
use super::sources::{self, KEYRING};
use super::workspace;

/// An index that APT can use.
#[derive(Debug)]
pub struct Index {
    /// The root of APT's directories.
    dir: PathBuf,
    /// Text of the `.sources` file.
    pub sources: String,
    /// The host's settings for fetching.
    pub acquire: Acquire,
    /// Held while the index is used or changed; a narrowed one is this process' own directory.
    _lock: File,
    /// Removes a narrowed index.
    _temporary: Option<TempDir>,
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

impl Archive {
    /// The package's name.
    pub fn package(&self) -> &str {
        self.file.split('_').next().unwrap_or_default()
    }
}

impl Index {
    /// The whole index of `suite`, fetched anew. Other processes wait until the result is dropped.
    ///
    /// # Errors
    /// When the host's sources cannot be read, or the index cannot be reached, or the host does not
    /// know the keys that signed it.
    pub fn fetch(
        downloads: &Path,
        suite: &str,
        cancelled: &dyn Fn() -> bool,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        if !Path::new(KEYRING).is_file() {
            return Err(Error::new(ErrorKind::Host, "check Debian's packages")
                .because(format!("{KEYRING} is missing"))
                .hint("Install the package debian-archive-keyring and run again."));
        }
        fs::create_dir_all(downloads).doing(|| format!("make {}", downloads.display()))?;
        let sources = sources::sources_text(suite, downloads)?;
        let name = format!("index-{suite}-{}", &sha256_hex(&sources)[..6]);
        let dir = downloads.join(name);
        fs::create_dir_all(&dir).doing(|| format!("make {}", dir.display()))?;
        let what = "wait for the package index";
        let lock = workspace::lock(&dir.join("lock"), what, cancelled)?;
        workspace::sweep(downloads);
        let acquire = Acquire::of_host()?;
        let index = Self { dir, sources, acquire, _lock: lock, _temporary: None };
        index.prepare()?;
        let mut command = index.command("apt-get");
        command.args(["update", "--quiet", "--error-on=any"]);
        let finished = process::run(command, cancelled, &mut |stream, line| {
            if stream == Stream::Err {
                on_line(line);
            }
        })?;
        if finished.status.success() {
            return Ok(index);
        }
        Err(failure::explain(&finished.tail, "fetch the package index", &index.sources))
    }

    /// An index of this process' own that has the packages `names` alone, and all that is known of
    /// them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn narrow(&self, downloads: &Path, names: &BTreeSet<String>) -> Result<Self> {
        let doing = || format!("narrow the package index in {}", downloads.display());
        let temporary =
            tempfile::Builder::new().prefix(workspace::BUILD).tempdir_in(downloads).doing(doing)?;
        let lock = File::open(temporary.path()).doing(doing)?;
        lock.lock().doing(doing)?;
        let narrow = Self {
            dir: temporary.path().to_owned(),
            sources: self.sources.clone(),
            acquire: self.acquire.clone(),
            _lock: lock,
            _temporary: Some(temporary),
        };
        narrow.prepare()?;
        for entry in fs::read_dir(self.lists()).doing(doing)? {
            let path = entry.doing(doing)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let copy = narrow.lists().join(name);
            if name.ends_with("_Packages") {
                let text = fs::read_to_string(&path).doing(doing)?;
                files::write(&copy, filter(&text, names))?;
            } else if path.is_file() && name != "lock" {
                fs::copy(&path, copy).doing(doing)?;
            }
        }
        Ok(narrow)
    }

    /// Writes the directories and files of APT.
    fn prepare(&self) -> Result<()> {
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
            let path = self.dir.join(directory);
            fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
        }
        self.write("etc/apt/sources.list.d/debian.sources", &self.sources)?;
        self.write("var/lib/dpkg/status", "")?;
        self.write("apt.conf", &self.configuration())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        // What is right stays untouched: APT judges its caches by time stamps.
        if fs::read_to_string(&path).is_ok_and(|present| present == text) {
            return Ok(());
        }
        files::write(&path, text)
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
             Acquire::GzipIndexes \"false\";\n\
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

    /// A command that uses this index and ends with the thread that started it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = tool("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]);
        command.env("APT_CONFIG", self.dir.join("apt.conf"));
        command
    }

    /// The archives that installing `packages` takes on a system with that dpkg `status` file, or
    /// on none.
    ///
    /// # Errors
    /// When a package is unknown or cannot be installed with the others.
    pub fn resolve(
        &self,
        packages: &[String],
        status: Option<&Path>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<Archive>> {
        let mut command = self.command("apt-get");
        command.args(["install", "--yes", "--print-uris", "--no-install-recommends"]);
        if let Some(status) = status {
            command.arg("--option");
            command.arg(format!("Dir::State::status={}", status.display()));
        }
        command.args(packages);
        let finished = process::run(command, cancelled, &mut |_, _| {})?;
        if finished.status.success() {
            return Ok(parse_uris(&finished.stdout));
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

/// The paragraphs of a `Packages` file that are about one of `names`.
fn filter(text: &str, names: &BTreeSet<String>) -> String {
    let wanted = |paragraph: &&str| {
        let name = paragraph.lines().find_map(|line| line.strip_prefix("Package: "));
        name.is_some_and(|name| names.contains(name))
    };
    let mut filtered = String::new();
    for paragraph in text.split("\n\n").filter(wanted) {
        filtered.push_str(paragraph.trim_matches('\n'));
        filtered.push_str("\n\n");
    }
    filtered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_read_from_what_apt_prints() {
        let text = "Reading package lists...\n\
            'http://m/debian/pool/l/login_1%3a4%2bdeb_amd64.deb' login_1%3a4+deb_amd64.deb 77 SHA256:ab\n\
            'http://m/debian/pool/x.deb' x.deb 5 MD5Sum:cd\n";
        let archives = parse_uris(text);
        assert_eq!(
            archives,
            [Archive {
                uri: "http://m/debian/pool/l/login_1%3a4%2bdeb_amd64.deb".to_owned(),
                file: "login_1%3a4+deb_amd64.deb".to_owned(),
                size: 77,
                sha256: "ab".to_owned(),
            }]
        );
        assert_eq!(archives[0].package(), "login");
    }

    #[test]
    fn narrowing_keeps_every_version_of_the_wanted_and_nothing_else() {
        let text = "Package: a\nVersion: 1\nProvides: b\n\nPackage: b\nVersion: 1\n\n\
                    Package: a\nVersion: 2\nDescription: x\n";
        let names = BTreeSet::from(["a".to_owned()]);
        assert_eq!(
            filter(text, &names),
            "Package: a\nVersion: 1\nProvides: b\n\nPackage: a\nVersion: 2\nDescription: x\n\n"
        );
    }
}
