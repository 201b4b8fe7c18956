//! `aio release lock`: the versions of a release's Python distributions, found anew.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use time::{Date, OffsetDateTime};

use super::changes::{Change, changes, words};
use super::question::{ANSWER, Question, REQUIREMENTS};
use super::trees::Tree;
use super::wheels::{Kept, Wheel};
use super::{day, pylock, trees, wheels};
use crate::cloud::recorded;
use crate::commands::dev::source::project::normalize;
use crate::config::load::Profiles;
use crate::config::nearest::suggestion;
use crate::config::release::{PythonDistributions, Release};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::blocking;
use crate::host::python::{Installer, Target, Task, UV};
use crate::lxc::{descent, rooted};
use crate::model::lock::{Built, Distribution, Lock};
use crate::model::paths::Paths;
use crate::model::requirement::Conditional;
use crate::state::files;

/// Where uv finds its working directory.
const PLACE: &str = "/work";
/// What of it a failed run leaves for the next.
const CACHE: &str = "cache";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub release: String,
    /// Where checkouts are that its projects are built of.
    pub from: Vec<String>,
    /// Instead of the release's own day, or of today where something is built.
    pub as_of: Option<Date>,
    /// Instead of a file in the configuration directory.
    pub file: Option<PathBuf>,
}

/// A lock that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    pub release: String,
    pub as_of: String,
    pub distributions: usize,
    /// What was built of checkouts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub built: Vec<Built>,
    /// What is other than in the lock before, or in that of the release that this one extends; none when
    /// neither could be read.
    pub changes: Option<Vec<Change>>,
    /// Where it was written; nowhere when it is what the release has already.
    pub file: Option<PathBuf>,
}

/// Makes a lock, and writes it. `say` is told what takes long.
pub async fn make(paths: &Paths, wanted: &Wanted, say: &(dyn Fn(&str) + Sync)) -> Result<Made> {
    let profiles = Profiles::load(&paths.config_dir)?;
    let (release, python) = find(&profiles, &wanted.release)?;
    let as_of = last_day(&profiles, python, wanted)?;
    let machine = std::env::consts::ARCH;
    let ask = |built: &[Distribution]| {
        Question::new(python, as_of, machine, built)
            .map_err(|reason| mistaken(&profiles, &wanted.release).because(reason))
    };
    ask(&[])?;
    require_root(&wanted.release)?;
    // One that is broken is as good as none: this is how it is made anew.
    let present = Lock::of(release);
    let extended = release.extends.as_ref().and_then(|name| profiles.releases.get(name));
    let extended = extended.and_then(Lock::of);
    let before = present.as_ref().or(extended.as_ref());
    files::prepare(paths)?;
    let directory = paths.locking_dir();
    files::private_directory(&directory)?;
    let _alone = alone(&directory)?;
    let within = |error: Error| error.context(doing(&wanted.release).message);
    let installer = match before.filter(|lock| lock.distribution(UV).is_some()) {
        Some(lock) => Installer::of_lock(lock, &directory).await,
        None => Installer::newest(&directory).await,
    };
    let installer = installer.map_err(within)?;
    let known = known(python, before);
    let trees = trees_of(wanted, paths.clones_dir(), known, say).await?;
    let wheels = if trees.is_empty() {
        Vec::new()
    } else {
        let (directory, lock) = (&directory, present.as_ref());
        let kept = Kept { directory: &paths.built_wheels_dir(), lock };
        wheels::build(&trees, &installer, as_of, directory, &kept, say).await.map_err(within)?
    };
    let built: Vec<Distribution> = wheels.iter().map(|it| it.distribution.clone()).collect();
    let question = ask(&built)?;
    say(&if built.is_empty() {
        format!("looking for the newest versions as of {as_of} that go together")
    } else {
        format!("looking for versions as of {as_of} that go together with them")
    });
    let answer = resolve(&installer, &directory, &question, &wheels, before).await;
    let answer = answer.map_err(within)?;
    let lock = read(&answer, title(release, python, as_of, wanted), &built).map_err(|reason| {
        doing(&wanted.release).because("uv's answer is of no use").because(reason)
    })?;
    if lock.distribution(UV).is_none() {
        let reason = format!("the requirements lack `{UV}`, which installs all of them");
        return Err(mistaken(&profiles, &wanted.release).because(reason));
    }
    let text = lock.text();
    let usual = paths.config_dir.join("profiles/releases").join(format!("{}.lock", wanted.release));
    // A copy of what is built in would stay when that becomes a newer one.
    let file = wanted.file.clone().or_else(|| (text != python.lock).then_some(usual));
    wheels::keep(&wheels, &paths.built_wheels_dir())?;
    if let Some(file) = &file {
        files::replace(file, files::mode(file).unwrap_or(0o644), text.as_bytes())?;
    }
    if wanted.file.is_none() {
        forget_wheels(&profiles, &lock, paths)?;
    }
    Ok(Made {
        release: wanted.release.clone(),
        as_of: as_of.to_string(),
        distributions: lock.distributions.len(),
        built: lock.built().collect(),
        changes: before.map(|before| changes(before, &lock)),
        file,
    })
}

