//! All profiles: those built into the binary, overlaid by the user's.
//!
//! A file of `<config-dir>/profiles/` replaces the built-in file of the same relative path, or adds
//! one. Nothing is merged: what a file says is all there is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

use super::profile::{ContainerKind, ServiceProfile};
use super::release::{Release, Releases};
use super::scenario::Scenario;
use super::{embedded, yaml};

mod releases;

/// Everything that stands in `profiles/`.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// Services by name, in alphabetical order, as the newest release has them, or the one that
    /// [`Self::of_releases`] was asked for.
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
        (profiles.of_releases(Releases::of_all(&newest.unwrap_or_default())), errors)
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

    #[test]
    fn a_missing_configuration_directory_is_no_error() {
        assert!(Profiles::load(Path::new("/nonexistent/aio")).is_ok());
    }
}
