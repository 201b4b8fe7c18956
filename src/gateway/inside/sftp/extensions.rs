//! OpenSSH's extensions of the protocol that its own `sftp` and `scp` use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use russh_sftp::protocol::{ExtendedReply, FileAttributes, Packet, StatusCode};

use super::answer::{Answer, done, one_name, real_path, told};
use super::attributes;
use super::handles::Handles;

const RENAME: &str = "posix-rename@openssh.com";
const HARD_LINK: &str = "hardlink@openssh.com";
const SYNC: &str = "fsync@openssh.com";
const LINK_ATTRIBUTES: &str = "lsetstat@openssh.com";
const EXPAND: &str = "expand-path@openssh.com";
const FILE_SYSTEM: &str = "statvfs@openssh.com";

/// Names and versions, for the greeting.
pub fn offered() -> impl Iterator<Item = (String, String)> {
    let first = [RENAME, HARD_LINK, SYNC, LINK_ATTRIBUTES, EXPAND].map(|name| (name, "1"));
    first
        .into_iter()
        .chain([(FILE_SYSTEM, "2")])
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
}

#[allow(clippy::disallowed_methods, reason = "what a client asks for")]
pub fn serve(
    handles: &Handles,
    home: &Path,
    id: u32,
    request: &str,
    data: &[u8],
) -> Answer<Packet> {
    let mut data = Fields(data);
    match request {
        RENAME => {
            let (from, to) = (data.text()?, data.text()?);
            done(id, || fs::rename(&from, &to)).map(Packet::Status)
        }
        HARD_LINK => {
            let (from, to) = (data.text()?, data.text()?);
            done(id, || fs::hard_link(&from, &to)).map(Packet::Status)
        }
        SYNC => {
            let handle = data.text()?;
            done(id, || handles.file(&handle)?.sync_all()).map(Packet::Status)
        }
        LINK_ATTRIBUTES => {
            let (path, wanted) = (data.text()?, data.attributes()?);
            done(id, || attributes::set_link(Path::new(&path), &wanted)).map(Packet::Status)
        }
        EXPAND => {
            let path = expanded(&data.text()?, home);
            told(|| Ok(one_name(id, &real_path(&path)?))).map(Packet::Name)
        }
        FILE_SYSTEM => {
            let path = data.text()?;
            told(|| file_system(&path)).map(|data| ExtendedReply { id, data }.into())
        }
        _ => Err(StatusCode::OpUnsupported.into()),
    }
}

/// `~` and `~/…`: there is one user.
fn expanded(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix('~').map(|rest| rest.strip_prefix("root").unwrap_or(rest)) {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

fn file_system(path: &str) -> io::Result<Vec<u8>> {
    let all = rustix::fs::statvfs(path)?;
    let numbers = [
        all.f_bsize,
        all.f_frsize,
        all.f_blocks,
        all.f_bfree,
        all.f_bavail,
        all.f_files,
        all.f_ffree,
        all.f_favail,
        all.f_fsid,
        all.f_flag.bits(),
        all.f_namemax,
    ];
    Ok(numbers.iter().flat_map(|number| number.to_be_bytes()).collect())
}

/// The fields of a request that the library does not know.
struct Fields<'data>(&'data [u8]);

impl Fields<'_> {
    fn bytes<const COUNT: usize>(&mut self) -> Answer<[u8; COUNT]> {
        let (first, rest) = self.0.split_first_chunk().ok_or(StatusCode::BadMessage)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Answer<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn text(&mut self) -> Answer<String> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or(StatusCode::BadMessage)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).map_err(|_| StatusCode::BadMessage.into())
    }

    fn attributes(&mut self) -> Answer<FileAttributes> {
        let present = self.number()?;
        let mut attributes = FileAttributes::empty();
        if present & 1 != 0 {
            attributes.size = Some(u64::from_be_bytes(self.bytes()?));
        }
        if present & 2 != 0 {
            (attributes.uid, attributes.gid) = (Some(self.number()?), Some(self.number()?));
        }
        if present & 4 != 0 {
            attributes.permissions = Some(self.number()?);
        }
        if present & 8 != 0 {
            (attributes.atime, attributes.mtime) = (Some(self.number()?), Some(self.number()?));
        }
        Ok(attributes)
    }
}

/// Reads the fields that requests have.
#[cfg(fuzzing)]
pub fn read(data: &[u8]) {
    let mut data = Fields(data);
    while data.text().is_ok() {}
    let _ = data.attributes();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_one_home() {
        let paths = ["~", "~/a/b", "~root/x", "~heat/x", "/~"]
            .map(|path| expanded(path, Path::new("/root")).display().to_string());
        assert_eq!(paths, ["/root", "/root/a/b", "/root/x", "~heat/x", "/~"]);
    }

    #[test]
    fn fields_are_read_in_order_and_torn_ones_refused() {
        let mut fields = Fields(b"\0\0\0\x02ab\0\0\0\x06\0\0\0\x01\0\0\0\x02\0\0\x01\xa4");
        assert_eq!(fields.text().unwrap(), "ab");
        let attributes = fields.attributes().unwrap();
        assert_eq!((attributes.uid, attributes.gid), (Some(1), Some(2)));
        assert_eq!(attributes.permissions, Some(0o644));
        assert!(fields.text().is_err());
        assert!(Fields(b"\0\0\0\x09ab").text().is_err());
        assert!(Fields(b"\0\0\0\x02\xff\xfe").text().is_err());
    }
}
