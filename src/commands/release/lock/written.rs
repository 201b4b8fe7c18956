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

/// Writes a lock and keeps its wheels. Says where it was written, if it is not what the release has.
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
    let text = lock.text();
    let usual = paths.config_dir.join("profiles/releases").join(format!("{}.lock", wanted.release));
    // A copy of what is built in would stay when that becomes a newer one.
    let file = wanted.file.clone().or_else(|| (text != subject.python.lock).then_some(usual));
    wheels::keep(wheels, &paths.built_wheels_dir())?;
    if let Some(file) = &file {
        files::replace(file, files::mode(file).unwrap_or(0o644), text.as_bytes())?;
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
