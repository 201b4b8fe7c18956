//! Downloaded package archives, shared by all builds.
//!
//! One download at a time, over several connections: the line is what bounds it. An archive gets
//! its final name only when its hash is right, so whatever kills a download, what is in the pool is
//! whole, and nothing that is in it is downloaded again.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::index::{Archive, Index};
use super::{failure, process, workspace};
use crate::error::{Error, Result, ResultExt};
use crate::host::BuildProgress;
use crate::state::files;

/// Connections at once. APT itself uses one for each server.
const CONNECTIONS: usize = 4;

/// The directory of archives.
#[derive(Debug)]
pub struct Pool {
    dir: PathBuf,
}

impl Pool {
    /// The pool at `dir`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = dir.to_owned();
        let partial = dir.join("partial");
        fs::create_dir_all(&partial).doing(|| format!("make {}", partial.display()))?;
        Ok(Self { dir })
    }

    /// Those of `archives` that are not there with the right size.
    fn missing<'a>(&self, archives: &'a [Archive]) -> Vec<&'a Archive> {
        let there = |archive: &Archive| {
            let metadata = self.dir.join(&archive.file).metadata();
            metadata.is_ok_and(|metadata| metadata.len() == archive.size)
        };
        archives.iter().filter(|archive| !there(archive)).collect()
    }

    /// Bytes that are still to be downloaded.
    pub fn missing_bytes(&self, archives: &[Archive]) -> u64 {
        self.missing(archives).iter().map(|archive| archive.size).sum()
    }

    /// Downloads what is missing.
    ///
    /// # Errors
    /// When an archive cannot be had whole, or on cancellation.
    pub fn fetch(
        &self,
        archives: &[Archive],
        index: &Index,
        progress: &dyn BuildProgress,
    ) -> Result<()> {
        if self.missing(archives).is_empty() {
            return Ok(());
        }
        let cancelled = || progress.cancelled();
        let _lock = workspace::lock(&self.dir.join("lock"), "wait for a download", &cancelled)?;
        let mut missing = self.missing(archives);
        // What a killed download left complete is as good as any other.
        missing.retain(|archive| !self.adopt(archive));
        let total: u64 = missing.iter().map(|archive| archive.size).sum();
        let stop = AtomicBool::new(false);
        let (stop, pool) = (&stop, self);
        let failures: Vec<Error> = std::thread::scope(|scope| {
            let workers: Vec<_> = shares(&missing)
                .into_iter()
                .map(|share| scope.spawn(move || pool.download(&share, index, progress, stop)))
                .collect();
            while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                progress.progress(pool.arrived(&missing), total, "bytes");
                std::thread::sleep(Duration::from_millis(100));
            }
            let outcome = |worker: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                worker.join().unwrap_or_else(|_| Err(Error::failed("download packages"))).err()
            };
            workers.into_iter().filter_map(outcome).collect()
        });
        let whole = missing.iter().filter(|archive| self.adopt(archive)).count();
        match failures.into_iter().next() {
            Some(error) => Err(error),
            None if whole < missing.len() => Err(Error::failed("download packages")
                .because(format!("{} archives arrived broken", missing.len() - whole))
                .hint("Run the same command again: what arrived is kept.")),
            None => {
                progress.progress(total, total, "bytes");
                Ok(())
            }
        }
    }

    fn partial(&self, archive: &Archive) -> PathBuf {
        self.dir.join("partial").join(&archive.file)
    }

    /// Gives a downloaded archive its final name if it is whole, else removes it.
    fn adopt(&self, archive: &Archive) -> bool {
        let partial = self.partial(archive);
        let Ok(metadata) = partial.metadata() else { return false };
        let whole = metadata.len() == archive.size
            && sha256(&partial).is_some_and(|hash| hash == archive.sha256);
        if whole {
            return files::rename(&partial, &self.dir.join(&archive.file)).is_ok();
        }
        let _ = fs::remove_file(&partial);
        false
    }

    /// Bytes of `archives` on disk so far.
    fn arrived(&self, archives: &[&Archive]) -> u64 {
        let length = |archive: &&Archive| self.partial(archive).metadata().map_or(0, |m| m.len());
        archives.iter().map(length).sum()
    }

    /// Downloads one share over one connection.
    fn download(
        &self,
        share: &[&Archive],
        index: &Index,
        progress: &dyn BuildProgress,
        stop: &AtomicBool,
    ) -> Result<()> {
        let mut command = index.command("/usr/lib/apt/apt-helper");
        command.args(["--quiet", "download-file"]);
        for archive in share {
            command.arg(&archive.uri).arg(self.partial(archive));
            command.arg(format!("SHA256:{}", archive.sha256));
        }
        let cancelled = || progress.cancelled() || stop.load(Ordering::Relaxed);
        let finished = process::run(command, &cancelled, &mut |_, _| {});
        let error = match finished {
            Ok(finished) if finished.status.success() => return Ok(()),
            Ok(finished) => failure::explain(&finished.tail, "download packages", &index.sources),
            Err(error) => error,
        };
        // One failure ends the others: the user need not wait for them.
        stop.store(true, Ordering::Relaxed);
        Err(error)
    }

    /// Links every archive into `dir`, where one build has them under its own lock.
    ///
    /// # Errors
    /// When a link cannot be made.
    pub fn lend(&self, dir: &Path) -> Result<()> {
        for (name, path) in deb_files(&self.dir)? {
            let link = dir.join(name);
            if !link.exists() {
                fs::hard_link(&path, &link).doing(|| format!("link {}", link.display()))?;
            }
        }
        Ok(())
    }

    /// Takes over archives that a build itself downloaded.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn take_back(&self, dir: &Path) -> Result<()> {
        for (name, path) in deb_files(dir)? {
            // There already: another build was first, or it was lent.
            let _ = fs::hard_link(&path, self.dir.join(name));
        }
        Ok(())
    }

    /// Bytes of all archives.
    pub fn size(&self) -> u64 {
        let length = |path: PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
        deb_files(&self.dir).into_iter().flatten().map(|(_, path)| length(path)).sum()
    }

    /// Removes all archives and partial downloads, once no download is running. Builds have names of
    /// their own for the archives that they use.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn clear(&self) -> Result<()> {
        let _lock = workspace::lock(&self.dir.join("lock"), "wait for a download", &|| false)?;
        for directory in [self.dir.clone(), self.dir.join("partial")] {
            for (_, path) in deb_files(&directory)? {
                fs::remove_file(&path).doing(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Removes an archive that turned out to be unreadable.
    pub fn discard(&self, file: &str) {
        let _ = fs::remove_file(self.dir.join(file));
    }
}

/// `*.deb` of a directory.
fn deb_files(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).doing(|| format!("read {}", dir.display()))? {
        let path = entry.doing(|| format!("read {}", dir.display()))?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && name.ends_with(".deb")
        {
            files.push((name.to_owned(), path.clone()));
        }
    }
    Ok(files)
}

/// Splits the work so that all connections end at about the same time; order is kept.
fn shares<'a>(archives: &[&'a Archive]) -> Vec<Vec<&'a Archive>> {
    let mut shares: Vec<(u64, Vec<&Archive>)> = vec![(0, Vec::new()); CONNECTIONS];
    for archive in archives {
        if let Some(least) = shares.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            // A request costs as much as some tens of kilobytes, however small its answer.
            least.0 += archive.size + 50_000;
            least.1.push(archive);
        }
    }
    shares.into_iter().map(|(_, share)| share).filter(|share| !share.is_empty()).collect()
}

