//! All profiles: those built into the binary, overlaid by the user's.
//!
//! A file of `<config-dir>/profiles/` replaces the built-in file of the same relative path, or adds
//! one. Nothing is merged: what a file says is all there is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result, ResultExt};

use super::nearest::suggestion;
use super::profile::{ContainerKind, ServiceProfile};
use super::release::Release;
use super::scenario::Scenario;
use super::{embedded, yaml};

/// Everything that stands in `profiles/`.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// Services by name, in alphabetical order, as the newest release has them, or the one that
    /// [`Self::of_release`] was asked for.
    pub services: IndexMap<String, ServiceProfile>,
    /// The same as their authors wrote them.
    written: IndexMap<String, ServiceProfile>,
    /// Locks of releases, by the release's name.
    locks: BTreeMap<String, String>,
    pub scenarios: BTreeMap<String, Scenario>,
    pub releases: BTreeMap<String, Release>,
    /// Templates by their path below `profiles/templates/`.
    pub templates: BTreeMap<String, String>,
    /// Every file, by its path below `profiles/`: for errors and explanations.
    files: BTreeMap<String, SourceFile>,
}

#[derive(Clone, Debug)]
struct SourceFile {
    /// What errors call it.
    shown: String,
    text: String,
}

impl Profiles {
    /// The built-in profiles overlaid by `<config-dir>/profiles/`.
    pub fn load(config_dir: &Path) -> Result<Self> {
        whole(Self::load_what_can_be(config_dir)?)
    }

    /// As [`Self::load`], without the files that are wrong, and what is wrong with each.
    ///
    /// # Errors
    /// When a file cannot be read at all.
    pub fn load_what_can_be(config_dir: &Path) -> Result<(Self, Vec<Error>)> {
        let mut files = built_in_files();
        let own = config_dir.join("profiles");
        read_directory(&own, &own, &mut files)?;
        Ok(Self::from_files(files))
    }

    pub fn built_in() -> Result<Self> {
        whole(Self::from_files(built_in_files()))
    }

    /// Profiles made of these files alone: path below `profiles/` and text.
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let files = texts.into_iter().map(|(path, text)| {
            let file = SourceFile { shown: format!("profiles/{path}"), text: text.to_owned() };
            (path.to_owned(), file)
        });
        whole(Self::from_files(files.collect()))
    }

    fn from_files(files: BTreeMap<String, SourceFile>) -> (Self, Vec<Error>) {
        let mut profiles = Self::default();
        let added = files.iter().filter_map(|(path, file)| profiles.add(path, file).err());
        let mut errors: Vec<Error> = added.collect();
        profiles.files = files;
        errors.extend(profiles.extend_releases());
        let newest = profiles.newest_release().cloned();
        (profiles.of_release(&newest.unwrap_or_default()), errors)
    }

    /// The release that a new cloud has.
    pub fn newest_release(&self) -> Option<&Release> {
        let chosen = self.releases.values().filter(|release| !release.by_name);
        chosen.max_by_key(|release| &release.release)
    }

    /// The profiles as they are in a release.
    #[must_use]
    pub fn of_release(mut self, release: &Release) -> Self {
        self.services.clone_from(&self.written);
        self.services.values_mut().for_each(|service| complete(service, release));
        self
    }

    /// Fills releases from those that they extend, and gives each its lock.
    fn extend_releases(&mut self) -> Vec<Error> {
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

    fn add(&mut self, path: &str, file: &SourceFile) -> Result<()> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["templates", rest @ ..] if !rest.is_empty() => {
                self.templates.insert(rest.join("/"), file.text.clone());
            }
            ["services", name] => {
                let profile: ServiceProfile = parse(file)?;
                expect_stem(file, name, "service", &profile.service)?;
                self.written.insert(profile.service.clone(), profile);
            }
            ["scenarios", name] => {
                let scenario: Scenario = parse(file)?;
                expect_stem(file, name, "scenario", &scenario.scenario)?;
                self.scenarios.insert(scenario.scenario.clone(), scenario);
            }
            ["releases", name] if name.ends_with(".lock") => {
                let release = name.trim_end_matches(".lock").to_owned();
                self.locks.insert(release, file.text.clone());
            }
            ["releases", name] => {
                let release: Release = parse(file)?;
                expect_stem(file, name, "release", &release.release)?;
                self.releases.insert(release.release.clone(), release);
            }
            [name] if name.ends_with(".md") => {}
            _ => return Err(misplaced(file)),
        }
        Ok(())
    }

    /// Every container kind, with the service that defines it.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &ServiceProfile, &ContainerKind)> {
        self.services.values().flat_map(|service| {
            service.containers.iter().map(move |(name, kind)| (name.as_str(), service, kind))
        })
    }

    /// A container kind, with the service that defines it.
    pub fn kind(&self, name: &str) -> Option<(&ServiceProfile, &ContainerKind)> {
        self.kinds().find(|(kind, ..)| *kind == name).map(|(_, service, kind)| (service, kind))
    }

    /// What errors call the file at `path` (below `profiles/`): the built-in one or the user's.
    pub fn shown_path(&self, path: &str) -> String {
        self.files.get(path).map_or_else(|| format!("profiles/{path}"), |file| file.shown.clone())
    }

    /// The same with the line on which `word` first stands, if it does.
    pub fn shown_line(&self, path: &str, word: &str) -> String {
        let line = self.files.get(path).and_then(|file| yaml::line_of_word(&file.text, word));
        let shown = self.shown_path(path);
        line.map_or(shown.clone(), |line| format!("{shown}:{line}"))
    }
}

