//! How the host fetches packages: proxies, certificates, credentials. Containers do likewise.

use std::path::{Path, PathBuf};

use super::process::{self, tool};
use crate::error::Result;

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
        let foreign =
            ["IndexTargets", "Changelogs", "Snapshots", "Languages", "GzipIndexes", "cdrom"];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_get_what_works_in_them() {
        let dump = "\
APT::Architecture \"amd64\";
Acquire \"\";
Acquire::http::Proxy \"http://127.0.0.1:3142\";
Acquire::https::Proxy \"http://proxy.example:3128\";
Acquire::http::Proxy-Auto-Detect \"/usr/bin/find-proxy\";
Acquire::Retries \"3\";
Acquire::Languages:: \"none\";
Acquire::Snapshots::URI::Host::mirror \"x\";
Acquire::CompressionTypes::xz \"xz\";
";
        let acquire = Acquire::parse(dump);
        assert_eq!(
            acquire.for_containers(),
            "Acquire::https::Proxy \"http://proxy.example:3128\";\nAcquire::Retries \"3\";\n"
        );
        assert!(acquire.for_host().contains("127.0.0.1:3142"));
        assert!(acquire.for_host().contains("find-proxy"));
        assert!(!acquire.for_host().contains("Snapshots"));
    }
}
