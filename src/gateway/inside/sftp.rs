//! The SFTP server of one channel. It runs as the container's root inside the container, so every
//! path, link and owner is the container's, and there is nothing to confine.

mod answer;
mod attributes;
mod extensions;
mod handles;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use russh_sftp::protocol::{
    Attrs, Data, FileAttributes, Handle, Name, OpenFlags, Packet, Status, StatusCode, Version,
};
use russh_sftp::server::{Handler, StatusReply};
use rustix::fs::{CWD, RenameFlags};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use answer::{Answer, done, one_name, real_path, told};
use handles::Handles;

/// No client asks for more at once.
const MAX_READ_BYTES: u32 = 256 << 10;
/// How many names go into one answer.
const NAMES_AT_ONCE: usize = 128;

/// Serves on the standard streams until the client has finished. The exit status.
pub fn serve(home: &str) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    match runtime.map(|runtime| runtime.block_on(serve_streams(home))) {
        Ok(Ok(())) => 0,
        Ok(Err(_)) | Err(_) => 1,
    }
}

/// Reads a packet as [`serve`] does, and does nothing of what it asks: for `fuzz/`.
#[cfg(fuzzing)]
pub fn read(packet: &[u8]) {
    let mut packet = bytes::Bytes::copy_from_slice(packet);
    if let Ok(Packet::Extended(request)) = Packet::try_from(&mut packet) {
        extensions::read(&request.data);
    }
}

async fn serve_streams(home: &str) -> io::Result<()> {
    let own = |stream: io::Result<OwnedFd>| {
        let stream = stream?;
        rustix::io::ioctl_fionbio(&stream, true)?;
        io::Result::Ok(stream)
    };
    let duplicate = |stream| Ok(rustix::io::fcntl_dupfd_cloexec(stream, 3)?);
    let input = own(duplicate(rustix::stdio::stdin()))?;
    let output = own(duplicate(rustix::stdio::stdout()))?;
    let stream = tokio::io::join(
        pipe::Receiver::from_owned_fd(input)?,
        pipe::Sender::from_owned_fd(output)?,
    );
    let (ended, end) = oneshot::channel();
    let server = Server { home: PathBuf::from(home), handles: Handles::default(), _ended: ended };
    russh_sftp::server::run(stream, server).await;
    // The library serves in a task of its own; it drops the server at its end.
    let _ = end.await;
    Ok(())
}

/// One client's files. The calls block: nobody else uses this process.
struct Server {
    home: PathBuf,
    handles: Handles,
    _ended: oneshot::Sender<()>,
}

impl Handler for Server {
    type Error = StatusReply;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported.into()
    }

    async fn init(&mut self, _: u32, _: HashMap<String, String>) -> Answer<Version> {
        let mut version = Version::new();
        version.extensions.extend(extensions::offered());
        Ok(version)
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        wanted: FileAttributes,
    ) -> Answer<Handle> {
        told(|| {
            let mode = wanted.permissions.unwrap_or(0o666) & 0o7777;
            let mut options = fs::OpenOptions::from(flags);
            let file = options.mode(mode).open(&filename)?;
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let handle = self.handles.add_file(file)?;
            Ok(Handle { id, handle })
        })
    }

    async fn close(&mut self, id: u32, handle: String) -> Answer<Status> {
        done(id, || self.handles.close(&handle))
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, length: u32) -> Answer<Data> {
        told(|| {
            let data = self.handles.read(&handle, offset, length.min(MAX_READ_BYTES))?;
            Ok(Data { id, data })
        })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Answer<Status> {
        done(id, || {
            use std::os::unix::fs::FileExt;
            self.handles.file(&handle)?.write_all_at(&data, offset)
        })
    }

    async fn lstat(&mut self, id: u32, path: String) -> Answer<Attrs> {
        told(|| Ok(Attrs { id, attrs: attributes::of(&fs::symlink_metadata(&path)?) }))
    }

    async fn stat(&mut self, id: u32, path: String) -> Answer<Attrs> {
        told(|| Ok(Attrs { id, attrs: attributes::of(&fs::metadata(&path)?) }))
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Answer<Attrs> {
        told(|| Ok(Attrs { id, attrs: attributes::of(&self.handles.file(&handle)?.metadata()?) }))
    }

    async fn setstat(&mut self, id: u32, path: String, wanted: FileAttributes) -> Answer<Status> {
        done(id, || attributes::set_path(Path::new(&path), &wanted))
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        handle: String,
        wanted: FileAttributes,
    ) -> Answer<Status> {
        done(id, || attributes::set_file(self.handles.file(&handle)?, &wanted))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Answer<Handle> {
        told(|| {
            let handle = self.handles.add_directory(fs::read_dir(&path)?)?;
            Ok(Handle { id, handle })
        })
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Answer<Name> {
        told(|| {
            let entries = self.handles.entries(&handle)?;
            let mut files = Vec::new();
            for entry in entries.take(NAMES_AT_ONCE) {
                let entry = entry?;
                // Gone since the directory was read.
                let Ok(metadata) = entry.metadata() else { continue };
                files.push(attributes::listed(&entry.file_name(), &metadata));
            }
            if files.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Name { id, files })
        })
    }

    async fn remove(&mut self, id: u32, filename: String) -> Answer<Status> {
        done(id, || fs::remove_file(&filename))
    }

    async fn mkdir(&mut self, id: u32, path: String, wanted: FileAttributes) -> Answer<Status> {
        let mode = wanted.permissions.unwrap_or(0o777) & 0o7777;
        done(id, || fs::DirBuilder::new().mode(mode).create(&path))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Answer<Status> {
        done(id, || fs::remove_dir(&path))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Answer<Name> {
        let path = if path.is_empty() { "." } else { &path };
        told(|| Ok(one_name(id, &real_path(Path::new(path))?)))
    }

    /// By the protocol, what is there is never replaced.
    async fn rename(&mut self, id: u32, from: String, to: String) -> Answer<Status> {
        let exclusive = RenameFlags::NOREPLACE;
        done(id, || Ok(rustix::fs::renameat_with(CWD, &from, CWD, &to, exclusive)?))
    }

    async fn readlink(&mut self, id: u32, path: String) -> Answer<Name> {
        told(|| Ok(one_name(id, &fs::read_link(&path)?)))
    }

    /// OpenSSH sends the target first, whatever the specification says, and all do as it does.
    async fn symlink(&mut self, id: u32, target: String, link: String) -> Answer<Status> {
        done(id, || symlink(&target, &link))
    }

    async fn extended(&mut self, id: u32, request: String, data: Vec<u8>) -> Answer<Packet> {
        extensions::serve(&self.handles, &self.home, id, &request, &data)
    }
}

#[cfg(test)]
mod tests;
