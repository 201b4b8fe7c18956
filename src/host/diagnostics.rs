//! What the host says about itself, for people who look for a fault.

use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::facts::{self, Depth};
use super::journal::{self, Query};
use super::tool;
use crate::error::{Error, Result, ResultExt};
use crate::host::{Diagnostics, blocking};
use crate::model::command::Output;
use crate::model::facts::HostFacts;
use crate::model::journal::Entry;
use crate::model::paths::Paths;

/// A tool that says nothing for so long (`df` on a server that is gone) says nothing more.
const PATIENCE: Duration = Duration::from_secs(20);

/// What it is all for.
const LOOKING: &str = "look at the host";

/// The real thing.
pub struct RealDiagnostics {
    paths: Paths,
}

impl RealDiagnostics {
    /// Of the host of a cloud, which need not be there.
    pub fn new(paths: Paths) -> Self {
        Self { paths }
    }
}

#[async_trait]
impl Diagnostics for RealDiagnostics {
    async fn facts(&self) -> Result<HostFacts> {
        Ok(facts::read(&self.paths.state_dir, Depth::Thorough).await)
    }

    async fn tool(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        tool::look(program, arguments, PATIENCE).await
    }

    async fn file(&self, path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        let path = path.to_owned();
        blocking(LOOKING, move || end(&path, limit_bytes)).await
    }

    async fn journal(&self, machine_id: &str, lines: u32) -> Result<Vec<Entry>> {
        // One directory for each container: `journalctl` opens no other's files.
        let directory = self.paths.journal_dir().join(machine_id);
        let query = Query {
            machine_ids: vec![machine_id.to_owned()],
            lines: Some(lines),
            ..Query::default()
        };
        blocking(LOOKING, move || {
            let doing = || format!("read {}", directory.display());
            std::fs::read_dir(&directory).doing(doing)?;
            let mut entries = Vec::new();
            journal::read(&directory, &query, |entry| {
                entries.push(entry);
                Ok(true)
            })?;
            Ok(entries)
        })
        .await
    }
}

/// The file, or whole lines of its end. A line that was cut could hold a half of what must be masked.
fn end(path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
    let doing = || format!("read {}", path.display());
    // A pipe must not hang whoever reads it.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = File::options().read(true).custom_flags(nonblocking).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        opened => opened.doing(doing)?,
    };
    let metadata = file.metadata().doing(doing)?;
    if !metadata.is_file() {
        return Err(Error::failed(doing()).because("it is not a file"));
    }
    let skipped = metadata.len().saturating_sub(limit_bytes);
    file.seek(SeekFrom::Start(skipped)).doing(doing)?;
    let mut content = Vec::new();
    file.take(limit_bytes).read_to_end(&mut content).doing(doing)?;
    if skipped > 0 {
        let cut = content.iter().position(|byte| *byte == b'\n').map_or(content.len(), |at| at + 1);
        content.drain(..cut);
    }
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_cut_at_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        assert_eq!(end(&path, 10).unwrap(), None);
        std::fs::write(&path, "first\nsecond\nthird\n").unwrap();
        let text = |limit| String::from_utf8(end(&path, limit).unwrap().unwrap()).unwrap();
        assert_eq!(text(100), "first\nsecond\nthird\n");
        assert_eq!(text(10), "third\n");
        assert_eq!(text(3), "");
        assert!(end(directory.path(), 10).is_err());
        // Files of the kernel have no size.
        assert!(!end(Path::new("/proc/self/mountinfo"), 1 << 20).unwrap().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_tool_answers_whatever_its_status_and_is_killed_in_the_end() {
        let limit = Duration::from_secs(10);
        let output = tool::look("sh", &["-c", "echo a; echo b >&2; exit 3"], limit).await.unwrap();
        assert_eq!((output.status, output.text().as_str()), (3, "a\n"));
        assert_eq!(output.stderr, b"b\n");
        let error = tool::look("no-such-tool", &[], limit).await.unwrap_err();
        assert!(error.to_string().contains("no-such-tool"), "{error}");
        let error = tool::look("sleep", &["60"], Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().contains("took more than"), "{error}");
    }
}