/// The hash of a file in hexadecimal digits.
fn sha256(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            count => hasher.update(buffer.get(..count)?),
        }
    }
    Some(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(file: &str, content: &[u8]) -> Archive {
        Archive {
            uri: format!("http://mirror/{file}"),
            file: file.to_owned(),
            size: content.len() as u64,
            sha256: hex::encode(Sha256::digest(content)),
        }
    }

    #[test]
    fn only_a_whole_archive_gets_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::open(dir.path()).unwrap();
        let (whole, broken) = (archive("a.deb", b"good"), archive("b.deb", b"good"));
        fs::write(pool.partial(&whole), b"good").unwrap();
        fs::write(pool.partial(&broken), b"bad!").unwrap();
        assert!(pool.adopt(&whole));
        assert!(!pool.adopt(&broken));
        assert!(!pool.partial(&broken).exists());
        let archives = [whole, broken];
        assert_eq!(pool.missing(&archives), [&archives[1]]);
        assert_eq!(pool.missing_bytes(&archives), 4);
    }

    #[test]
    fn a_file_of_another_size_counts_as_missing() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::open(dir.path()).unwrap();
        fs::write(pool.dir.join("a.deb"), b"go").unwrap();
        assert_eq!(pool.missing_bytes(&[archive("a.deb", b"good")]), 4);
    }

    #[test]
    fn a_build_gets_all_and_gives_back_what_it_fetched_itself() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::open(&dir.path().join("pool")).unwrap();
        fs::write(pool.dir.join("a.deb"), b"a").unwrap();
        let build = dir.path().join("build");
        fs::create_dir(&build).unwrap();
        pool.lend(&build).unwrap();
        fs::write(build.join("b.deb"), b"b").unwrap();
        pool.take_back(&build).unwrap();
        assert_eq!(fs::read(pool.dir.join("b.deb")).unwrap(), b"b");
        pool.clear().unwrap();
        assert!(deb_files(&pool.dir).unwrap().is_empty());
        assert_eq!(fs::read(build.join("a.deb")).unwrap(), b"a");
    }

    #[test]
    fn the_work_is_shared_evenly() {
        let archives: Vec<Archive> = (0..40)
            .map(|number| archive(&format!("{number}.deb"), &vec![0; 1000 * number]))
            .collect();
        let refs: Vec<&Archive> = archives.iter().collect();
        let shares = shares(&refs);
        assert_eq!(shares.len(), CONNECTIONS);
        assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), 40);
        assert!(shares.iter().all(|share| (8..=12).contains(&share.len())), "{shares:?}");
    }
}
