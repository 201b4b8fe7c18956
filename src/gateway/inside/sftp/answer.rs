//! Answers of the protocol.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use russh_sftp::protocol::{File, Name, Status, StatusCode};
use russh_sftp::server::StatusReply;

pub(super) type Answer<T> = Result<T, StatusReply>;

fn failure(error: &io::Error) -> StatusReply {
    let code = match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        io::ErrorKind::UnexpectedEof => StatusCode::Eof,
        io::ErrorKind::Unsupported => StatusCode::OpUnsupported,
        _ => StatusCode::Failure,
    };
    code.with_message(error.to_string())
}

/// Turns the result of a call into an answer.
pub(super) fn told<T>(result: impl FnOnce() -> io::Result<T>) -> Answer<T> {
    result().map_err(|error| failure(&error))
}

pub(super) fn done(id: u32, result: impl FnOnce() -> io::Result<()>) -> Answer<Status> {
    told(result).map(|()| Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".to_owned(),
        language_tag: "en".to_owned(),
    })
}

pub(super) fn one_name(id: u32, path: &Path) -> Name {
    Name { id, files: vec![File::dummy(path.to_string_lossy())] }
}

/// An absolute path without links; the last component may be missing.
pub(super) fn real_path(path: &Path) -> io::Result<PathBuf> {
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if missing(&error) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(fs::canonicalize(parent)?.join(name))
        }
        (result, ..) => result,
    }
}
