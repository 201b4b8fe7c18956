//! Reading what somebody in a container wrote or says: never more than a stated limit, so that nobody
//! there can fill this process's memory.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::path::Path;

/// The most that is read of one file or one answer, and taken of a command's output unless it says
/// otherwise.
pub const LARGEST_BYTES: u64 = 64 << 20;

/// The most that is made room for because a file says that it is that long.
const LARGEST_AT_ONCE_BYTES: u64 = 1 << 20;

/// Reads to the end.
///
/// # Errors
/// When there is more than `limit_bytes`.
pub fn read(reader: impl Read, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader.take(limit_bytes.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit_bytes {
        return Err(too_much(limit_bytes));
    }
    Ok(content)
}

/// Reads a file from its beginning to its end.
///
/// # Errors
/// When there is more than `limit_bytes`.
pub fn read_file(file: &File, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let content = beginning(file, limit_bytes.saturating_add(1))?;
    if content.len() as u64 > limit_bytes { Err(too_much(limit_bytes)) } else { Ok(content) }
}

/// The first `limit_bytes` of a file. One that is as long as it says is read at once.
pub fn beginning(file: &File, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let said = file.metadata()?.len().min(LARGEST_AT_ONCE_BYTES) + 1;
    let mut content = Vec::with_capacity(usize::try_from(said).unwrap_or_default());
    file.take(limit_bytes).read_to_end(&mut content)?;
    Ok(content)
}

/// What is said when there was more.
pub fn too_much(limit_bytes: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is more than {limit_bytes} bytes"))
}

/// The next line, without its end; `None` after the last. Of a line that is longer, its first
/// `limit_bytes`.
pub fn line(reader: &mut impl BufRead, limit_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((!line.is_empty()).then_some(line));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = limit_bytes.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// The last `limit_bytes` of a file, of those after `start`.
pub fn tail(path: &Path, start: u64, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(limit_bytes))))?;
    let mut content = Vec::new();
    file.take(limit_bytes).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_endless_is_an_error_and_what_fits_is_whole() {
        assert_eq!(read(&b"four"[..], 4).unwrap(), b"four");
        let error = read(io::repeat(b'y'), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it is more than 1048576 bytes");
    }

    #[test]
    fn long_lines_are_cut_and_the_next_is_found() {
        let mut reader = io::BufReader::with_capacity(3, &b"one\ntwotwotwo\n\nend"[..]);
        let mut lines = Vec::new();
        while let Some(line) = line(&mut reader, 5).unwrap() {
            lines.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(lines, ["one", "twotw", "", "end"]);
    }

    #[test]
    fn of_a_log_the_end_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(tail(&path, 0, 4).unwrap(), b"6789");
        assert_eq!(tail(&path, 8, 4).unwrap(), b"89");
    }
}
