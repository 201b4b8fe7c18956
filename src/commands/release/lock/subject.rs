//! What a lock is made for: a release as its files say it, the day, and the lock that it has.

use std::collections::BTreeMap;

use time::Date;

use super::wanted::{Wanted, doing};
use crate::commands::dev::source::project::normalize;
use crate::commands::release::day::{self, AsOf, TODAY};
use crate::commands::release::question::Question;
use crate::config::load::Profiles;
use crate::config::nearest::suggestion;
use crate::config::release::{PythonDistributions, Release};
use crate::error::{Error, ErrorKind, Result};
use crate::host::python::UV;
use crate::model::lock::{Distribution, Lock};
use crate::model::requirement::Conditional;

/// A release that has a lock.
pub(super) struct Subject<'a> {
    pub profiles: &'a Profiles,
    pub release: &'a Release,
    pub python: &'a PythonDistributions,
    pub as_of: AsOf,
    /// Its own lock. One that is broken is as good as none: this is how it is made anew.
    pub present: Option<Lock>,
    /// That of the release which it extends.
    extended: Option<Lock>,
}

impl<'a> Subject<'a> {
    /// Finds the release that is wanted.
    ///
    /// # Errors
    /// When there is none of that name, it has no lock, or the day is none or yet to come.
    pub fn find(profiles: &'a Profiles, wanted: &Wanted, today: Date) -> Result<Self> {
        let (release, python) = find(profiles, &wanted.release)?;
        let as_of = as_of(profiles, python, wanted, today)?;
        let extended = release.extends.as_ref().and_then(|name| profiles.releases.get(name));
        let (present, extended) = (Lock::of(release), extended.and_then(Lock::of));
        Ok(Self { profiles, release, python, as_of, present, extended })
    }

    /// The lock that what is made is compared with, and kept to where something is built.
    pub fn before(&self) -> Option<&Lock> {
        self.present.as_ref().or(self.extended.as_ref())
    }

    /// What uv is asked, when these were built.
    ///
    /// # Errors
    /// When the release asks for what is no requirement or no day.
    pub fn question(&self, built: &[Distribution]) -> Result<Question> {
        Question::new(self.python, self.as_of, std::env::consts::ARCH, built)
            .map_err(|reason| self.mistaken().because(reason))
    }

    /// Its distributions by their names, with the versions that they had last.
    pub fn known(&self) -> BTreeMap<String, Option<String>> {
        let asked = self.python.projects.iter().chain(&self.python.requirements);
        let names = asked.filter_map(|text| Conditional::parse(text).ok());
        let names = names.map(|it| (normalize(it.requirement().name()), None));
        let locked = self.before().into_iter().flat_map(|lock| &lock.distributions);
        names.chain(locked.map(|it| (it.name.clone(), Some(it.version.clone())))).collect()
    }

    /// Refuses a lock that could not be installed.
    ///
    /// # Errors
    /// When it has no uv.
    pub fn check(&self, lock: &Lock) -> Result<()> {
        if lock.distribution(UV).is_some() {
            return Ok(());
        }
        let reason = format!("the requirements lack `{UV}`, which installs all of them");
        Err(self.mistaken().because(reason))
    }

