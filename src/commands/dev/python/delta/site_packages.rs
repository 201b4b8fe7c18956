//! The directory into which pip puts wheels.

use std::fs;
use std::path::Path;

use rustix::fs::{AtFlags, Mode};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, ResultExt};
use crate::lxc::descent::{self, Entry};

/// The longest METADATA and RECORD: the first may hold a README, the second names every file.
const LONGEST_TEXT: u64 = 8 << 20;

/// One fetched distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Its name, as it writes it.
    pub name: String,
    pub version: String,
    pub bytes: u64,
}

/// Removes commands, which would start the host's Python, and lets everybody read the rest, whatever
/// the caller's mask. Refuses what wheels do not hold: links, pipes, devices.
pub fn tidy(site: &Path) -> Result<()> {
    let commands = site.join("bin");
    descent::remove(&commands).doing(|| format!("remove {}", commands.display()))?;
    walk(site, |entry| {
        let mode = Mode::from_raw_mode(if entry.kind.is_dir() { 0o755 } else { 0o644 });
        Ok(rustix::fs::chmodat(entry.directory, entry.name, mode, AtFlags::empty())?)
    })
    .doing(|| format!("set the modes of {}", site.display()))
}

/// Returns how many files there are, and their bytes.
pub fn measure(site: &Path) -> Result<(u64, u64)> {
    let mut total = (0_u64, 0_u64);
    walk(site, |entry| {
        if entry.kind.is_file() {
            total.0 += 1;
            total.1 = total.1.saturating_add(entry.stat()?.st_size.cast_unsigned());
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
            // After `tidy`, which refuses links.
            let metadata = text_of(&path.join("METADATA"))
                .doing(|| format!("read {}/METADATA", path.display()))?;
            let record = text_of(&path.join("RECORD")).unwrap_or_default();
            found.push((distribution(&metadata, &record, &path)?, metadata));
        }
    }
    found.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    Ok(found.into_iter().unzip())
}

fn text_of(file: &Path) -> std::io::Result<String> {
    use std::io::Read;

    let mut text = String::new();
    let taken = fs::File::open(file)?.take(LONGEST_TEXT + 1).read_to_string(&mut text)?;
    if taken as u64 > LONGEST_TEXT {
        return Err(std::io::Error::other(format!("it has more than {} MiB", LONGEST_TEXT >> 20)));
    }
    Ok(text)
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
    let mut sizes = files.filter_map(|line| line.rsplit(',').next()?.trim().parse::<u64>().ok());
    let bytes = sizes.try_fold(0_u64, u64::checked_add).ok_or_else(|| {
        Error::failed(format!("read {}/RECORD", path.display()))
            .because("its files have more bytes than there can be")
            .hint("Choose another version of it in the constraints of pip (PIP_CONSTRAINT).")
    })?;
    Ok(Distribution { name, version, bytes })
}

/// Visits a directory and everything below it.
fn walk(
    site: &Path,
    mut visit: impl FnMut(&Entry<'_>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    descent::walk(site, |entry| {
        if !entry.kind.is_dir() && !entry.kind.is_file() {
            return Err(std::io::Error::other(format!(
                "`{}` in it is neither file nor directory: wheels hold no other",
                entry.name.to_string_lossy()
            )));
        }
        visit(entry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::python::testing::installed;

    #[test]
    fn sizes_that_are_none_are_refused() {
        let site = tempfile::tempdir().unwrap();
        installed(site.path(), "app", "1.0", &[]);
        let record = site.path().join("app-1.0.dist-info/RECORD");
        fs::write(&record, format!("a.py,,{}\nb.py,,\nbin/c,,1\n", u64::MAX)).unwrap();
        assert_eq!(read(site.path()).unwrap().0[0].bytes, u64::MAX);
        fs::write(&record, format!("a.py,,{}\nb.py,,1\n", u64::MAX)).unwrap();
        let error = read(site.path()).unwrap_err();
        assert!(error.message.ends_with("app-1.0.dist-info/RECORD"), "{error}");
    }
}
