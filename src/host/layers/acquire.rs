//! How the host fetches packages: proxies, certificates, credentials.
//!
//! Layers are built with all of it, but for what would have packages believed that nobody signed.
//! Containers get what they need to fetch for themselves, and no secret: certificates, and addresses
//! without the name and password in them. So no layer depends on a secret either.

use std::path::{Path, PathBuf};

use super::process::{self, tool};
use crate::error::{Result, ResultExt};

/// Settings that turn off a check of what is fetched; the last part of their names.
const UNSAFE: [&str; 6] = [
    "AllowInsecureRepositories",
    "AllowWeakRepositories",
    "AllowDowngradeToInsecureRepositories",
    "AllowUnsizedPackages",
    "Verify-Peer",
    "Verify-Host",
];

/// Settings that name a client's own key or certificate; the last part of their names.
const CLIENT: [&str; 2] = ["SslKey", "SslCert"];

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
            .filter(|line| !is_one_of(line, &UNSAFE))
            .map(str::to_owned)
            .collect();
        Self { lines }
    }

    /// For APT on the host, while a layer is built.
    pub fn for_host(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// For APT in a container: there is no program of the host, no service on its loopback, and none
    /// of its secrets.
    pub fn for_containers(&self) -> String {
        let here = ["//localhost", "//127.", "//[::1]"];
        self.lines
            .iter()
            .filter(|line| !line.to_ascii_lowercase().contains("::proxy-auto-detect"))
            .filter(|line| !is_one_of(line, &CLIENT))
            .map(|line| without_userinfo(line))
            .filter(|line| !here.iter().any(|host| line.contains(host)))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// Files of the host that the settings for containers name: certificates.
    fn files(&self) -> Vec<PathBuf> {
        let named = |line: &String| {
            let path = line.split_once('"')?.1.strip_suffix("\";")?;
            path.starts_with('/').then(|| PathBuf::from(path))
        };
        self.lines.iter().filter(|line| !is_one_of(line, &CLIENT)).filter_map(named).collect()
    }

    /// The host's files that every container gets at the same place, as they stand there.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn for_every_container(&self, host: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut files = self.files();
        collect_files(host, Path::new("/usr/local/share/ca-certificates"), &mut files);
        files.push(PathBuf::from(PIP_CONFIGURATION));
        let mut all = Vec::new();
        for file in files {
            let place = host.join(file.strip_prefix("/").unwrap_or(&file));
            if !place.is_file() {
                continue;
            }
            let content = std::fs::read(&place).doing(|| format!("read {}", place.display()))?;
            let text = String::from_utf8_lossy(&content);
            // Whatever the file is called or meant for.
            if text.contains("PRIVATE KEY-----") {
                continue;
            }
            let content = if file == Path::new(PIP_CONFIGURATION) {
                pip_for_containers(&text).into_bytes()
            } else {
                content
            };
            all.push((file, content));
        }
        Ok(all)
    }
}

const PIP_CONFIGURATION: &str = "/etc/pip.conf";

/// Whether a line of `apt.conf` sets one of these, for all hosts or for one.
fn is_one_of(line: &str, names: &[&str]) -> bool {
    let name = line.split_whitespace().next().unwrap_or_default().trim_end_matches("::");
    let last = name.rsplit("::").next().unwrap_or_default();
    names.iter().any(|unsafe_name| unsafe_name.eq_ignore_ascii_case(last))
}

/// pip's settings without what is for this host alone.
fn pip_for_containers(text: &str) -> String {
    let is_own = |line: &&str| {
        let name = line.split(['=', ':']).next().unwrap_or_default().trim().replace('_', "-");
        !name.eq_ignore_ascii_case("client-cert")
    };
    text.lines().filter(is_own).map(|line| without_userinfo(line) + "\n").collect()
}

/// Text in which no address has a name or a password before its host.
pub fn without_userinfo(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        safe.push_str(before);
        safe.push_str("://");
        let is_end = |letter: char| letter.is_whitespace() || "/?#\"'<>,;".contains(letter);
        let end = after.find(is_end).unwrap_or(after.len());
        let host = after[..end].rsplit('@').next().unwrap_or_default();
        safe.push_str(host);
        rest = &after[end..];
    }
    safe.push_str(rest);
    safe
}

fn collect_files(host: &Path, directory: &Path, files: &mut Vec<PathBuf>) {
    let place = host.join(directory.strip_prefix("/").unwrap_or(directory));
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let path = directory.join(entry.file_name());
        if entry.path().is_dir() {
            collect_files(host, &path, files);
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

    #[test]
    fn nobody_has_packages_believed_that_are_not_signed() {
        let dump = "\
Acquire::AllowInsecureRepositories \"1\";
Acquire::allowweakrepositories \"true\";
Acquire::https::Verify-Peer \"false\";
Acquire::https::mirror.example::Verify-Host \"false\";
Acquire::https::CAInfo \"/etc/ssl/own.crt\";
";
        assert_eq!(
            Acquire::parse(dump).for_host(),
            "Acquire::https::CAInfo \"/etc/ssl/own.crt\";\n"
        );
    }

    #[test]
    fn no_secret_of_the_host_is_for_containers() {
        let host = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = host.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let own = "-----BEGIN CERTIFICATE-----\n";
        write("etc/apt/auth.conf", "machine m login hunter password hunter2\n");
        write("etc/apt/auth.conf.d/x.conf", "machine m login hunter password hunter2\n");
        write("etc/ssl/client.key", "-----BEGIN PRIVATE KEY-----hunter2\n");
        write("etc/ssl/client.crt", own);
        write("etc/ssl/own.crt", own);
        write("usr/local/share/ca-certificates/a/b.crt", own);
        write(
            "etc/pip.conf",
            "[global]\nindex-url = https://hunter:hun%40ter2@pypi.example/simple\n\
             extra-index-url =\n  https://hunter2@one.example/\n  https://two.example/a@b\n\
             client_cert = /etc/ssl/client.pem\n",
        );
        let acquire = Acquire::parse(
            "\
Acquire::http::Proxy \"http://hunter:hunter2@proxy.example:3128/\";
Acquire::https::SslKey \"/etc/ssl/client.key\";
Acquire::https::m::SslCert \"/etc/ssl/client.crt\";
Acquire::https::CAInfo \"/etc/ssl/own.crt\";
",
        );
        assert!(
            acquire.for_host().contains("hunter2@proxy") && acquire.for_host().contains("SslKey")
        );
        assert_eq!(
            acquire.for_containers(),
            "Acquire::http::Proxy \"http://proxy.example:3128/\";\n\
             Acquire::https::CAInfo \"/etc/ssl/own.crt\";\n"
        );
        let files = acquire.for_every_container(host.path()).unwrap();
        let names: Vec<&str> = files.iter().filter_map(|(path, _)| path.to_str()).collect();
        let expected =
            ["/etc/ssl/own.crt", "/usr/local/share/ca-certificates/a/b.crt", "/etc/pip.conf"];
        assert_eq!(names, expected);
        assert_eq!(
            String::from_utf8_lossy(&files[2].1),
            "[global]\nindex-url = https://pypi.example/simple\nextra-index-url =\n  \
             https://one.example/\n  https://two.example/a@b\n"
        );
        write("usr/local/share/ca-certificates/both.crt", "-----BEGIN RSA PRIVATE KEY-----\n");
        assert_eq!(acquire.for_every_container(host.path()).unwrap().len(), expected.len());
    }
}
