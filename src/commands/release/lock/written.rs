//! What is written: the lock of uv's answer, with the wheels that it names.

use std::path::PathBuf;
use std::time::SystemTime;

use super::subject::Subject;
use super::wanted::{Wanted, doing};
use crate::cloud::recorded;
use crate::commands::release::pylock;
use crate::commands::release::wheels::{self, Wheel};
use crate::config::load::Profiles;
use crate::error::Result;
use crate::model::lock::{Distribution, Lock};
use crate::model::paths::Paths;
use crate::state::files;

/// The lock of what uv answered, in which these were built.
///
/// # Errors
/// When the answer is no lock, or has not what was built.
pub(super) fn read(
    answer: &str,
    subject: &Subject<'_>,
    wanted: &Wanted,
    built: &[Distribution],
) -> Result<Lock> {
    of_answer(answer, title(subject, wanted), built).map_err(|reason| {
        doing(&wanted.release).because("uv's answer is of no use").because(reason)
    })
}

/// Writes a lock and keeps its wheels. Says where it was written: nowhere, unless a file was named, when the
/// release has the same distributions already. Another title alone would make other layers of them.
///
/// # Errors
/// When something cannot be written.
pub(super) fn write(
    lock: &Lock,
    wheels: &[Wheel],
    subject: &Subject<'_>,
    wanted: &Wanted,
    paths: &Paths,
) -> Result<Option<PathBuf>> {
    let usual = paths.config_dir.join("profiles/releases").join(format!("{}.lock", wanted.release));
    let present = subject.present.as_ref().map(|present| &present.distributions);
    // A copy of what is built in would stay when that becomes a newer one, too.
    let other = present != Some(&lock.distributions);
    let file = wanted.file.clone().or_else(|| other.then_some(usual));
    wheels::keep(wheels, &paths.built_wheels_dir())?;
    if let Some(file) = &file {
        files::replace(file, files::mode(file).unwrap_or(0o644), lock.text().as_bytes())?;
    }
    if wanted.file.is_none() {
        forget_wheels(subject.profiles, lock, paths)?;
    }
    Ok(file)
}

/// What the first line says, with the command that makes such a lock again: the same one, where nothing
/// is built of what checkouts are.
fn title(subject: &Subject<'_>, wanted: &Wanted) -> String {
    let Subject { release, python, as_of, .. } = subject;
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

fn of_answer(answer: &str, title: String, built: &[Distribution]) -> Result<Lock, String> {
    let mut distributions = pylock::distributions(answer)?;
    for own in built {
        // An index may have another file of the same version.
        let same = |it: &&mut Distribution| it.name == own.name && it.version == own.version;
        let found = distributions.iter_mut().find(same);
        *found.ok_or_else(|| format!("it has not what was built of `{}`", own.name))? = own.clone();
    }
    // One that can be read again.
    Lock::parse(&Lock { title, distributions }.text())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::release::day;
    use crate::commands::release::lock::testing::{RELEASES, TODAY_IS, wanted};
    use crate::commands::release::place::TreePlace;

    #[test]
    fn the_title_says_how_the_same_is_made_again() {
        let profiles = Profiles::from_texts(RELEASES).unwrap();
        let title = |wanted: &Wanted| {
            let today = day::parse(TODAY_IS).unwrap();
            title(&Subject::find(&profiles, wanted, today).unwrap(), wanted)
        };
        let own = "as of 2026-10-20. Made by `aio release lock 2.0`.";
        let plain = title(&wanted("2.0", None));
        assert!(plain.starts_with("OpenStack 2.0 for Python 3.13 on ") && plain.ends_with(own));
        assert!(title(&wanted("2.0", Some("2026-10-20"))).ends_with(own));
        let other = title(&wanted("2.0", Some("2026-10-01")));
        assert!(other.ends_with("`aio release lock 2.0 --as-of 2026-10-01`."), "{other}");
        let lock = Lock { title: other, ..Lock::default() };
        assert_eq!(lock.as_of(), Some("2026-10-01"));
        let following = title(&wanted("next", None));
        let day = "as of 2026-11-30. Made by `aio release lock next --as-of 2026-11-30`.";
        assert!(following.ends_with(day), "{following}");
        let from = vec![TreePlace::parse("./nova#stable/2").unwrap()];
        let built = title(&Wanted { from, ..wanted("next", None) });
        assert!(built.ends_with("lock next --as-of 2026-11-30 --from …`."), "{built}");
    }

    #[test]
    fn the_same_distributions_of_another_day_are_written_only_where_a_file_is_named() {
        let uv = |version: &str| Distribution {
            name: "uv".to_owned(),
            version: version.to_owned(),
            hashes: vec!["a".repeat(64)],
            commit: None,
        };
        let lock = |title: &str, version: &str| Lock {
            title: title.to_owned(),
            distributions: vec![uv(version)],
        };
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        let usual = paths.config_dir.join("profiles/releases/2.0.lock");
        let written = |present: &str, new: &Lock, wanted: &Wanted| {
            let texts = RELEASES.into_iter().chain([("releases/2.0.lock", present)]);
            let profiles = Profiles::from_texts(texts).unwrap();
            let today = day::parse(TODAY_IS).unwrap();
            let subject = Subject::find(&profiles, wanted, today).unwrap();
            write(new, &[], &subject, wanted, &paths).unwrap()
        };
        let (present, later) = (lock("as of one day", "1").text(), lock("as of another", "1"));
        assert_eq!(written(&present, &later, &wanted("2.0", None)), None);
        assert!(!usual.exists());
        let elsewhere = directory.path().join("x.lock");
        let named = Wanted { file: Some(elsewhere.clone()), ..wanted("2.0", None) };
        assert_eq!(written(&present, &later, &named).as_ref(), Some(&elsewhere));
        assert_eq!(std::fs::read_to_string(elsewhere).unwrap(), later.text());
        let newer = lock("as of another", "2");
        // Another version, none before, and one that was edited.
        let edited = present.replace("uv==1", "uv==2");
        for (present, new) in [(present.as_str(), &newer), ("", &later), (&edited, &newer)] {
            let _ = std::fs::remove_file(&usual);
            assert_eq!(written(present, new, &wanted("2.0", None)).as_ref(), Some(&usual));
            assert_eq!(std::fs::read_to_string(&usual).unwrap(), new.text());
        }
    }

    #[test]
    fn an_answer_that_is_no_lock_is_refused() {
        let answer = "lock-version = \"1.0\"\n[[packages]]\nname = \"uv\"\nversion = \"1\"\nsdist = { hashes = \
                      { sha256 = \"-r\" } }\n";
        assert_eq!(
            of_answer(answer, "x".to_owned(), &[]).unwrap_err(),
            "line 3: a hash is missing or none"
        );
        let hash = "a".repeat(64);
        let answer = answer.replace("-r", &hash);
        let lock = of_answer(&answer, "x".to_owned(), &[]).unwrap();
        assert_eq!(lock.distributions[0].hashes, [hash]);
        let mut built = Distribution {
            hashes: vec!["b".repeat(64)],
            commit: Some("c".repeat(40)),
            ..lock.distributions[0].clone()
        };
        let lock = of_answer(&answer, "x".to_owned(), &[built.clone()]).unwrap();
        assert_eq!(lock.distributions, [built.clone()]);
        built.version = "2".to_owned();
        let said = of_answer(&answer, "x".to_owned(), &[built]).unwrap_err();
        assert_eq!(said, "it has not what was built of `uv`");
    }
}
