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

use crate::host::python::ini::Ini;
use crate::lxc::sandbox::{Copied, Sandbox, System};

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
/// The bundle of certificates that the host trusts.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What uv calls pip's settings, the first of them when nobody set any.
const OF_PIP: [(&str, &[&str]); 8] = [
    ("index-url", &["UV_DEFAULT_INDEX", "UV_INDEX_URL"]),
    ("extra-index-url", &["UV_INDEX", "UV_EXTRA_INDEX_URL"]),
    ("find-links", &["UV_FIND_LINKS"]),
    ("trusted-host", &["UV_INSECURE_HOST"]),
    ("timeout", &["UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT"]),
    ("cert", &["SSL_CERT_FILE"]),
    ("client-cert", &["SSL_CLIENT_CERT"]),
    ("proxy", &["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"]),
];
/// What a user's settings of uv decide: how an index is reached. Where things are put, and which Python it
/// is, they do not; those of an index by its name begin with `UV_INDEX_`.
const OF_UV: [&str; 14] = [
    "UV_CONCURRENT_DOWNLOADS",
    "UV_CONFIG_FILE",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_INDEX",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_NO_INDEX",
    "UV_REQUEST_TIMEOUT",
    "UV_SYSTEM_CERTS",
];
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
            name == "HOME"
                || name.starts_with("PIP_")
                || name.starts_with("UV_")
                || VARIABLES.contains(&name.as_str())
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
        let mut files = vec!["/etc/xdg/pip/pip.conf".into(), "/etc/pip.conf".into()];
        files.extend([home.join(".pip/pip.conf"), configuration.join("pip/pip.conf")]);
        files.extend(value("PIP_CONFIG_FILE"));
        let netrc = value("NETRC").unwrap_or_else(|| home.join(".netrc"));
        let mut named: Vec<String> = files.iter().flat_map(|file| named_by(file)).collect();
        let variables = settings.environment.iter().filter(|(name, _)| name != "HOME");
        named.extend(variables.map(|(_, value)| value.clone()));
        settings.files = files;
        settings.files.push(netrc);
        settings.files.extend(["/etc/uv/uv.toml".into(), configuration.join("uv/uv.toml")]);
        settings.files.extend(value("UV_CONFIG_FILE"));
        for path in named.iter().flat_map(|value| value.split_whitespace()).filter_map(path_of) {
            if path.is_dir() {
                settings.directories.push(path);
            } else if path.is_file() {
                settings.files.push(path);
            }
        }
        settings
    }

    /// A place in which uv finds all this, and another system's Python.
    pub fn sandbox_of(&self, system: System) -> Sandbox {
        let mut sandbox = self.sandbox();
        sandbox.see(system);
        sandbox
    }

    /// The environment of uv: its own settings, and pip's where it has none. `cache` is where it keeps
    /// what it fetched.
    pub fn for_uv(&self, cache: &Path) -> Vec<(String, String)> {
        let own = |(name, _): &&(String, String)| {
            let of_uv = OF_UV.contains(&name.as_str()) || name.starts_with("UV_INDEX_");
            name == "HOME" || of_uv || VARIABLES.contains(&name.as_str())
        };
        let mut all: Vec<(String, String)> = self.environment.iter().filter(own).cloned().collect();
        // What uv's own file says of an index counts, whatever pip's says.
        let configured = self.files.iter().any(|file| file.ends_with("uv.toml") && file.exists());
        let of_index = ["index-url", "extra-index-url", "find-links"];
        for (key, names) in OF_PIP {
            if configured && of_index.contains(&key) {
                continue;
            }
            let Some(value) = self.of_pip(key) else { continue };
            if !names.iter().any(|name| all.iter().any(|(known, _)| known == name)) {
                all.push((names[0].to_owned(), value));
            }
        }
        let fixed = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("UV_CACHE_DIR", cache.display().to_string()),
            ("UV_NO_PROGRESS", "1".to_owned()),
            ("UV_PYTHON_DOWNLOADS", "never".to_owned()),
            ("TMPDIR", cache.display().to_string()),
        ];
        all.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
        if !all.iter().any(|(name, _)| name == "SSL_CERT_FILE" || name == "SSL_CERT_DIR") {
            all.push(("SSL_CERT_FILE".to_owned(), BUNDLE.to_owned()));
        }
        all
    }

    /// One of pip's settings, by the name that it has in its files.
    fn of_pip(&self, key: &str) -> Option<String> {
        let variable = format!("PIP_{}", key.to_uppercase().replace('-', "_"));
        let set = self.environment.iter().find(|(name, _)| *name == variable);
        let value = set.map(|(_, value)| value.clone()).or_else(|| {
            // The last file that has it counts, as with pip.
            let files = self.files.iter().rev().filter_map(|file| Ini::parse(&read(file)?).ok());
            files
                .filter_map(|ini| {
                    let section = |section| ini.get(section, key).map(str::to_owned);
                    section("install").or_else(|| section("global"))
                })
                .next()
        })?;
        let words: Vec<&str> = value.split_whitespace().collect();
        // A directory that is not there is nothing to pip, and an error to uv.
        let there = |word: &&&str| !word.starts_with('/') || Path::new(word).exists();
        let words: Vec<&str> = words.iter().filter(there).copied().collect();
        let separator = if key == "find-links" { "," } else { " " };
        Some(words.join(separator)).filter(|value| !value.is_empty())
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

/// The text of a file of settings, if it is one.
fn read(file: &Path) -> Option<String> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = File::options().read(true).custom_flags(nonblocking).open(file).ok()?;
    if !opened.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    opened.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The values of a file of settings that name files.
fn named_by(file: &Path) -> Vec<String> {
    let Some(text) = read(file) else { return Vec::new() };
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

    fn for_uv(home: &Path, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = [("HOME", home.to_str().unwrap())];
        let variables = own.iter().chain(more).map(|(name, value)| (name.into(), value.into()));
        Settings::from(variables).for_uv(Path::new("/c"))
    }

    fn value<'a>(environment: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
        environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    #[test]
    fn uv_goes_where_pip_would_unless_it_was_told_itself() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join(".config/pip")).unwrap();
        let text = "[global]\nindex-url = https://g.example/simple\ntrusted-host = a b\n[install]\n\
                    index-url = https://i.example/simple\nfind-links = /nowhere\n    https://l.example\n";
        std::fs::write(place.path().join(".config/pip/pip.conf"), text).unwrap();
        let plain = for_uv(place.path(), &[]);
        assert_eq!(value(&plain, "UV_DEFAULT_INDEX"), Some("https://i.example/simple"));
        assert_eq!(value(&plain, "UV_INSECURE_HOST"), Some("a b"));
        assert_eq!(value(&plain, "UV_FIND_LINKS"), Some("https://l.example"));
        assert_eq!(value(&plain, "UV_CACHE_DIR"), Some("/c"));
        let by_variable = for_uv(place.path(), &[("PIP_INDEX_URL", "https://p.example")]);
        assert_eq!(value(&by_variable, "UV_DEFAULT_INDEX"), Some("https://p.example"));
        assert_eq!(value(&by_variable, "PIP_INDEX_URL"), None, "uv has no use for it");
        let own = [("UV_INDEX_URL", "https://u.example"), ("UV_TARGET", "/elsewhere")];
        let told = for_uv(place.path(), &own);
        assert_eq!(value(&told, "UV_DEFAULT_INDEX"), None);
        assert_eq!(value(&told, "UV_INDEX_URL"), Some("https://u.example"));
        assert_eq!(value(&told, "UV_TARGET"), None, "where things go is not a user's choice");
    }

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