/// What was made, a line each.
pub fn sentences(made: &Made) -> Vec<String> {
    let mut lines = match &made.changes {
        None => vec!["there was no whole lock before".to_owned()],
        Some(none) if none.is_empty() => vec!["nothing changed".to_owned()],
        Some(all) => all.iter().map(words).collect(),
    };
    let Made { distributions, as_of, file, .. } = made;
    lines
        .extend(file.as_ref().map(|file| {
            format!("{distributions} distributions as of {as_of}: {}", file.display())
        }));
    lines
}

fn doing(name: &str) -> Error {
    Error::failed(format!("make the lock of release `{name}`"))
}

fn find<'a>(profiles: &'a Profiles, name: &str) -> Result<(&'a Release, &'a PythonDistributions)> {
    let refused = |kind| Error { kind, ..doing(name) };
    let release = profiles.releases.get(name).ok_or_else(|| {
        let known = profiles.releases.keys().map(String::as_str);
        refused(ErrorKind::NotFound)
            .because("there is no such release")
            .hints(suggestion(name, known))
    })?;
    let python = release.python.as_ref().ok_or_else(|| {
        let suite = &release.suite;
        refused(ErrorKind::Usage)
            .because(format!("it has no lock: its programs are packages of {suite}"))
            .hint("`aio release ls` says where the programs of each release come from.")
    })?;
    Ok((release, python))
}

/// An error about what a release's file says.
fn mistaken(profiles: &Profiles, name: &str) -> Error {
    let shown = profiles.shown_line(&format!("releases/{name}.yml"), "python");
    Error::new(ErrorKind::Config, format!("{shown}: python"))
}

/// The distributions of a release by their names, with the versions of a lock.
fn known(python: &PythonDistributions, lock: Option<&Lock>) -> BTreeMap<String, Option<String>> {
    let asked = python.projects.iter().chain(&python.requirements);
    let names = asked.filter_map(|text| Conditional::parse(text).ok());
    let names = names.map(|it| (normalize(it.requirement().name()), None));
    let locked = lock.into_iter().flat_map(|lock| &lock.distributions);
    names.chain(locked.map(|it| (it.name.clone(), Some(it.version.clone())))).collect()
}

/// The trees that something is built of.
async fn trees_of(
    wanted: &Wanted,
    clones: PathBuf,
    known: BTreeMap<String, Option<String>>,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Tree>> {
    if wanted.from.is_empty() {
        return Ok(Vec::new());
    }
    let from = wanted.from.clone();
    let found =
        blocking("look for checkouts", move || trees::find(&from, &clones, &known, &mut |_| {}));
    let found = found.await?;
    found.notes.iter().for_each(|note| say(note));
    Ok(found.trees)
}

/// Removes old wheels that neither a lock names any more nor the cloud, which may be of the lock before.
fn forget_wheels(profiles: &Profiles, lock: &Lock, paths: &Paths) -> Result<()> {
    let cloud = recorded::find(paths)?;
    let releases = profiles.releases.values().chain(cloud.iter().map(|cloud| &cloud.release));
    let python = releases.filter_map(|release| release.python.as_ref());
    let texts = python.map(|it| &it.lock).filter(|text| !text.is_empty());
    // Nobody knows what one names that is broken.
    let locks: Result<Vec<Lock>, String> = texts.map(|text| Lock::parse(text)).collect();
    let Ok(mut locks) = locks else { return Ok(()) };
    locks.push(lock.clone());
    let built = locks.iter().flat_map(|it| &it.distributions).filter(|it| it.commit.is_some());
    let hashes: Vec<&str> = built.flat_map(|it| &it.hashes).map(String::as_str).collect();
    wheels::forget_others(&paths.built_wheels_dir(), &hashes, SystemTime::now())
}

/// The day that was asked for, or the release's.
fn last_day(profiles: &Profiles, python: &PythonDistributions, wanted: &Wanted) -> Result<Date> {
    let own = day::parse(&python.as_of).map_err(|reason| {
        mistaken(profiles, &wanted.release).because(format!("as_of: {reason}"))
    })?;
    let today = OffsetDateTime::now_utc().date();
    let usual = if wanted.from.is_empty() { own } else { today };
    let as_of = wanted.as_of.unwrap_or(usual);
    if as_of > today {
        let error = Error { kind: ErrorKind::Usage, ..doing(&wanted.release) };
        return Err(error.because(format!("{as_of} is yet to come")));
    }
    Ok(as_of)
}

fn require_root(name: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error { kind: ErrorKind::Refused, ..doing(name) }
        .because("what is fetched is looked at without rights, which only root can arrange")
        .hint(format!("Run `sudo aio release lock {name}`.")))
}

