//! `aio release ls`: the releases that there are.

use serde::Serialize;

use crate::cloud::recorded;
use crate::config::cloud::CloudFile;
use crate::config::load::Profiles;
use crate::config::profile::Origin;
use crate::config::release::{PythonDistributions, Release};
use crate::model::lock::Lock;
use crate::model::paths::Paths;
use crate::ui::table::Table;

/// A release for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub release: String,
    pub summary: String,
    /// Debian suite of the containers.
    pub suite: String,
    /// Where OpenStack's programs come from.
    pub origin: Origin,
    /// Of one from wheels: its lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<ListedLock>,
    /// Whether a cloud for which nobody names a release gets it.
    pub new_clouds: bool,
    /// The cloud that was asked about, if it has this release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
}

/// A lock, for a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ListedLock {
    Whole { distributions: usize, as_of: String },
    Missing,
    Broken { because: String },
}

/// The releases in the order of their names. `cloud` has the release `its`, if that is known.
pub fn list(profiles: &Profiles, cloud: &str, its: Option<&str>) -> Vec<Listed> {
    let newest = profiles.newest_release().map(|release| release.release.as_str());
    let listed = |release: &Release| Listed {
        release: release.release.clone(),
        summary: release.summary.clone(),
        suite: release.suite.clone(),
        origin: release.origin(),
        lock: release.python.as_ref().map(listed_lock),
        new_clouds: newest == Some(&release.release),
        cloud: (its == Some(&release.release)).then(|| cloud.to_owned()),
    };
    profiles.releases.values().map(listed).collect()
}

/// The release that a cloud was made of, or else the one that its `cloud.yml` says; none when neither
/// can be read.
pub fn cloud_release(paths: &Paths) -> Option<String> {
    let recorded = recorded::find(paths).ok().flatten().map(|cloud| cloud.release.release);
    recorded.or_else(|| {
        let file = CloudFile::load(&paths.cloud_file()).ok()?;
        file.release().map(str::to_owned)
    })
}

fn listed_lock(python: &PythonDistributions) -> ListedLock {
    if python.lock.is_empty() {
        return ListedLock::Missing;
    }
    match Lock::parse(&python.lock) {
        Ok(lock) => ListedLock::Whole {
            distributions: lock.distributions.len(),
            as_of: lock.as_of().unwrap_or(&python.as_of).to_owned(),
        },
        Err(because) => ListedLock::Broken { because },
    }
}

pub fn table(listed: &[Listed]) -> String {
    let mut table = Table::new(["release", "openstack from", "chosen", "summary"]);
    for one in listed {
        let chosen: Vec<&str> = one
            .new_clouds
            .then_some("new clouds")
            .into_iter()
            .chain(one.cloud.as_deref())
            .collect();
        table.row([one.release.clone(), origin(one), chosen.join(", "), one.summary.clone()]);
    }
    table.render()
}

fn origin(one: &Listed) -> String {
    match &one.lock {
        None => format!("packages of {}", one.suite),
        Some(ListedLock::Whole { distributions, as_of }) => {
            format!("wheels, {distributions} distributions as of {as_of}")
        }
        Some(ListedLock::Missing) => "wheels, but it has no lock".to_owned(),
        Some(ListedLock::Broken { because }) => {
            format!("wheels, but its lock is broken: {because}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lock::Distribution;

    const PACKAGES: &str = "release: \"1\"\nsummary: One\nsuite: trixie\n";

    fn wheels(name: &str) -> String {
        format!(
            "release: \"{name}\"\nsummary: Of wheels\nextends: \"1\"\nby_name: true\npython:\n  version: \
             \"3.13\"\n  home: /opt/x\n  as_of: \"2026-10-20\"\n  requirements: [nova]\n"
        )
    }

    fn lock(title: &str) -> String {
        let hashes = vec!["a".repeat(64)];
        let nova = Distribution {
            name: "nova".to_owned(),
            version: "34.0".to_owned(),
            hashes,
            commit: None,
        };
        Lock { title: title.to_owned(), distributions: vec![nova] }.text()
    }

    fn listed() -> Vec<Listed> {
        let edited = lock("x").replace("34.0", "34.1");
        let profiles = Profiles::from_texts([
            ("releases/1.yml", PACKAGES),
            ("releases/2.yml", &wheels("2")),
            ("releases/2.lock", &lock("Nova, as of 2026-11-01. Made.")),
            ("releases/3.yml", &wheels("3")),
            ("releases/3.lock", &lock("Nova")),
            ("releases/4.yml", &wheels("4")),
            ("releases/4.lock", &edited),
            ("releases/5.yml", &wheels("5")),
        ]);
        list(&profiles.unwrap(), "aio1", Some("2"))
    }

    #[test]
    fn every_release_is_there_whatever_its_lock_is() {
        let text = console::strip_ansi_codes(&table(&listed())).into_owned();
        insta::assert_snapshot!(text, @r"
        RELEASE  OPENSTACK FROM                                         CHOSEN      SUMMARY
        1        packages of trixie                                     new clouds  One
        2        wheels, 1 distributions as of 2026-11-01               aio1        Of wheels
        3        wheels, 1 distributions as of 2026-10-20               -           Of wheels
        4        wheels, but its lock is broken: it was edited by hand  -           Of wheels
        5        wheels, but it has no lock                             -           Of wheels
        ");
    }

    #[test]
    fn programs_are_told_the_same() {
        let listed = listed();
        let told = |number: usize| serde_json::to_value(&listed[number]).unwrap();
        assert_eq!(
            told(0),
            serde_json::json!({
                "release": "1", "summary": "One", "suite": "trixie", "origin": "packages", "new_clouds": true,
            })
        );
        assert_eq!(
            told(1)["lock"],
            serde_json::json!({"state": "whole", "distributions": 1, "as_of": "2026-11-01"})
        );
        assert_eq!((&told(1)["cloud"], &told(1)["new_clouds"]), (&"aio1".into(), &false.into()));
        assert_eq!(told(3)["lock"]["because"], "it was edited by hand");
        assert_eq!(told(4)["lock"], serde_json::json!({"state": "missing"}));
    }
}
