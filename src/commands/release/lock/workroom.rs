//! Where a lock is made: a directory in which one `aio` at a time has uv look for versions.

use std::fs::{self, File, TryLockError};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::commands::release::pylock;
use crate::commands::release::question::{ANSWER, Question, REQUIREMENTS};
use crate::commands::release::wheels::Wheel;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::python::{Installer, Target, Task, UV};
use crate::lxc::{descent, rooted};
use crate::model::lock::Lock;
use crate::state::files;

/// Where uv finds its working directory, and what was built in there.
const PLACE: &str = "/work";
const BUILT: &str = "built";
/// What of it a failed run leaves for the next.
const CACHE: &str = "cache";

/// The directory, while nobody else is in it.
pub(super) struct Workroom {
    pub directory: PathBuf,
    _alone: File,
}

impl Workroom {
    /// Makes the directory, and keeps others out of it.
    ///
    /// # Errors
    /// When another `aio` is in it, or it cannot be made.
    pub fn enter(directory: PathBuf) -> Result<Self> {
        files::private_directory(&directory)?;
        let alone = alone(&directory)?;
        Ok(Self { directory, _alone: alone })
    }

    /// The uv of the lock before, or else the newest.
    ///
    /// # Errors
    /// When the index has none, or another than the lock's.
    pub async fn installer(&self, before: Option<&Lock>) -> Result<Installer> {
        match before.filter(|lock| lock.distribution(UV).is_some()) {
            Some(lock) => Installer::of_lock(lock, &self.directory).await,
            None => Installer::newest(&self.directory).await,
        }
    }

    /// Has uv answer. Beside what was built all is as it was in the lock before, as far as that goes.
    ///
    /// # Errors
    /// When no versions go together, or uv left no answer.
    pub async fn resolve(
        &self,
        installer: &Installer,
        question: &Question,
        wheels: &[Wheel],
        before: Option<&Lock>,
    ) -> Result<String> {
        let work = self.directory.join("work");
        lay_out(&work, question, wheels, before)?;
        let place = Path::new(PLACE);
        let built = place.join(BUILT);
        let target =
            Target { system: None, directory: &work, place, work: place, wheels: Some(&built) };
        let arguments: Vec<&str> = question.arguments.iter().map(String::as_str).collect();
        installer.run(Task::Resolve, &target, &arguments).await?;
        let answer = answer(&work)?;
        descent::remove(&work).doing(|| format!("remove {}", work.display()))?;
        Ok(answer)
    }
}

/// Keeps another `aio` out of the directory. The kernel lets it in when this process ends.
fn alone(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let doing = || format!("lock {}", path.display());
    let file = File::create(&path).doing(doing)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let another = Error::new(ErrorKind::Busy, "another `aio release lock` makes one");
            Err(another.hint("Wait for it."))
        }
        Err(TryLockError::Error(error)) => Err(error).doing(doing),
    }
}

/// Puts into uv's working directory what it reads. It prefers the versions of an answer that is there.
fn lay_out(
    work: &Path,
    question: &Question,
    wheels: &[Wheel],
    before: Option<&Lock>,
) -> Result<()> {
    empty(work)?;
    files::write(&work.join(REQUIREMENTS), &question.requirements)?;
    if let (Some(before), false) = (before, wheels.is_empty()) {
        files::write(&work.join(ANSWER), pylock::preferred(before))?;
    }
    let built = work.join(BUILT);
    files::private_directory(&built)?;
    wheels.iter().try_for_each(|it| files::write(&built.join(&it.file_name), &it.content))
}

/// Makes uv's working directory, in which only what a failed run fetched is left: an answer that is
/// there would count for something.
fn empty(work: &Path) -> Result<()> {
    let cache = work.join(CACHE);
    fs::create_dir_all(&cache).doing(|| format!("make {}", cache.display()))?;
    for entry in files::entries(work)?.iter().filter(|entry| **entry != cache) {
        descent::remove(entry).doing(|| format!("remove {}", entry.display()))?;
    }
    Ok(())
}

/// What uv wrote. Who else could write there may have put anything in its place.
fn answer(work: &Path) -> Result<String> {
    let doing = || "read uv's answer".to_owned();
    let root = rooted::open_root(work).doing(doing)?;
    let found = rooted::read(root.as_fd(), Path::new(ANSWER)).doing(doing)?;
    let bytes = found.ok_or_else(|| Error::failed(doing()).because("it wrote none"))?;
    String::from_utf8(bytes).doing(doing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lock::Distribution;

    #[test]
    fn two_at_once_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let enter = || Workroom::enter(directory.path().join("locking"));
        let one = enter().unwrap();
        assert_eq!(enter().err().unwrap().kind, ErrorKind::Busy);
        drop(one);
        assert!(enter().is_ok());
    }

    #[test]
    fn only_what_was_fetched_is_left_for_uv_and_a_link_is_no_answer() {
        let directory = tempfile::tempdir().unwrap();
        let work = directory.path().join("work");
        empty(&work).unwrap();
        fs::write(work.join("cache/wheel"), "").unwrap();
        fs::write(directory.path().join("other"), "secret").unwrap();
        std::os::unix::fs::symlink("../other", work.join(ANSWER)).unwrap();
        assert!(answer(&work).is_err());
        empty(&work).unwrap();
        assert_eq!(answer(&work).unwrap_err().causes, ["it wrote none"]);
        assert!(work.join("cache/wheel").exists());
    }

    #[test]
    fn the_versions_before_are_preferred_beside_what_was_built_and_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let work = directory.path().join("work");
        let of = |name: &str, version: &str| Distribution {
            name: name.to_owned(),
            version: version.to_owned(),
            hashes: Vec::new(),
            commit: None,
        };
        let before = Lock { title: String::new(), distributions: vec![of("glance", "33.0.0")] };
        let question = Question { requirements: "nova\n".to_owned(), arguments: Vec::new() };
        let wheel = Wheel {
            distribution: of("nova", "34.0.1.dev1"),
            file_name: "nova.whl".to_owned(),
            content: b"wheel".to_vec(),
        };
        lay_out(&work, &question, &[wheel], Some(&before)).unwrap();
        assert_eq!(answer(&work).unwrap(), pylock::preferred(&before));
        assert_eq!(fs::read(work.join("built/nova.whl")).unwrap(), b"wheel");
        lay_out(&work, &question, &[], Some(&before)).unwrap();
        assert_eq!(answer(&work).unwrap_err().causes, ["it wrote none"]);
        assert_eq!(fs::read_dir(work.join(BUILT)).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(work.join(REQUIREMENTS)).unwrap(), "nova\n");
    }
}