    fn mistaken(&self) -> Error {
        mistaken(self.profiles, &self.release.release)
    }
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

/// The day that was asked for, or the release's; today, where something is built.
fn as_of(
    profiles: &Profiles,
    python: &PythonDistributions,
    wanted: &Wanted,
    today: Date,
) -> Result<AsOf> {
    let own = match python.as_of.as_str() {
        TODAY => today,
        text => day::parse(text).map_err(|reason| {
            mistaken(profiles, &wanted.release).because(format!("as_of: {reason}, or `{TODAY}`"))
        })?,
    };
    let usual = if wanted.from.is_empty() { own } else { today };
    AsOf::new(wanted.as_of.unwrap_or(usual), today).map_err(|reason| {
        Error { kind: ErrorKind::Usage, ..doing(&wanted.release) }.because(reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::release::lock::testing::{RELEASES, TODAY_IS, wanted};
    use crate::commands::release::place::TreePlace;

    fn day_of(profiles: &Profiles, wanted: &Wanted) -> Result<String> {
        let today = day::parse(TODAY_IS).unwrap();
        Subject::find(profiles, wanted, today).map(|it| it.as_of.to_string())
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
    fn the_day_is_the_releases_own_unless_it_follows_development_or_something_is_built() {
        let profiles = Profiles::from_texts(RELEASES).unwrap();
        let day = |wanted: &Wanted| day_of(&profiles, wanted).unwrap();
        let from = vec![TreePlace::parse("./nova").unwrap()];
        for (release, own) in [("2.0", "2026-10-20"), ("next", TODAY_IS)] {
            assert_eq!(day(&wanted(release, None)), own);
            assert_eq!(day(&wanted(release, Some("2026-10-01"))), "2026-10-01");
            let built = Wanted { from: from.clone(), ..wanted(release, None) };
            assert_eq!(day(&built), TODAY_IS);
            let built = Wanted { from: from.clone(), ..wanted(release, Some("2026-10-01")) };
            assert_eq!(day(&built), "2026-10-01");
        }
        let error = day_of(&profiles, &wanted("2.0", Some("9999-01-01"))).unwrap_err();
        assert_eq!(
            (error.kind, error.causes),
            (ErrorKind::Usage, vec!["9999-01-01 is yet to come".to_owned()])
        );
    }

    #[test]
    fn a_day_of_the_release_that_is_none_is_its_files_mistake() {
        let text = RELEASES[1].1.replace("2026-10-20", "soon");
        let profiles = Profiles::from_texts([("releases/2.0.yml", text.as_str())]).unwrap();
        let error = day_of(&profiles, &wanted("2.0", None)).unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Config, "profiles/releases/2.0.yml:3: python")
        );
        assert!(error.causes[0].ends_with("as in 2026-10-20, or `today`"), "{error:?}");
    }

    #[test]
    fn what_is_kept_to_is_its_own_lock_or_that_of_the_release_which_it_extends() {
        let lock = |version: &str| {
            let nova = Distribution {
                name: "nova".to_owned(),
                version: version.to_owned(),
                hashes: vec!["a".repeat(64)],
                commit: None,
            };
            Lock { title: "x".to_owned(), distributions: vec![nova] }.text()
        };
        let before = |locks: &[(&str, &str)]| {
            let profiles = Profiles::from_texts(RELEASES.iter().chain(locks).copied()).unwrap();
            let today = day::parse(TODAY_IS).unwrap();
            let subject = Subject::find(&profiles, &wanted("next", None), today).unwrap();
            let version = subject.before().map(|lock| lock.distributions[0].version.clone());
            assert_eq!(subject.known().get("nova").cloned().flatten(), version);
            version
        };
        let (own, extended) = (lock("35.0.0"), lock("34.0.0"));
        let extended = ("releases/2.0.lock", extended.as_str());
        assert_eq!(before(&[]), None);
        assert_eq!(before(&[extended]).as_deref(), Some("34.0.0"));
        assert_eq!(before(&[extended, ("releases/next.lock", &own)]).as_deref(), Some("35.0.0"));
        let broken = own.replace("35", "36");
        assert_eq!(before(&[extended, ("releases/next.lock", &broken)]).as_deref(), Some("34.0.0"));
    }

    #[test]
    fn a_built_in_release_that_follows_development_is_no_new_clouds_choice() {
        let profiles = Profiles::built_in().unwrap();
        let follows = |it: &&Release| it.python.as_ref().is_some_and(|it| it.as_of == TODAY);
        let following: Vec<&Release> = profiles.releases.values().filter(follows).collect();
        assert!(!following.is_empty() && following.iter().all(|it| it.by_name));
    }
}
