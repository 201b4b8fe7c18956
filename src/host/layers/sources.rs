//! The host's package settings: where Debian's packages come from and how they are reached.
//!
//! Nothing here knows a mirror. On a Debian host the URIs are those that its own APT uses for
//! Debian's archive, with the containers' suite in place of the host's; on any other host they are
//! mmdebstrap's default. Proxies, credentials and other `Acquire` settings are the host's own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result, ResultExt};

use super::process::{self, tool};

/// The keyring with which Debian's archive is checked, on the host and in containers.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One place where packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
}

/// What `apt-get indextargets` is asked for, one line for each index.
const TARGET_FORMAT: &str = "$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)";

/// What a layer's id depends on of the host's package sources. Cheap, needs no root.
///
/// # Errors
/// When the host's APT configuration cannot be read.
pub fn fingerprint(suite: &str) -> Result<String> {
    match host_sources(suite)? {
        Some(sources) => Ok(render(&sources)),
        None => Ok(format!("default sources of {suite}")),
    }
}

/// The text of a `.sources` file for containers of `suite`.
///
/// # Errors
/// When neither the host's APT nor mmdebstrap says where packages come from.
pub fn sources_text(suite: &str, scratch: &Path) -> Result<String> {
    let sources = match host_sources(suite)? {
        Some(sources) => sources,
        None => default_sources(suite, scratch)?,
    };
    Ok(render(&sources))
}

/// The sources of a Debian host, for another suite; `None` on any other host.
fn host_sources(suite: &str) -> Result<Option<Vec<Source>>> {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let Some(codename) = debian_codename(&release) else { return Ok(None) };
    let mut command = tool("apt-get");
    command.args(["indextargets", "--format", TARGET_FORMAT]);
    let finished = process::run(command, &|| false, &mut |_, _| {})?;
    if !finished.status.success() {
        return Err(Error::new(ErrorKind::Host, "read the host's APT sources")
            .output(finished.tail)
            .hint("Make `apt-get indextargets` work on this host."));
    }
    Ok(translate(&finished.stdout, &codename, suite))
}

/// The code name of a Debian host.
fn debian_codename(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
    };
    if value("ID").as_deref() != Some("debian") {
        return None;
    }
    // Testing and unstable may have no code name here; their sources name the suite itself.
    Some(value("VERSION_CODENAME").unwrap_or_else(|| "sid".to_owned()))
}

/// What one index target says.
struct Target<'a> {
    uri: &'a str,
    release: &'a str,
    origin: Option<&'a str>,
}

/// The host's sources of Debian's archive with `suite` in place of the host's own suite.
fn translate(targets: &str, codename: &str, suite: &str) -> Option<Vec<Source>> {
    let mut targets: Vec<Target<'_>> = targets.lines().filter_map(parse_target).collect();
    // Once the host has fetched its indexes, they say who made them. Before that (a fresh image),
    // the usual name of the directory must do: others also publish for Debian's suites.
    if targets.iter().any(|target| target.origin.is_some()) {
        targets.retain(|target| target.origin == Some("Debian"));
    } else {
        targets.retain(|target| {
            let path = target.uri.trim_end_matches('/');
            path.ends_with("/debian") || path.ends_with("/debian-security")
        });
    }
    let own = [codename, "stable", "testing", "unstable", "sid", "oldstable", "oldoldstable"];
    let mut sources: Vec<Source> = Vec::new();
    let mut add = |uri: &str, suite: String| {
        let uri = uri.trim_end_matches('/').to_owned();
        match sources.iter_mut().find(|source| source.uri == uri) {
            Some(source) if source.suites.contains(&suite) => {}
            Some(source) => source.suites.push(suite),
            None => sources.push(Source { uri, suites: vec![suite] }),
        }
    };
    for name in own {
        for target in targets.iter().filter(|target| target.release == name) {
            add(target.uri, suite.to_owned());
        }
        for pocket in ["updates", "security"] {
            let pocket_of = format!("{name}-{pocket}");
            for target in targets.iter().filter(|target| target.release == pocket_of) {
                add(target.uri, format!("{suite}-{pocket}"));
            }
        }
    }
    let has_archive = sources.iter().any(|source| source.suites.iter().any(|name| name == suite));
    has_archive.then_some(sources)
}

/// One line of [`TARGET_FORMAT`], if it is about binary packages of `main`.
fn parse_target(line: &str) -> Option<Target<'_>> {
    let mut fields = line.split('|');
    let (created_by, uri, release) = (fields.next()?, fields.next()?, fields.next()?);
    let (component, origin) = (fields.next()?, fields.next()?);
    if created_by != "Packages" || component != "main" {
        return None;
    }
    // APT leaves the placeholder where it does not know.
    let origin = (!origin.is_empty() && !origin.starts_with("$(")).then_some(origin);
    // Containers cannot read a mirror that is a directory of the host, and a snapshot of one suite
    // need not hold the other.
    let usable = (uri.starts_with("http://") || uri.starts_with("https://"))
        && !uri.contains("/snapshot.debian.org/");
    usable.then_some(Target { uri, release, origin })
}

