//! What of the host pip sees when it runs without rights: a Python, what it needs to reach an index,
//! and the host's own settings for that.
//!
//! Settings may hold an index's credentials. pip needs them, and nothing that a checkout or a
//! container says makes pip run anything, so it may read them; it gets copies, since the originals
//! are often root's alone.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::commands::dev::source::ini::Ini;
use crate::lxc::sandbox::{Copied, Sandbox};

/// A Python with its libraries, certificates, names, and the devices that every program expects.
const SEEN: [&str; 16] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki",
    "/etc/ssl",
    "/dev/null",
    "/dev/urandom",
];
/// Files that may be links to elsewhere.
const COPIED: [&str; 5] =
    ["/etc/gai.conf", "/etc/host.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"];
/// Beside `PIP_*`: how an index is reached.
const VARIABLES: [&str; 15] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NETRC",
    "XDG_CONFIG_HOME",
];
/// Settings whose values name files or directories that pip reads.
const NAMING: [&str; 6] =
    ["cert", "client-cert", "find-links", "index-url", "extra-index-url", "constraint"];
/// The longest file of settings.
const LONGEST: u64 = 1 << 20;
/// The longest file that pip writes, and what it may map.
const LONGEST_WRITTEN: u64 = 4 << 30;
const MEMORY: u64 = 8 << 30;

/// The host's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub environment: Vec<(String, String)>,
    /// Files that pip reads.
    pub files: Vec<PathBuf>,
    /// Directories that pip reads.
    pub directories: Vec<PathBuf>,
}

impl Settings {
    /// Returns the settings of this process's environment, and of the files that it leads to.
    pub fn of_host() -> Self {
        Self::from(std::env::vars_os())
    }

    pub(super) fn from(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let kept = |(name, _): &(String, String)| {
            name == "HOME" || name.starts_with("PIP_") || VARIABLES.contains(&name.as_str())
        };
        let mut environment: Vec<_> = variables.filter_map(text).filter(kept).collect();
        environment.sort();
        let mut settings = Self { environment, ..Self::default() };
        let value = |wanted: &str| {
            let found = settings.environment.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| PathBuf::from(value))
        };
        let home = value("HOME").unwrap_or_else(|| "/root".into());
        let configuration = value("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let mut files = vec!["/etc/pip.conf".into(), "/etc/xdg/pip/pip.conf".into()];
        files.extend([home.join(".pip/pip.conf"), configuration.join("pip/pip.conf")]);
        files.extend(value("PIP_CONFIG_FILE"));
        let netrc = value("NETRC").unwrap_or_else(|| home.join(".netrc"));
        let mut named: Vec<String> = files.iter().flat_map(|file| named_by(file)).collect();
        let variables = settings.environment.iter().filter(|(name, _)| name != "HOME");
        named.extend(variables.map(|(_, value)| value.clone()));
        settings.files = files;
        settings.files.push(netrc);
        for path in named.iter().flat_map(|value| value.split_whitespace()).filter_map(path_of) {
            if path.is_dir() {
                settings.directories.push(path);
            } else if path.is_file() {
                settings.files.push(path);
            }
        }
        settings
    }

    /// A place in which pip finds all this.
    pub fn sandbox(&self) -> Sandbox {
        let mut seen: Vec<PathBuf> = SEEN.iter().map(PathBuf::from).collect();
        let of_python = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("python"))
        };
        let settings = std::fs::read_dir("/etc").into_iter().flatten().flatten();
        seen.extend(settings.map(|entry| entry.path()).filter(of_python));
        let shown = |path: &PathBuf, seen: &[PathBuf]| seen.iter().any(|it| path.starts_with(it));
        for directory in &self.directories {
            if !shown(directory, &seen) {
                seen.push(directory.clone());
            }
        }
        let files = COPIED.iter().map(PathBuf::from).chain(self.files.iter().cloned());
        let copied =
            files.filter(|path| !shown(path, &seen)).map(|path| Copied { path, reader: 0 });
        Sandbox {
            copied: copied.collect(),
            seen,
            network: true,
            longest_file: LONGEST_WRITTEN,
            memory: MEMORY,
            ..Sandbox::default()
        }
    }
}

/// The values of a file of settings that name files.
fn named_by(file: &Path) -> Vec<String> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut text = String::new();
    let opened = File::options().read(true).custom_flags(nonblocking).open(file);
    let Ok(opened) = opened.and_then(|it| Ok((it.metadata()?.is_file(), it))) else {
        return Vec::new();
    };
    if !opened.0 || opened.1.take(LONGEST).read_to_string(&mut text).is_err() {
        return Vec::new();
    }
    // pip itself says what is wrong with it.
    let ini = Ini::parse(&text).unwrap_or_default();
    NAMING.iter().flat_map(|key| ini.everywhere(key)).map(str::to_owned).collect()
}

/// An absolute path, or that of a `file:` address. Not what has everything below it.
fn path_of(word: &str) -> Option<PathBuf> {
    let path = Path::new(word.strip_prefix("file://").unwrap_or(word));
    let everything = ["/", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/var"];
    let narrow = path.is_absolute() && !everything.iter().any(|it| Path::new(it) == path);
    narrow.then(|| path.canonicalize().unwrap_or_else(|_| path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_an_index_is_seen_and_nothing_else_of_the_environment() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path();
        for directory in [".config/pip", "wheels", "mirror"] {
            std::fs::create_dir_all(home.join(directory)).unwrap();
        }
        let at = |name: &str| home.join(name).canonicalize().unwrap();
        std::fs::write(home.join("ca.pem"), "").unwrap();
        std::fs::write(home.join("constraints.txt"), "").unwrap();
        let text = format!(
            "[global]\ncert = {0}/ca.pem\nindex-url = file://{0}/mirror\nfind-links =\n    {0}/wheels\n    \
             https://x.example\ntarget = {0}\n[install]\nconstraint = {0}/constraints.txt\n",
            at("").display()
        );
        std::fs::write(home.join(".config/pip/pip.conf"), text).unwrap();
        let variables = [
            ("HOME", home.to_str().unwrap()),
            ("PIP_INDEX_URL", "https://user:word@x.example/simple"),
            ("https_proxy", "http://proxy.example:3128"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("OS_PASSWORD", "secret"),
            ("PIP_FIND_LINKS", "/"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let settings = Settings::from(variables.into_iter());
        let names: Vec<&str> = settings.environment.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["HOME", "PIP_FIND_LINKS", "PIP_INDEX_URL", "https_proxy"]);
        assert_eq!(settings.directories, [at("wheels"), at("mirror")]);
        for file in [at("ca.pem"), at("constraints.txt"), at("").join(".config/pip/pip.conf")] {
            assert!(settings.files.contains(&file), "{file:?} of {:?}", settings.files);
        }
        let sandbox = settings.sandbox();
        assert!(
            !sandbox.seen.iter().any(|path| path == Path::new("/") || path == Path::new("/etc"))
        );
    }
}
