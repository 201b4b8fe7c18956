//! The directory into which pip puts wheels.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, ResultExt};

/// One fetched distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Its name, as it writes it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The size of its files.
    pub bytes: u64,
}

/// Removes commands, which would start the host's Python, and lets everybody read the rest, whatever
/// the caller's mask.
pub fn tidy(site: &Path) -> Result<()> {
    let commands = site.join("bin");
    if commands.is_dir() {
        fs::remove_dir_all(&commands).doing(|| format!("remove {}", commands.display()))?;
    }
    walk(site, &mut |path, metadata| {
        let mode = if metadata.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode))
    })
    .doing(|| format!("set the modes of {}", site.display()))
}

/// How many files there are, and their bytes.
pub fn measure(site: &Path) -> Result<(u64, u64)> {
    let mut total = (0, 0);
    walk(site, &mut |_, metadata| {
        if metadata.is_file() {
            total.0 += 1;
            total.1 += metadata.len();
        }
        Ok(())
    })
    .doing(|| format!("measure {}", site.display()))?;
    Ok(total)
}

/// The distributions, sorted by name, and their METADATA.
pub fn read(site: &Path) -> Result<(Vec<Distribution>, Vec<String>)> {
    let doing = || format!("read {}", site.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(site).doing(doing)? {
        let path = entry.doing(doing)?.path();
        if path.extension().is_some_and(|extension| extension == "dist-info") {
            let metadata = fs::read_to_string(path.join("METADATA"))
                .doing(|| format!("read {}/METADATA", path.display()))?;
            let record = fs::read_to_string(path.join("RECORD")).unwrap_or_default();
            found.push((distribution(&metadata, &record, &path)?, metadata));
        }
    }
    found.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    Ok(found.into_iter().unzip())
}

fn distribution(metadata: &str, record: &str, path: &Path) -> Result<Distribution> {
    let header = |name: &str| {
        // The description after the first empty line may say anything.
        let mut headers = metadata.lines().take_while(|line| !line.is_empty());
        headers.find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let (Some(name), Some(version)) = (header("Name:"), header("Version:")) else {
        return Err(Error::failed(format!("read {}/METADATA", path.display()))
            .because("it has no name or no version"));
    };
    // `path,hash,size`; commands were removed.
    let files = record.lines().filter(|line| !line.trim_start_matches("../").starts_with("bin/"));
    let sizes = files.filter_map(|line| line.rsplit(',').next()?.trim().parse::<u64>().ok());
    Ok(Distribution { name, version, bytes: sizes.sum() })
}

/// Visits a directory and everything below it.
fn walk(
    path: &Path,
    visit: &mut dyn FnMut(&Path, &fs::Metadata) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    // Wheels hold no links; what a link would point to is nobody's business here.
    if metadata.is_symlink() {
        return Ok(());
    }
    visit(path, &metadata)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), visit)?;
        }
    }
    Ok(())
}
