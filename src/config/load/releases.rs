//! Releases as they are with what they extend, and services as a release has them.

use serde_json::{Map, Value};

use super::{Profiles, parse};
use crate::config::nearest::suggestion;
use crate::config::profile::ServiceProfile;
use crate::config::release::{Release, Releases};
use crate::error::{Error, ErrorKind, Result, ResultExt};

impl Profiles {
    /// The release that a new cloud has.
    pub fn newest_release(&self) -> Option<&Release> {
        let chosen = self.releases.values().filter(|release| !release.by_name);
        chosen.max_by_key(|release| &release.release)
    }

    /// The profiles with each kind as it is in its release.
    #[must_use]
    pub fn of_releases(mut self, releases: Releases<'_>) -> Self {
        self.services.clone_from(&self.written);
        self.services.values_mut().for_each(|service| complete(service, releases));
        self
    }

    /// Fills releases from those that they extend, and gives each its lock.
    pub(super) fn extend_releases(&mut self) -> Vec<Error> {
        let names: Vec<String> = self.releases.keys().cloned().collect();
        let wholes: Vec<Result<Release>> = names.iter().map(|name| self.extended(name)).collect();
        let mut errors = Vec::new();
        for (name, whole) in names.into_iter().zip(wholes) {
            match whole {
                Ok(mut whole) => {
                    if let Some(python) = &mut whole.python {
                        python.lock = self.locks.get(&name).cloned().unwrap_or_default();
                    }
                    self.releases.insert(name, whole);
                }
                Err(error) => errors.push(error),
            }
        }
        errors
    }

    /// A release with what it takes from the one that it extends, and that from another.
    fn extended(&self, name: &str) -> Result<Release> {
        let file = |name: &str| self.files.get(&format!("releases/{name}.yml"));
        let doing = || {
            let shown = self.shown_path(&format!("releases/{name}.yml"));
            format!("{shown}: see what it extends")
        };
        let mut whole = Map::new();
        let (mut seen, mut next) = (Vec::new(), Some(name.to_owned()));
        while let Some(name) = next.take() {
            let known = self.releases.get(&name).filter(|_| !seen.contains(&name));
            let (Some(known), Some(file)) = (known, file(&name)) else {
                let names = self.releases.keys().map(String::as_str);
                let others = names.filter(|other| !seen.iter().any(|seen| seen == other));
                return Err(Error::new(ErrorKind::Config, doing())
                    .because(format!("there is no other release `{name}`"))
                    .hints(suggestion(&name, others)));
            };
            fill(&mut whole, parse(file)?);
            next.clone_from(&known.extends);
            seen.push(name);
        }
        serde_json::from_value(Value::Object(whole)).doing(doing)
    }
}

/// Adds what is missing of a release, of its `python` too.
fn fill(whole: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (whole.get_mut(&key), value) {
            (Some(Value::Object(there)), Value::Object(more)) if key == "python" => {
                more.into_iter().for_each(|(key, value)| {
                    there.entry(key).or_insert(value);
                });
            }
            (Some(_), _) => {}
            (None, value) => {
                whole.insert(key, value);
            }
        }
    }
}

