//! What a client has sent and a command has not read yet: first in memory, then in a file without a
//! name, both with a limit.
//!
//! The library opens a channel's window again for whatever arrives, not for what was read, and while
//! it waits for one channel it serves none of that connection
//! (<https://github.com/Eugeny/russh/pull/730>). So every channel takes what comes at once and keeps
//! it here. Past the limit it does stop reading, which a command that is slow with gigabytes of input
//! on a connection of its own does not even notice.
//!
//! Memory alone does not do. With 16 MiB of it other commands waited until the slow one read, and 50 MB
//! through `cat` stood still for ever: what lets the output out waits behind the input.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

/// No message is longer.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;
/// How much is read back from the file at once.
const CHUNK_BYTES: u64 = 256 << 10;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In memory, for each channel.
    pub memory_bytes: usize,
    /// On disk, for each channel.
    pub disk_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 1 << 20, disk_bytes: 1 << 30 }
    }
}

/// The queue of one channel.
pub struct Queue {
    directory: PathBuf,
    limits: Limits,
    memory: VecDeque<Bytes>,
    memory_bytes: usize,
    spool: Option<Spool>,
}

impl Queue {
    /// An empty one; the directory is used when there is too much for memory.
    pub fn new(directory: PathBuf, limits: Limits) -> Self {
        Self { directory, limits, memory: VecDeque::new(), memory_bytes: 0, spool: None }
    }

    /// Whether another message may be added.
    pub fn has_room(&self) -> bool {
        let spooled = self.spool.as_ref().map_or(0, Spool::len);
        spooled + MAX_MESSAGE_BYTES <= self.limits.disk_bytes
    }

    /// Adds what came. Not to be cancelled.
    pub async fn push(&mut self, data: Bytes) -> io::Result<()> {
        let spooling = self.spool.as_ref().is_some_and(|spool| spool.len() > 0);
        if !spooling && self.memory_bytes + data.len() <= self.limits.memory_bytes {
            self.memory_bytes += data.len();
            self.memory.push_back(data);
            return Ok(());
        }
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => {
                let file = Arc::new(tempfile::tempfile_in(&self.directory)?);
                let capacity = self.limits.disk_bytes;
                self.spool.insert(Spool { file, capacity, read: 0, written: 0 })
            }
        };
        spool.append(data).await
    }

    /// The oldest part; `None` when there is nothing. May be cancelled.
    pub async fn front(&mut self) -> io::Result<Option<&[u8]>> {
        if self.memory.is_empty()
            && let Some(spool) = self.spool.as_mut().filter(|spool| spool.len() > 0)
        {
            let chunk = spool.peek().await?;
            spool.forget(chunk.len() as u64)?;
            self.memory_bytes += chunk.len();
            self.memory.push_back(chunk);
        }
        Ok(self.memory.front().map(Bytes::as_ref))
    }

    /// Forgets that many bytes of the front.
    pub fn advance(&mut self, count: usize) {
        if let Some(front) = self.memory.front_mut() {
            let count = count.min(front.len());
            let _ = front.split_to(count);
            self.memory_bytes -= count;
            if front.is_empty() {
                self.memory.pop_front();
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.memory_bytes = 0;
        self.spool = None;
    }
}

/// A ring in a file: positions count on, the file has `capacity` bytes at most.
struct Spool {
    file: Arc<File>,
    capacity: u64,
    read: u64,
    written: u64,
}

impl Spool {
    fn len(&self) -> u64 {
        self.written - self.read
    }

    async fn append(&mut self, data: Bytes) -> io::Result<()> {
        let (file, count) = (Arc::clone(&self.file), data.len() as u64);
        let (position, until_end) = self.place(self.written);
        blocking(move || {
            let first = until_end.min(data.len());
            file.write_all_at(&data[..first], position)?;
            file.write_all_at(&data[first..], 0)
        })
        .await?;
        self.written += count;
        Ok(())
    }

    async fn peek(&self) -> io::Result<Bytes> {
        let file = Arc::clone(&self.file);
        let (position, until_end) = self.place(self.read);
        let count = usize::try_from(self.len().min(CHUNK_BYTES)).unwrap_or(usize::MAX);
        let mut chunk = vec![0; count.min(until_end)];
        blocking(move || file.read_exact_at(&mut chunk, position).map(|()| chunk.into())).await
    }

    fn forget(&mut self, count: u64) -> io::Result<()> {
        self.read += count;
        if self.len() == 0 {
            (self.read, self.written) = (0, 0);
            // The disk is given back.
            self.file.set_len(0)?;
        }
        Ok(())
    }

    /// Where a position is in the file, and how many bytes follow it before the ring begins again.
    fn place(&self, position: u64) -> (u64, usize) {
        let place = position % self.capacity;
        (place, usize::try_from(self.capacity - place).unwrap_or(usize::MAX))
    }
}

#[allow(clippy::disallowed_methods, reason = "its errors are those of files")]
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that tell their place.
    fn piece(from: usize, length: usize) -> Bytes {
        (from..from + length).map(|number| (number % 251) as u8).collect()
    }

    async fn take(queue: &mut Queue, most: usize) -> Vec<u8> {
        let Some(front) = queue.front().await.unwrap() else { return Vec::new() };
        let taken = front[..most.min(front.len())].to_vec();
        queue.advance(taken.len());
        taken
    }

    #[tokio::test]
    async fn what_goes_in_comes_out_through_memory_file_and_round_the_ring() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { memory_bytes: 10_000, disk_bytes: 200_000 };
        let mut queue = Queue::new(directory.path().to_owned(), limits);
        let (mut sent, mut got) = (0, Vec::new());
        for round in 0..60 {
            while queue.has_room() && sent < (round + 1) * 70_000 {
                let length = 1 + sent % 32_768;
                queue.push(piece(sent, length)).await.unwrap();
                sent += length;
            }
            for _ in 0..3 {
                got.extend(take(&mut queue, 29_000).await);
            }
        }
        loop {
            let taken = take(&mut queue, usize::MAX).await;
            if taken.is_empty() {
                break;
            }
            got.extend(taken);
        }
        assert!(sent > 2_000_000, "{sent}");
        assert!(got == piece(0, sent));
        assert_eq!(queue.memory_bytes, 0);
        // Nothing stays behind, in the directory or in the file.
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(queue.spool.unwrap().file.metadata().unwrap().len(), 0);
    }

    #[tokio::test]
    async fn it_is_full_at_its_limit_and_memory_stays_small() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { memory_bytes: 40_000, disk_bytes: 300_000 };
        let mut queue = Queue::new(directory.path().to_owned(), limits);
        let mut pushed = 0;
        while queue.has_room() {
            queue.push(piece(pushed, 30_000)).await.unwrap();
            pushed += 30_000;
        }
        assert!((200_000..=340_000).contains(&pushed), "{pushed}");
        assert!(queue.memory_bytes <= 40_000);
        queue.clear();
        assert!(queue.has_room() && queue.front().await.unwrap().is_none());
    }
}
