//! From which release to which a cloud can be upgraded. Pure.

use std::collections::VecDeque;

use crate::config::load::Profiles;
use crate::config::nearest::suggestion;
use crate::config::release::Release;
use crate::error::{Error, ErrorKind, Result};

/// The release that is asked for.
///
/// # Errors
/// When there is none of that name, or no way leads there at once: then with those in between.
pub fn permitted<'a>(
    profiles: &'a Profiles,
    cloud: &str,
    from: &Release,
    to: &str,
) -> Result<&'a Release> {
    let doing = || format!("upgrade the cloud `{cloud}` from {} to {to}", from.release);
    let names = || profiles.releases.keys().map(String::as_str);
    let Some(wanted) = profiles.releases.get(to) else {
        return Err(Error::new(ErrorKind::Usage, doing())
            .because("there is no such release")
            .hints(suggestion(to, names()))
            .hint("`aio release ls` lists them."));
    };
    let refused = |why: &str| Error::new(ErrorKind::Usage, doing()).because(why);
    if wanted.release == from.release {
        return Err(refused("it is of that release already"));
    }
    if !follows(from, wanted) {
        let error = refused("OpenStack does not support that in one step");
        return Err(match way(profiles, from, wanted) {
            Some(way) => error.hint(format!("Go by way of {}.", way.join(", then "))),
            None => error.hint(next(profiles, from)),
        });
    }
    if wanted.suite != from.suite {
        return Err(refused(&format!(
            "its containers are of Debian {}, those of {to} of {}",
            from.suite, wanted.suite
        ))
        .hint(format!("Build one beside it: aio --name NAME bootstrap --set release={to}")));
    }
    Ok(wanted)
}

fn follows(from: &Release, to: &Release) -> bool {
    to.upgrades_from.iter().any(|series| series == from.series())
}

/// The releases to which one can go, in a sentence.
pub fn next(profiles: &Profiles, from: &Release) -> String {
    let next = profiles.releases.values().filter(|to| follows(from, to));
    let next: Vec<&str> = next.map(|to| to.release.as_str()).collect();
    match next.as_slice() {
        [] => format!("There is no release to which {} can go.", from.release),
        some => format!("From {} it can go to {}.", from.release, some.join(" or ")),
    }
}

/// The shortest row of releases that leads from one to another, without the first.
fn way<'a>(profiles: &'a Profiles, from: &Release, to: &Release) -> Option<Vec<&'a str>> {
    let mut ways: VecDeque<(&Release, Vec<&str>)> = VecDeque::from([(from, Vec::new())]);
    let mut seen = vec![from.release.as_str()];
    while let Some((here, way)) = ways.pop_front() {
        for next in profiles.releases.values().filter(|next| follows(here, next)) {
            if seen.contains(&next.release.as_str()) {
                continue;
            }
            seen.push(&next.release);
            let way = [way.clone(), vec![next.release.as_str()]].concat();
            if next.release == to.release {
                return Some(way);
            }
            ways.push_back((next, way));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: &str, to: &str) -> Result<String> {
        let profiles = Profiles::built_in().unwrap();
        let from = profiles.releases[from].clone();
        permitted(&profiles, "aio1", &from, to).map(|release| release.release.clone())
    }

    #[test]
    fn the_pairs_that_openstack_supports() {
        for (from, to) in [
            ("2025.1", "2025.2"),
            ("2025.1-wheels", "2025.2"),
            ("2025.2", "2026.1"),
            ("2025.1", "2026.1"),
            ("2025.1-wheels", "2026.1"),
            ("2026.1", "2026.2"),
        ] {
            assert_eq!(asked(from, to).unwrap(), to, "{from}");
        }
    }

    #[test]
    fn others_are_refused_with_those_in_between() {
        let error = asked("2025.1", "2026.2").unwrap_err();
        assert_eq!(error.message, "upgrade the cloud `aio1` from 2025.1 to 2026.2");
        assert_eq!(error.hints, ["Go by way of 2026.1, then 2026.2."]);
        assert_eq!(asked("2025.2", "2026.2").unwrap_err().hints, error.hints);
        let back = asked("2026.2", "2026.1").unwrap_err();
        assert_eq!(back.hints, ["From 2026.2 it can go to master."]);
        let same = asked("2026.1", "2026.1").unwrap_err();
        assert_eq!(same.causes, ["it is of that release already"]);
        let typo = asked("2026.1", "2026.22").unwrap_err();
        assert_eq!(typo.hints[0], "did you mean `2026.2`?");
    }

    #[test]
    fn another_suite_is_another_matter() {
        let mut profiles = Profiles::built_in().unwrap();
        profiles.releases.get_mut("2026.2").unwrap().suite = "forky".to_owned();
        let from = profiles.releases["2026.1"].clone();
        let error = permitted(&profiles, "aio1", &from, "2026.2").unwrap_err();
        assert!(error.causes[0].contains("trixie"), "{error:?}");
    }
}
