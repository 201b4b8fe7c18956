//! Open files and directories of one client.

use std::collections::HashMap;
use std::fs::{File, ReadDir};
use std::io;
use std::os::unix::fs::FileExt;

/// More than any client opens; a limit all the same.
const MAX_OPEN: usize = 512;

enum Open {
    File(File),
    Directory(ReadDir),
}

/// Open files and directories by the names that the client knows them by.
#[derive(Default)]
pub struct Handles {
    open: HashMap<String, Open>,
    last: u64,
}

impl Handles {
    fn add(&mut self, what: Open) -> io::Result<String> {
        if self.open.len() >= MAX_OPEN {
            return Err(io::Error::other("too many open files"));
        }
        self.last += 1;
        let name = self.last.to_string();
        self.open.insert(name.clone(), what);
        Ok(name)
    }

    pub fn add_file(&mut self, file: File) -> io::Result<String> {
        self.add(Open::File(file))
    }

    pub fn add_directory(&mut self, entries: ReadDir) -> io::Result<String> {
        self.add(Open::Directory(entries))
    }

    pub fn file(&self, handle: &str) -> io::Result<&File> {
        match self.open.get(handle) {
            Some(Open::File(file)) => Ok(file),
            _ => Err(io::Error::other("no open file has this handle")),
        }
    }

    pub fn entries(&mut self, handle: &str) -> io::Result<&mut ReadDir> {
        match self.open.get_mut(handle) {
            Some(Open::Directory(entries)) => Ok(entries),
            _ => Err(io::Error::other("no open directory has this handle")),
        }
    }

    /// At least a byte, or [`io::ErrorKind::UnexpectedEof`].
    pub fn read(&self, handle: &str, offset: u64, length: u32) -> io::Result<Vec<u8>> {
        let mut data = vec![0; length as usize];
        let read = self.file(handle)?.read_at(&mut data, offset)?;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        data.truncate(read);
        Ok(data)
    }

    pub fn close(&mut self, handle: &str) -> io::Result<()> {
        match self.open.remove(handle) {
            Some(_) => Ok(()),
            None => Err(io::Error::other("nothing open has this handle")),
        }
    }
}