/// mmdebstrap's own default for `suite`.
fn default_sources(suite: &str, scratch: &Path) -> Result<Vec<Source>> {
    let root = scratch.join("default-sources");
    if root.exists() {
        std::fs::remove_dir_all(&root).doing(|| format!("remove {}", root.display()))?;
    }
    let mut command = tool("mmdebstrap");
    command.args(["--quiet", "--simulate", "--variant=custom", "--skip=update", "--mode=root"]);
    command.arg(format!("--keyring={KEYRING}")).arg(suite).arg(&root);
    let finished = process::run(command, &|| false, &mut |_, _| {})?;
    let text = std::fs::read_to_string(root.join("etc/apt/sources.list"));
    let _ = std::fs::remove_dir_all(&root);
    match text {
        Ok(text) if finished.status.success() => Ok(parse_one_line(&text)),
        _ => Err(Error::new(ErrorKind::Host, "ask mmdebstrap where Debian's packages come from")
            .output(finished.tail)
            .hint("Install a current mmdebstrap and run again.")),
    }
}

/// `deb [options] URI SUITE COMPONENT…` lines.
fn parse_one_line(text: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with('['));
        if words.next() != Some("deb") {
            continue;
        }
        let mut words = words.skip_while(|word| word.starts_with('[') || word.ends_with(']'));
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else { continue };
        let uri = uri.trim_end_matches('/').to_owned();
        match sources.iter_mut().find(|source| source.uri == uri) {
            Some(source) => source.suites.push(suite.to_owned()),
            None => sources.push(Source { uri, suites: vec![suite.to_owned()] }),
        }
    }
    sources
}

/// The text of a `.sources` file.
fn render(sources: &[Source]) -> String {
    let mut text = String::new();
    for source in sources {
        let separator = if text.is_empty() { "" } else { "\n" };
        let _ = write!(
            text,
            "{separator}Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: {KEYRING}\n",
            source.uri,
            source.suites.join(" "),
        );
    }
    text
}

/// How the host's APT fetches: proxies, certificates, time-outs, retries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acquire {
    /// Lines of an `apt.conf`.
    lines: Vec<String>,
}

impl Acquire {
    /// Asks the host's APT.
    ///
    /// # Errors
    /// When `apt-config` cannot be run.
    pub fn of_host() -> Result<Self> {
        let mut command = tool("apt-config");
        command.arg("dump");
        let finished = process::run(command, &|| false, &mut |_, _| {})?;
        Ok(Self::parse(&finished.stdout))
    }

    fn parse(dump: &str) -> Self {
        // What belongs to the host's own indexes and media is not about fetching.
        let foreign = ["IndexTargets", "Changelogs", "Languages", "GzipIndexes", "cdrom"];
        let lines = dump
            .lines()
            .filter(|line| {
                line.strip_prefix("Acquire::").is_some_and(|rest| {
                    !rest.starts_with("CompressionTypes")
                        && !foreign.iter().any(|name| rest.starts_with(name))
                        && !line.ends_with(" \"\";")
                })
            })
            .map(str::to_owned)
            .collect();
        Self { lines }
    }

    /// For APT on the host, while a layer is built.
    pub fn for_host(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// For APT in a container: there is no program of the host and no service on its loopback.
    pub fn for_containers(&self) -> String {
        let here = ["//localhost", "//127.", "//[::1]"];
        self.lines
            .iter()
            .filter(|line| !line.to_ascii_lowercase().contains("::proxy-auto-detect"))
            .filter(|line| !here.iter().any(|host| line.contains(host)))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// Files of the host that the settings name (certificates, keys), for containers.
    pub fn files(&self) -> Vec<PathBuf> {
        self.lines
            .iter()
            .filter_map(|line| line.split_once('"')?.1.strip_suffix("\";"))
            .filter(|value| value.starts_with('/'))
            .map(PathBuf::from)
            .filter(|path| path.is_file())
            .collect()
    }
}

/// Files of the host that a container needs at the same place, with their modes: certificate
/// authorities that the host's owner added, credentials for mirrors, pip's configuration.
pub fn host_files() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/pip.conf"), PathBuf::from("/etc/apt/auth.conf")];
    for directory in ["/etc/apt/auth.conf.d", "/usr/local/share/ca-certificates"] {
        collect_files(Path::new(directory), &mut files);
    }
    files.retain(|path| path.is_file());
    files
}

fn collect_files(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect_files(&path, files);
        } else {
            files.push(path);
        }
    }
    files.sort();
}
