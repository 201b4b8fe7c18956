//! What uv found, as it writes it: a `pylock.toml` for one platform (PEP 751).

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

use crate::model::lock::{Distribution, Lock};

/// The version of the format, before its first dot.
const MAJOR: &str = "1";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pylock {
    lock_version: String,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    wheels: Vec<File>,
    sdist: Option<File>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Reads all distributions, in the order of their names.
///
/// # Errors
/// A sentence: it is no such file, or nothing of a distribution could be installed.
pub fn distributions(text: &str) -> Result<Vec<Distribution>, String> {
    let read: Pylock = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    if read.lock_version.split('.').next() != Some(MAJOR) {
        return Err(format!("it has version {} of the format", read.lock_version));
    }
    let mut all: Vec<Distribution> =
        read.packages.into_iter().map(distribution).collect::<Result<_, _>>()?;
    all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// A file whose versions uv prefers to newer ones.
pub fn preferred(lock: &Lock) -> String {
    let mut text = format!("lock-version = \"{MAJOR}.0\"\ncreated-by = \"aio\"\n");
    for Distribution { name, version, .. } in &lock.distributions {
        let _ = write!(text, "\n[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\n");
    }
    text
}

/// Wheels where there are any: what is built from source instead is another thing each time.
fn distribution(package: Package) -> Result<Distribution, String> {
    let Package { name, version, wheels, sdist } = package;
    let version = version.ok_or_else(|| format!("`{name}` has no version"))?;
    let files = if wheels.is_empty() { sdist.into_iter().collect() } else { wheels };
    if files.is_empty() {
        return Err(format!(
            "`{name}` {version} has neither a wheel for this platform nor a source"
        ));
    }
    let hash = |file: File| file.hashes.get("sha256").cloned();
    let hashes: Option<Vec<String>> = files.into_iter().map(hash).collect();
    let hashes = hashes.ok_or_else(|| format!("`{name}` {version} has a file without SHA-256"))?;
    Ok(Distribution { name, version, hashes, commit: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str =
        "lock-version = \"1.0\"\ncreated-by = \"uv\"\nrequires-python = \">=3.13\"\n\n";
    const SDIST: &str =
        "sdist = { url = \"https://x.example/a.tar.gz\", size = 1, hashes = { sha256 = \"a\" } }\n";
    const WHEELS: &str = "wheels = [\n    { url = \"https://x.example/2.whl\", hashes = { sha256 = \"c\" } },\n    \
                          { url = \"https://x.example/1.whl\", hashes = { sha256 = \"b\", md5 = \"d\" } },\n]\n";

    fn package(name: &str, files: &str) -> String {
        format!("[[packages]]\nname = \"{name}\"\nversion = \"1.0\"\nindex = \"x\"\n{files}\n")
    }

    fn read(packages: &[String]) -> Result<Vec<String>, String> {
        let all = distributions(&format!("{BEGIN}{}", packages.concat()))?;
        let told =
            all.iter().map(|it| format!("{} {} {}", it.name, it.version, it.hashes.join("+")));
        Ok(told.collect())
    }

    #[test]
    fn wheels_are_taken_where_there_are_any_and_sources_elsewhere() {
        let all = [
            package("several", WHEELS),
            package("both", &format!("{SDIST}{WHEELS}")),
            package("source", SDIST),
        ];
        assert_eq!(read(&all).unwrap(), ["both 1.0 c+b", "several 1.0 c+b", "source 1.0 a"]);
        assert_eq!(read(&[]).unwrap(), [""; 0]);
    }

    #[test]
    fn what_could_not_be_installed_is_refused() {
        let said = |files: &str| read(&[package("a", files)]).unwrap_err();
        assert_eq!(said(""), "`a` 1.0 has neither a wheel for this platform nor a source");
        assert_eq!(said("sdist = { url = \"x\" }\n"), "`a` 1.0 has a file without SHA-256");
        let directory = "[[packages]]\nname = \"a\"\ndirectory = { path = \".\" }\n".to_owned();
        assert_eq!(read(&[directory]).unwrap_err(), "`a` has no version");
        assert_eq!(
            distributions("lock-version = \"2.0\"\n").unwrap_err(),
            "it has version 2.0 of the format"
        );
        assert!(distributions("").unwrap_err().contains("lock-version"));
        assert!(distributions("=").is_err());
    }
}
