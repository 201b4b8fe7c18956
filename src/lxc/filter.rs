//! A container's own input rules: a file of the host's, loaded into the network namespace from
//! outside. The container needs no program for it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::process::tool;
use crate::error::{Error, Result, ResultExt};

/// The rules of the container whose record is `record`.
pub fn file_of(record: &Path) -> PathBuf {
    record.with_extension("nft")
}

/// Where is noted in which namespace which rules were loaded.
pub fn note_of(record: &Path) -> PathBuf {
    record.with_extension("loaded")
}

/// What the note says when `rules` are in the namespace of the process; `None` without the process.
pub fn note(pid: u32, rules: &[u8]) -> Option<Vec<u8>> {
    let namespace = std::fs::metadata(format!("/proc/{pid}/ns/net")).ok()?;
    Some([format!("{} ", namespace.ino()).as_bytes(), rules].concat())
}

/// Loads the rules into the network namespace of the process, if there are any.
///
/// # Errors
/// When nft refuses them.
#[allow(
    clippy::disallowed_methods,
    reason = "this stands below `state`, and whoever reads half of it loads again"
)]
pub fn load(pid: u32, record: &Path) -> Result<()> {
    let file = file_of(record);
    let rules = match std::fs::read(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.doing(|| format!("read `{}`", file.display()))?,
    };
    let doing = || "set what the container lets in".to_owned();
    let output = tool("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .args(["nft", "-f"])
        .arg(&file)
        .output()
        .doing(doing)?;
    if !output.status.success() {
        return Err(Error::failed(doing())
            .because(format!("nft refuses `{}`", file.display()))
            .output(String::from_utf8_lossy(&output.stderr).into_owned())
            .hint("The kernel must know nf_tables with connection tracking: see `aio size`."));
    }
    let path = note_of(record);
    match note(pid, &rules) {
        Some(text) => std::fs::write(&path, text).doing(|| format!("write `{}`", path.display())),
        None => Ok(()),
    }
}
