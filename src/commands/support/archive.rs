//! An archive of files for somebody else: begun beside its place, so that what cannot be written is
//! known before anything is collected, and given its name when it is whole.

use std::fs::{File, Permissions};
use std::io::{BufWriter, ErrorKind as IoErrorKind};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};

/// Nobody but its owner reads it, nor what is unpacked of it.
const MODE: u32 = 0o600;

/// A `.tar.gz` that is begun. What is not finished is removed.
#[derive(Debug)]
pub struct Archive {
    target: PathBuf,
    replace: bool,
    file: NamedTempFile,
}

impl Archive {
    /// Begins an archive that will stand at `target`; with `replace`, in place of a file that is there.
    ///
    /// # Errors
    /// When something stands there already, its directory is missing, or nothing can be written there.
    pub fn begin(target: &Path, replace: bool) -> Result<Self> {
        let failed = |kind| Error::new(kind, doing(target));
        match target.symlink_metadata() {
            Ok(found) if found.is_dir() => {
                return Err(failed(ErrorKind::Usage)
                    .because("it is a directory")
                    .hint(format!("Name a file: {}/support.tar.gz.", target.display())));
            }
            Ok(_) if !replace => return Err(exists(target)),
            _ => {}
        }
        let directory = directory(target);
        if !directory.is_dir() {
            return Err(failed(ErrorKind::Usage)
                .because(format!("there is no directory {}", directory.display()))
                .hint(format!("Make it with `mkdir -p {}`.", directory.display())));
        }
        let file = tempfile::Builder::new()
            .prefix(".aio-")
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(directory)
            .map_err(|error| not_written(target, &error))?;
        Ok(Self { target: target.to_owned(), replace, file })
    }

    /// Writes the files (name below `top`, content) and gives the archive its name and owner (user and
    /// group). How many bytes it has.
    ///
    /// # Errors
    /// When it cannot be written, or `cancel` is cancelled before it has its name.
    pub fn finish(
        self,
        top: &str,
        files: &[(String, Vec<u8>)],
        owner: Option<(u32, u32)>,
        cancel: &CancellationToken,
    ) -> Result<u64> {
        let interrupted = || {
            let error = Error::new(ErrorKind::Interrupted, doing(&self.target));
            if cancel.is_cancelled() { Err(error.because("interrupted")) } else { Ok(()) }
        };
        let failed = |error: std::io::Error| not_written(&self.target, &error);
        let encoder = GzEncoder::new(BufWriter::new(self.file.as_file()), Compression::default());
        let mut builder = tar::Builder::new(encoder);
        for (name, content) in files {
            interrupted()?;
            let mut header = header(content.len() as u64);
            let path = Path::new(top).join(name);
            builder.append_data(&mut header, path, content.as_slice()).map_err(failed)?;
        }
        let written = builder.into_inner().and_then(GzEncoder::finish).map_err(failed)?;
        let file: &File = written.into_inner().map_err(|error| failed(error.into_error()))?;
        if let Some((user, group)) = owner {
            fchown(file, Some(user), Some(group)).map_err(failed)?;
        }
        file.sync_data().map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        interrupted()?;
        let Self { target, replace, file } = self;
        #[allow(
            clippy::disallowed_methods,
            reason = "long made when it gets its name, and perhaps not in place of another"
        )]
        let named = if replace { file.persist(&target) } else { file.persist_noclobber(&target) };
        match named {
            Ok(_) => Ok(bytes),
            Err(error) if error.error.kind() == IoErrorKind::AlreadyExists => Err(exists(&target)),
            Err(error) => Err(not_written(&target, &error.error)),
        }
    }
}

fn directory(target: &Path) -> &Path {
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new("."))
}

fn header(size: u64) -> tar::Header {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(MODE);
    header.set_mtime(now);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn doing(target: &Path) -> String {
    format!("write {}", target.display())
}

fn exists(target: &Path) -> Error {
    Error::new(ErrorKind::Refused, doing(target))
        .because("it exists")
        .hint("Name another file, or pass `--force` to replace it.")
}

fn not_written(target: &Path, error: &std::io::Error) -> Error {
    let directory = directory(target).display();
    let failed = Error::failed(doing(target)).because(error);
    match error.kind() {
        IoErrorKind::StorageFull | IoErrorKind::QuotaExceeded => {
            failed.hint(format!("Make room in {directory}, or name a file on another disk."))
        }
        IoErrorKind::PermissionDenied | IoErrorKind::ReadOnlyFilesystem => failed.hint(format!(
            "You may not write in {directory}: name a file elsewhere, or use `sudo`."
        )),
        _ => failed,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;

    use flate2::read::GzDecoder;

    use super::*;

    fn files() -> Vec<(String, Vec<u8>)> {
        let long = format!("rendered/{}/x.conf", "deep/".repeat(30));
        vec![("README.txt".to_owned(), b"read me\n".to_vec()), (long, vec![0xff; 3])]
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_was_written_is_read_and_nothing_stands_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("x.tar.gz");
        let archive = Archive::begin(&target, false).unwrap();
        assert!(!target.exists());
        let own = std::fs::metadata(directory.path()).unwrap();
        let owner = Some((own.uid(), own.gid()));
        let bytes = archive.finish("top", &files(), owner, &CancellationToken::new()).unwrap();
        let metadata = std::fs::metadata(&target).unwrap();
        assert_eq!((metadata.len(), metadata.mode() & 0o7777), (bytes, MODE));
        assert_eq!(names(directory.path()), ["x.tar.gz"]);
        let mut unpacked = BTreeMap::new();
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(&target).unwrap()));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            unpacked.insert(path, content);
        }
        let expected = files().into_iter().map(|(name, content)| (format!("top/{name}"), content));
        assert_eq!(unpacked, expected.collect());
    }

    #[test]
    fn what_stands_there_is_replaced_only_when_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("x.tar.gz");
        // Somebody else is quicker.
        let late = Archive::begin(&target, false).unwrap();
        std::fs::write(&target, "old").unwrap();
        let error = Archive::begin(&target, false).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.hints[0].contains("--force"), "{error:?}");
        let cancel = CancellationToken::new();
        assert_eq!(late.finish("t", &[], None, &cancel).unwrap_err().kind, ErrorKind::Refused);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        Archive::begin(&target, true).unwrap().finish("t", &files(), None, &cancel).unwrap();
        assert!(std::fs::read(&target).unwrap().len() > 3);
        assert_eq!(names(directory.path()), ["x.tar.gz"]);
    }

    #[test]
    fn what_cannot_be_written_is_said_first_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let error = Archive::begin(&directory.path().join("no/such/x.tar.gz"), false).unwrap_err();
        assert!(error.hints[0].contains("mkdir -p"), "{error:?}");
        let error = Archive::begin(directory.path(), true).unwrap_err();
        assert!(error.to_string().contains("it is a directory"), "{error}");
        let full = std::io::Error::from(IoErrorKind::StorageFull);
        let hints = not_written(Path::new("/x/y.tar.gz"), &full).hints;
        assert_eq!(hints, ["Make room in /x, or name a file on another disk."]);
        let error = Archive::begin(Path::new("/proc/x.tar.gz"), false).unwrap_err();
        assert!(error.to_string().starts_with("write /proc/x.tar.gz: "), "{error}");
    }

    #[test]
    fn what_is_interrupted_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("x.tar.gz");
        let archive = Archive::begin(&target, false).unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        let error = archive.finish("top", &files(), None, &cancel).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted);
        assert!(names(directory.path()).is_empty());
        drop(Archive::begin(&target, false).unwrap());
        assert!(names(directory.path()).is_empty());
    }
}
