//! What the protocol says of a file, and how it is changed.

use std::ffi::OsStr;
use std::fs::{File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, fchown};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh_sftp::protocol::{self, FileAttributes};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

/// What is known of a file.
pub fn of(metadata: &Metadata) -> FileAttributes {
    // The protocol counts seconds in 32 bits without a sign.
    let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
    let mut attributes = FileAttributes::empty();
    attributes.size = Some(metadata.len());
    attributes.uid = Some(metadata.uid());
    attributes.gid = Some(metadata.gid());
    attributes.permissions = Some(metadata.mode());
    attributes.atime = Some(seconds(metadata.atime()));
    attributes.mtime = Some(seconds(metadata.mtime()));
    attributes
}

/// A line of a directory.
pub fn listed(name: &OsStr, metadata: &Metadata) -> protocol::File {
    let mut file = protocol::File::new(name.to_string_lossy(), of(metadata));
    if metadata.is_symlink() {
        file.longname.replace_range(0..1, "l");
    }
    file
}

/// Changes what is wanted of an open file.
pub fn set_file(file: &File, wanted: &FileAttributes) -> io::Result<()> {
    if let Some(size) = wanted.size {
        file.set_len(size)?;
    }
    // Before the mode: a change of owner takes set-user-ID bits away.
    if wanted.uid.is_some() || wanted.gid.is_some() {
        fchown(file, wanted.uid, wanted.gid)?;
    }
    if let Some(mode) = wanted.permissions {
        file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    }
    if let (Some(accessed), Some(modified)) = (wanted.atime, wanted.mtime) {
        let times = FileTimes::new().set_accessed(time(accessed)).set_modified(time(modified));
        file.set_times(times)?;
    }
    Ok(())
}

/// Changes what is wanted of a path; links are followed.
pub fn set_path(path: &Path, wanted: &FileAttributes) -> io::Result<()> {
    if let Some(size) = wanted.size {
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    if wanted.uid.is_some() || wanted.gid.is_some() {
        chown(path, wanted.uid, wanted.gid)?;
    }
    if let Some(mode) = wanted.permissions {
        std::fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))?;
    }
    set_times(path, wanted, AtFlags::empty())
}

/// Changes owner and times of a link itself.
pub fn set_link(path: &Path, wanted: &FileAttributes) -> io::Result<()> {
    if wanted.uid.is_some() || wanted.gid.is_some() {
        std::os::unix::fs::lchown(path, wanted.uid, wanted.gid)?;
    }
    set_times(path, wanted, AtFlags::SYMLINK_NOFOLLOW)
}

fn set_times(path: &Path, wanted: &FileAttributes, flags: AtFlags) -> io::Result<()> {
    let (Some(accessed), Some(modified)) = (wanted.atime, wanted.mtime) else { return Ok(()) };
    let time = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    let times = Timestamps { last_access: time(accessed), last_modification: time(modified) };
    Ok(rustix::fs::utimensat(CWD, path, &times, flags)?)
}

fn time(seconds: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.into())
}