/// What the first line says, with the command that makes such a lock again: the same one, where nothing
/// is built of what checkouts are.
fn title(release: &Release, python: &PythonDistributions, as_of: Date, wanted: &Wanted) -> String {
    let (name, version, machine) = (&release.release, &python.version, std::env::consts::ARCH);
    let other = python.as_of != as_of.to_string();
    let mut options = if other { format!(" --as-of {as_of}") } else { String::new() };
    if !wanted.from.is_empty() {
        options.push_str(" --from …");
    }
    format!(
        "OpenStack {name} for Python {version} on {machine}, as of {as_of}. Made by `aio release lock \
         {name}{options}`."
    )
}

/// Has uv answer, with what it works on in a directory of its own. Beside what was built all is as it was
/// in the lock before, as far as that goes.
async fn resolve(
    installer: &Installer,
    directory: &Path,
    question: &Question,
    wheels: &[Wheel],
    before: Option<&Lock>,
) -> Result<String> {
    let work = directory.join("work");
    empty(&work)?;
    files::write(&work.join(REQUIREMENTS), &question.requirements)?;
    if let (Some(before), false) = (before, wheels.is_empty()) {
        files::write(&work.join(ANSWER), pylock::preferred(before))?;
    }
    let built = work.join("built");
    files::private_directory(&built)?;
    for wheel in wheels {
        files::write(&built.join(&wheel.file_name), &wheel.content)?;
    }
    let place = Path::new(PLACE);
    let built = place.join("built");
    let target =
        Target { system: None, directory: &work, place, work: place, wheels: Some(&built) };
    let arguments: Vec<&str> = question.arguments.iter().map(String::as_str).collect();
    installer.run(Task::Resolve, &target, &arguments).await?;
    let answer = answer(&work)?;
    descent::remove(&work).doing(|| format!("remove {}", work.display()))?;
    Ok(answer)
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

/// The lock of what uv answered, which can be read again.
fn read(answer: &str, title: String, built: &[Distribution]) -> Result<Lock, String> {
    let mut distributions = pylock::distributions(answer)?;
    for own in built {
        // An index may have another file of the same version.
        let same = |it: &&mut Distribution| it.name == own.name && it.version == own.version;
        let found = distributions.iter_mut().find(same);
        *found.ok_or_else(|| format!("it has not what was built of `{}`", own.name))? = own.clone();
    }
    Lock::parse(&Lock { title, distributions }.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASES: [(&str, &str); 2] = [
        ("releases/1.0.yml", "release: \"1.0\"\nsummary: x\nsuite: trixie\n"),
        (
            "releases/2.0.yml",
            "release: \"2.0\"\nsummary: x\npython:\n  version: \"3.13\"\n  home: /opt/x\n  as_of: \
             \"2026-10-20\"\n  requirements: [uv]\n",
        ),
    ];

    fn wanted(as_of: Option<&str>) -> Wanted {
        let as_of = as_of.map(|text| day::parse(text).unwrap());
        Wanted { release: "2.0".to_owned(), from: Vec::new(), as_of, file: None }
    }

    #[test]
    fn only_a_release_of_wheels_has_a_lock() {
        let profiles = Profiles::from_texts(RELEASES).unwrap();
        let error = find(&profiles, "2").unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(error.hints, ["did you mean `2.0`?"]);
        let error = find(&profiles, "1.0").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert_eq!(error.causes, ["it has no lock: its programs are packages of trixie"]);
        assert!(find(&profiles, "2.0").is_ok());
    }

    #[test]
    fn the_title_says_how_the_same_is_made_again() {
        let profiles = Profiles::from_texts(RELEASES).unwrap();
        let (release, python) = find(&profiles, "2.0").unwrap();
        let title = |as_of| {
            let wanted = wanted(as_of);
            title(release, python, last_day(&profiles, python, &wanted).unwrap(), &wanted)
        };
        let own = "as of 2026-10-20. Made by `aio release lock 2.0`.";
        assert!(title(None).starts_with("OpenStack 2.0 for Python 3.13 on "));
        assert!(title(None).ends_with(own) && title(Some("2026-10-20")).ends_with(own));
        assert!(title(Some("2026-10-01")).ends_with("`aio release lock 2.0 --as-of 2026-10-01`."));
        let lock = Lock { title: title(Some("2026-10-01")), ..Lock::default() };
        assert_eq!(lock.as_of(), Some("2026-10-01"));
        let error = last_day(&profiles, python, &wanted(Some("9999-01-01"))).unwrap_err();
        assert_eq!(
            (error.kind, error.causes),
            (ErrorKind::Usage, vec!["9999-01-01 is yet to come".to_owned()])
        );
    }

    #[test]
    fn a_day_of_the_release_that_is_none_is_its_files_mistake() {
        let text = RELEASES[1].1.replace("2026-10-20", "soon");
        let profiles = Profiles::from_texts([("releases/2.0.yml", text.as_str())]).unwrap();
        let (_, python) = find(&profiles, "2.0").unwrap();
        let error = last_day(&profiles, python, &wanted(None)).unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Config, "profiles/releases/2.0.yml:3: python")
        );
    }

    #[test]
    fn what_changed_and_where_it_stands_is_told() {
        let change =
            Change { name: "uv".to_owned(), old: Some("1".to_owned()), new: Some("2".to_owned()) };
        let made = |changes: Option<Vec<Change>>, file: Option<&str>| Made {
            release: "2.0".to_owned(),
            as_of: "2026-10-20".to_owned(),
            distributions: 3,
            built: Vec::new(),
            changes,
            file: file.map(PathBuf::from),
        };
        let written = "3 distributions as of 2026-10-20: /x";
        assert_eq!(sentences(&made(Some(vec![change]), Some("/x"))), ["uv 1 → 2", written]);
        assert_eq!(sentences(&made(None, Some("/x"))), ["there was no whole lock before", written]);
        assert_eq!(sentences(&made(Some(Vec::new()), None)), ["nothing changed"]);
    }

    #[test]
    fn two_at_once_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let one = alone(directory.path()).unwrap();
        assert_eq!(alone(directory.path()).unwrap_err().kind, ErrorKind::Busy);
        drop(one);
        assert!(alone(directory.path()).is_ok());
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
    fn an_answer_that_is_no_lock_is_refused() {
        let answer = "lock-version = \"1.0\"\n[[packages]]\nname = \"uv\"\nversion = \"1\"\nsdist = { hashes = \
                      { sha256 = \"-r\" } }\n";
        assert_eq!(
            read(answer, "x".to_owned(), &[]).unwrap_err(),
            "line 3: a hash is missing or none"
        );
        let hash = "a".repeat(64);
        let answer = answer.replace("-r", &hash);
        let lock = read(&answer, "x".to_owned(), &[]).unwrap();
        assert_eq!(lock.distributions[0].hashes, [hash]);
        let mut built = Distribution {
            hashes: vec!["b".repeat(64)],
            commit: Some("c".repeat(40)),
            ..lock.distributions[0].clone()
        };
        let lock = read(&answer, "x".to_owned(), &[built.clone()]).unwrap();
        assert_eq!(lock.distributions, [built.clone()]);
        built.version = "2".to_owned();
        let said = read(&answer, "x".to_owned(), &[built]).unwrap_err();
        assert_eq!(said, "it has not what was built of `uv`");
    }
}