/// Writes out what follows from what a service's units run.
fn complete(profile: &mut ServiceProfile, releases: Releases<'_>) {
    let ServiceProfile { service, containers, dev, .. } = profile;
    for (name, kind) in containers {
        kind.complete(service, releases.of(name));
        for unit in &kind.units {
            let dev = dev.as_mut().and_then(|dev| dev.units.get_mut(&unit.name));
            if let Some(dev) = dev {
                unit.complete(service, dev);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &str = "release: '2025.1'\nsummary: x\nsuite: trixie\nbase: {packages: [systemd]}\npython_path: /a\n";
    const WHEELS: &str = "release: '2026.2'\nsummary: y\nextends: '2025.1'\nby_name: true\npython_path: /b\n\
        python: {version: '3.13', home: /opt/openstack, requirements: [uv], as_of: '2026-10-20'}\n";
    const SERVICE: &str = "
service: heat
summary: x
containers:
  engine:
    summary: x
    packages: [curl]
    packaged: [heat-engine]
    users: { heat: [kvm] }
    layer_script: 'true'
    memory: { idle_mib: 1, limit_mib: 2 }
    units:
      - { name: heat-engine.service, runs: { worker: heat-engine } }
      - { name: api.service, only: packages, runs: { daemon: api } }
      - { name: api.service, only: wheels, runs: { wsgi: 'a:b', port: 1, user: other } }
      - { name: agent.service, runs: { program: agent, arguments: /etc/x, user: root } }
      - { name: nginx.service, runs: { program: nginx } }
    files:
      - { path: /packaged, template: x, only: packages }
      - { path: /wheels, template: x, only: wheels }
";

    fn releases(lock: &str) -> Profiles {
        Profiles::from_texts([
            ("releases/2025.1.yml", PACKAGES),
            ("releases/2026.2.yml", WHEELS),
            ("releases/2026.2.lock", lock),
            ("services/heat.yml", SERVICE),
        ])
        .unwrap()
    }

    #[test]
    fn a_release_is_as_the_one_that_it_extends_but_for_what_it_says() {
        let profiles = releases("text");
        let release = &profiles.releases["2026.2"];
        assert_eq!((release.suite.as_str(), release.summary.as_str()), ("trixie", "y"));
        assert_eq!(release.base.packages, ["systemd"]);
        assert_eq!(release.python_path, "/b");
        assert_eq!(release.python.as_ref().unwrap().lock, "text");
        assert_eq!(profiles.newest_release().unwrap().release, "2025.1", "2026.2 is by name");
        let wrong = WHEELS.replace("extends: '2025.1'", "extends: '2025.2'");
        let texts = [("releases/2025.1.yml", PACKAGES), ("releases/2026.2.yml", wrong.as_str())];
        let error = Profiles::from_texts(texts).unwrap_err();
        assert_eq!(error.message, "profiles/releases/2026.2.yml: see what it extends");
        assert_eq!(error.causes, ["there is no other release `2025.2`"]);
        assert_eq!(error.hints, ["did you mean `2025.1`?"]);
    }

    #[test]
    fn a_release_may_extend_one_that_extends_another_but_not_itself() {
        let third =
            "release: '2026.1'\nsummary: z\nextends: '2026.2'\npython: {as_of: '2026-04-01'}\n";
        let texts = |first: &'static str| {
            let all = [("releases/2025.1.yml", first), ("releases/2026.1.yml", third)];
            Profiles::from_texts(all.into_iter().chain([("releases/2026.2.yml", WHEELS)]))
        };
        let profiles = texts(PACKAGES).unwrap();
        let release = &profiles.releases["2026.1"];
        let python = release.python.as_ref().unwrap();
        assert_eq!((python.home.as_str(), python.as_of.as_str()), ("/opt/openstack", "2026-04-01"));
        assert_eq!((release.suite.as_str(), release.by_name), ("trixie", true));
        let circle = "release: '2025.1'\nsummary: x\nextends: '2026.1'\n";
        let error = texts(circle).unwrap_err();
        assert!(error.causes[0].starts_with("there is no other release"), "{error:?}");
    }

    #[test]
    fn some_things_are_there_for_some_series() {
        let release = Release { release: "2025.2".to_owned(), ..Release::default() };
        assert!(release.has(None, Some("2025.2"), Some("2025.2")));
        assert!(!release.has(None, Some("2026.1"), None));
        assert!(!release.has(None, None, Some("2025.1")));
        let wheels =
            Release { release: "x".to_owned(), series: Some("2025.1".to_owned()), ..release };
        assert!(wheels.has(None, None, Some("2025.1")));
    }

    #[test]
    fn a_kind_has_what_its_release_has_no_packages_for() {
        let profiles = releases("");
        let wheels = profiles.releases["2026.2"].clone();
        let of = |profiles: &Profiles| {
            let kind = profiles.kind("engine").unwrap().1.clone();
            let paths: Vec<String> = kind.files.iter().map(|file| file.path.clone()).collect();
            (kind, paths)
        };
        let (kind, paths) = of(&profiles);
        assert_eq!(kind.packages, ["curl", "heat-engine"]);
        assert!(kind.users.is_empty() && kind.layer_script.is_empty());
        assert!(paths.contains(&"/packaged".to_owned()) && !paths.contains(&"/wheels".to_owned()));
        assert!(paths.contains(&"/etc/default/api".to_owned()));
        assert!(!paths.contains(&"/etc/systemd/system/heat-engine.service".to_owned()));

        let profiles = profiles.of_releases(Releases::of_all(&wheels));
        let (kind, paths) = of(&profiles);
        assert_eq!(kind.packages, ["curl"]);
        assert_eq!(kind.layer_script, "true");
        let users: Vec<_> =
            kind.users.iter().map(|(name, groups)| (name.as_str(), groups.len())).collect();
        assert_eq!(users, [("heat", 1), ("other", 0)], "root is there");
        assert!(paths.contains(&"/wheels".to_owned()) && !paths.contains(&"/packaged".to_owned()));
        assert!(!paths.iter().any(|path| path.starts_with("/etc/default/")), "{paths:?}");
        for unit in ["heat-engine", "api", "agent"] {
            assert!(paths.contains(&format!("/etc/systemd/system/{unit}.service")), "{paths:?}");
        }
        assert!(!paths.contains(&"/etc/systemd/system/nginx.service".to_owned()));
        let command = |index: usize| kind.units[index].command("heat");
        assert_eq!(
            command(0).unwrap(),
            "/usr/local/bin/heat-engine --config-file=/etc/heat/heat.conf"
        );
        assert_eq!(
            command(1).unwrap(),
            "/usr/bin/uwsgi_python3 --ini /etc/heat/api-uwsgi.ini $AIO_DEV_ARGUMENTS"
        );
        assert_eq!(command(2).unwrap(), "/usr/local/bin/agent /etc/x");
        assert_eq!(command(3), None);
    }
}