/// The profiles, unless something is wrong with one.
fn whole((profiles, errors): (Profiles, Vec<Error>)) -> Result<Profiles> {
    errors.into_iter().next().map_or(Ok(profiles), Err)
}

fn built_in_files() -> BTreeMap<String, SourceFile> {
    let file = |(path, text): (String, &str)| {
        let shown = format!("profiles/{path}");
        (path, SourceFile { shown, text: text.to_owned() })
    };
    embedded::profiles().into_iter().map(file).collect()
}

fn parse<T: DeserializeOwned>(file: &SourceFile) -> Result<T> {
    yaml::parse(&file.text, &file.shown)
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
fn complete(profile: &mut ServiceProfile, release: &Release) {
    let ServiceProfile { service, containers, dev, .. } = profile;
    for kind in containers.values_mut() {
        kind.complete(service, release);
        for unit in &kind.units {
            let dev = dev.as_mut().and_then(|dev| dev.units.get_mut(&unit.name));
            if let Some(dev) = dev {
                unit.complete(service, dev);
            }
        }
    }
}

/// A profile is found by its file's name: the two must agree.
fn expect_stem(file: &SourceFile, file_name: &str, key: &str, value: &str) -> Result<()> {
    if file_name == format!("{value}.yml") {
        return Ok(());
    }
    let line = yaml::top_level_line(&file.text, key).unwrap_or(1);
    let message = format!("{}:{line}: {key} `{value}` stands in `{file_name}`", file.shown);
    Err(Error::new(ErrorKind::Config, message)
        .hint(format!("Name the file `{value}.yml` or change `{key}:`.")))
}

fn misplaced(file: &SourceFile) -> Error {
    Error::new(ErrorKind::Config, format!("{}: nothing reads this file", file.shown)).hint(
        "Profiles are `services/NAME.yml`, `scenarios/NAME.yml`, `releases/NAME.yml` and \
         `templates/DIRECTORY/NAME`.",
    )
}

/// Reads the user's files below `directory`; editors' leftovers (hidden files, `~`) are not read.
fn read_directory(
    root: &Path,
    directory: &Path,
    files: &mut BTreeMap<String, SourceFile>,
) -> Result<()> {
    for path in list(directory)? {
        if path.is_dir() {
            read_directory(root, &path, files)?;
            continue;
        }
        let text = read_text(&path)?;
        if let Some(relative) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            let shown = path.display().to_string();
            files.insert(relative.to_owned(), SourceFile { shown, text });
        }
    }
    Ok(())
}

/// The entries of a directory in order, without editors' leftovers; none when it is missing.
pub(super) fn list(directory: &Path) -> Result<Vec<std::path::PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorKind::Config, format!("read directory `{}`", directory.display()))
            .because(error)
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !name.ends_with('~') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// A file of the configuration directory as text.
pub(super) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| {
        Error::new(ErrorKind::Config, format!("read `{}`", path.display())).because(error)
    })
}

/// The same of a file that may be missing. One that may not be read is an error all the same.
pub(super) fn read_optional(path: &Path) -> Result<Option<String>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => read_text(path).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = "service: tiny\nsummary: x\ncontainers: {}\n";

    #[test]
    fn a_users_file_replaces_or_adds() {
        let directory = tempfile::tempdir().unwrap();
        let services = directory.path().join("profiles/services");
        fs::create_dir_all(&services).unwrap();
        fs::write(services.join("tiny.yml"), TINY).unwrap();
        fs::write(services.join(".tiny.yml.swp"), "\u{0}").unwrap();
        let templates = directory.path().join("profiles/templates/tiny/deep");
        fs::create_dir_all(&templates).unwrap();
        fs::write(templates.join("a.conf"), "x\n").unwrap();
        let profiles = Profiles::load(directory.path()).unwrap();
        assert_eq!(profiles.services["tiny"].summary, "x");
        assert_eq!(profiles.templates["tiny/deep/a.conf"], "x\n");
        let shown = profiles.shown_line("services/tiny.yml", "summary");
        assert_eq!(shown, format!("{}/tiny.yml:2", services.display()));
    }

    #[test]
    fn the_file_is_named_after_the_service() {
        let error = Profiles::from_texts([("services/small.yml", TINY)]).unwrap_err();
        assert_eq!(
            error.message,
            "profiles/services/small.yml:1: service `tiny` stands in `small.yml`"
        );
    }

    #[test]
    fn a_file_that_nothing_reads_is_an_error() {
        let error = Profiles::from_texts([("tiny.yml", TINY)]).unwrap_err();
        assert_eq!(error.message, "profiles/tiny.yml: nothing reads this file");
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let text = "service: tiny\nsummary: x\ncontainers:\n  tiny:\n    summary: x\n    pakages: [a]\n    memory: {idle_mib: 1, limit_mib: 2}\n";
        let error = Profiles::from_texts([("services/tiny.yml", text)]).unwrap_err();
        assert_eq!(
            error.message,
            "profiles/services/tiny.yml:6:5: containers.tiny: unknown field `pakages`"
        );
        assert_eq!(error.hints, ["did you mean `packages`?"]);
    }

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

        let profiles = profiles.of_release(&wheels);
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

    #[test]
    fn a_missing_configuration_directory_is_no_error() {
        assert!(Profiles::load(Path::new("/nonexistent/aio")).is_ok());
    }
}
