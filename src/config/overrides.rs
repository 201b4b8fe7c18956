//! `<config-dir>/overrides/`: the user's own lines for rendered configuration files.
//!
//! | file | reaches |
//! |---|---|
//! | `global.conf` | the main file of every service |
//! | `SERVICE.conf` | the main file of that service, in every container |
//! | `SERVICE/FILE` | another file of that service, by its name: `neutron/ml2_conf.ini` |
//! | `SERVICE/UNIT.conf` | the main file of that service, in containers that run the unit |
//! | `KIND/MEMBER/SERVICE.conf`, `KIND/MEMBER/FILE` | the same in one container |
//!
//! They are merged in that order, the most particular last. A service's main file is the one that
//! is called `SERVICE.conf` or, when none is, every file of the service that takes overrides. A
//! file that could never reach anything is an error; one for a service, kind or member that this
//! cloud lacks is a warning. What stands in the files, section and key, is the user's own choice.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

use super::load::{Profiles, list, read_text};
use super::nearest::{fold, suggestion, unknown};
use super::oslo::Ini;
use super::profile::{ContainerKind, File, Merge, ServiceProfile};

#[derive(Clone, Debug, Default)]
pub struct Overrides {
    files: Vec<OverrideFile>,
}

#[derive(Clone, Debug)]
pub struct OverrideFile {
    /// Path below `overrides/`, in its parts.
    parts: Vec<String>,
    /// What errors and explanations call it.
    pub shown: String,
    pub ini: Ini,
}

/// A file of one container, into which overrides may be merged.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The service that has the container's kind.
    pub service: &'a ServiceProfile,
    pub kind: &'a str,
    pub member: u32,
    /// The units that may run in it.
    pub units: &'a [String],
    /// The file's name, without its directories.
    pub file: &'a str,
}

impl Overrides {
    /// Reads the directory; a missing one has no overrides.
    pub fn load(directory: &Path) -> Result<Self> {
        let mut overrides = Self::default();
        overrides.read(directory, &mut Vec::new())?;
        Ok(overrides)
    }

    fn read(&mut self, directory: &Path, parts: &mut Vec<String>) -> Result<()> {
        for path in list(directory)? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            parts.push(name.unwrap_or_default());
            if path.is_dir() && parts.len() < 3 {
                self.read(&path, parts)?;
            } else {
                let shown = path.display().to_string();
                self.files.push(OverrideFile::parse(parts.clone(), shown, &read_text(&path)?)?);
            }
            parts.pop();
        }
        Ok(())
    }

    /// Overrides made of these texts, for tests: path below `overrides/` and text.
    #[cfg(test)]
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let files = texts.into_iter().map(|(path, text)| {
            let parts = path.split('/').map(str::to_owned).collect();
            OverrideFile::parse(parts, format!("overrides/{path}"), text)
        });
        Ok(Self { files: files.collect::<Result<_>>()? })
    }

    /// Refuses a file that nothing could use, and returns a warning for each that reaches none of
    /// `targets`: the files of this cloud that take overrides.
    pub fn check<'a>(
        &self,
        profiles: &Profiles,
        targets: impl IntoIterator<Item = Target<'a>>,
    ) -> Result<Vec<String>> {
        let targets: Vec<Target<'_>> = targets.into_iter().collect();
        let mut warnings = Vec::new();
        for file in &self.files {
            file.check(profiles)?;
            if !targets.iter().any(|target| file.reach(target).is_some()) {
                warnings.push(format!("{}: not used: {}", file.shown, file.lack(&targets)));
            }
        }
        Ok(warnings)
    }

    /// What reaches a file, the most particular last.
    pub fn reaching(&self, target: &Target<'_>) -> Vec<&OverrideFile> {
        let ranked = self.files.iter().filter_map(|file| Some((file.reach(target)?, file)));
        let mut ranked: Vec<(u8, &OverrideFile)> = ranked.collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, file)| file).collect()
    }
}

impl OverrideFile {
    fn parse(parts: Vec<String>, shown: String, text: &str) -> Result<Self> {
        let ini = Ini::parse_override(text, &shown).map_err(|malformed| {
            let message = format!("{shown}:{}: {}", malformed.line, malformed.reason);
            Error::new(ErrorKind::Config, message)
        })?;
        Ok(Self { parts, shown, ini })
    }

    fn parts(&self) -> Vec<&str> {
        self.parts.iter().map(String::as_str).collect()
    }

    /// Returns how particular it is for that file, if it reaches it.
    fn reach(&self, target: &Target<'_>) -> Option<u8> {
        let main = is_main(target.service, target.file);
        let own = format!("{}.conf", target.service.service);
        match self.parts().as_slice() {
            ["global.conf"] => main.then_some(0),
            [file] => (*file == own && main).then_some(1),
            [service, file] if *service == target.service.service => {
                if *file == target.file {
                    return Some(2);
                }
                let unit = format!("{}.service", file.strip_suffix(".conf")?);
                (main && target.units.contains(&unit)).then_some(3)
            }
            [kind, member, file]
                if same_name(kind, target.kind) && *member == target.member.to_string() =>
            {
                (*file == target.file || (*file == own && main)).then_some(4)
            }
            _ => None,
        }
    }

    /// Whether any cloud could use it.
    fn check(&self, profiles: &Profiles) -> Result<()> {
        match self.parts().as_slice() {
            ["global.conf"] => Ok(()),
            [file] => self.check_service_file(profiles, file),
            [service, file] => {
                let Some(profile) = profiles.services.get(*service) else {
                    return Err(self.unknown("service", service, service_names(profiles)));
                };
                let known = names_in_service(profile);
                self.expect(file, "unit or file", &format!("service `{service}`"), known)
            }
            [kind, member, file] => {
                let found = profiles.kinds().find(|(name, ..)| same_name(name, kind));
                let Some((name, service, definition)) = found else {
                    let known = profiles.kinds().map(|(name, ..)| name.to_owned()).collect();
                    return Err(self.unknown("container kind", kind, known));
                };
                if member.parse::<u32>().ok().filter(|member| *member > 0).is_none() {
                    let message =
                        format!("{}: `{member}` is not the number of a member", self.shown);
                    return Err(Error::new(ErrorKind::Config, message).hint(format!(
                        "For example: overrides/{name}/1/{}.conf",
                        service.service
                    )));
                }
                let known = names_in_kind(service, definition);
                self.expect(file, "file", &format!("container kind `{name}`"), known)
            }
            _ => Err(Error::new(
                ErrorKind::Config,
                format!("{}: nothing reads this file", self.shown),
            )),
        }
    }

    fn check_service_file(&self, profiles: &Profiles, file: &str) -> Result<()> {
        let stem = file.strip_suffix(".conf").unwrap_or(file);
        if file.ends_with(".conf") && profiles.services.contains_key(stem) {
            return self.takes_overrides(&profiles.services[stem]);
        }
        let mut known = service_names(profiles);
        known.insert("global".to_owned());
        let error = self.unknown("service", stem, known);
        // A unit or a file at the top belongs below its service.
        let below = profiles.services.values().find(|service| {
            let names = names_in_service(service);
            names.contains(file) || names.contains(&format!("{stem}.conf"))
        });
        let below = below.map(|it| format!("It may belong at `{}/{file}`.", it.service));
        Err(error.hints(below))
    }

    fn takes_overrides(&self, service: &ServiceProfile) -> Result<()> {
        if ini_files(service).next().is_some() {
            return Ok(());
        }
        let message =
            format!("{}: no file of service `{}` takes overrides", self.shown, service.service);
        Err(Error::new(ErrorKind::Config, message))
    }

    fn expect(&self, name: &str, what: &str, place: &str, known: BTreeSet<String>) -> Result<()> {
        if known.contains(name) {
            return Ok(());
        }
        let message =
            format!("{}: {place} has no {what} `{name}` that takes overrides", self.shown);
        let error = Error::new(ErrorKind::Config, message);
        Err(error.hints(suggestion(name, known.iter().map(String::as_str))))
    }

    fn unknown(&self, what: &str, name: &str, known: BTreeSet<String>) -> Error {
        unknown(&self.shown, what, name, known.iter().map(String::as_str))
    }

    /// What the cloud lacks to use it.
    fn lack(&self, targets: &[Target<'_>]) -> String {
        let has_kind = |kind: &str| targets.iter().any(|target| same_name(kind, target.kind));
        let has_service =
            |service: &str| targets.iter().any(|target| service == target.service.service);
        match self.parts().as_slice() {
            [kind, member, _] if has_kind(kind) => {
                format!("this cloud has no member {member} of `{kind}`")
            }
            [kind, _, _] => format!("this cloud has no `{kind}`"),
            [service, file] if has_service(service) => {
                format!("no container of `{service}` in this cloud has or runs what `{file}` names")
            }
            [name, ..] => {
                format!(
                    "this cloud has no service `{}`",
                    name.strip_suffix(".conf").unwrap_or(name)
                )
            }
            [] => "it has no name".to_owned(),
        }
    }
}

/// `heat-engine` and `heat_engine` are the same kind, as on the command line.
fn same_name(written: &str, kind: &str) -> bool {
    fold(written) == fold(kind)
}

fn service_names(profiles: &Profiles) -> BTreeSet<String> {
    profiles.services.keys().cloned().collect()
}

/// The files of a service that take overrides.
fn ini_files(service: &ServiceProfile) -> impl Iterator<Item = &File> {
    let files = service.containers.values().flat_map(|kind| &kind.files);
    files.filter(|file| file.merge == Merge::Ini)
}

/// The last part of a file's path in the container.
pub fn file_name(file: &File) -> &str {
    file.path.rsplit('/').next().unwrap_or(&file.path)
}

fn is_main(service: &ServiceProfile, name: &str) -> bool {
    let own = format!("{}.conf", service.service);
    name == own || !ini_files(service).any(|file| file_name(file) == own)
}

/// What may stand below `overrides/SERVICE/`.
fn names_in_service(service: &ServiceProfile) -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        ini_files(service).map(|file| file_name(file).to_owned()).collect();
    for kind in service.containers.values() {
        if kind.files.iter().any(|file| file.merge == Merge::Ini) {
            let units = kind.units.iter().filter_map(|unit| unit.name.strip_suffix(".service"));
            names.extend(units.map(|unit| format!("{unit}.conf")));
        }
    }
    names
}

/// What may stand below `overrides/KIND/MEMBER/`.
fn names_in_kind(service: &ServiceProfile, kind: &ContainerKind) -> BTreeSet<String> {
    let files = kind.files.iter().filter(|file| file.merge == Merge::Ini);
    let mut names: BTreeSet<String> = files.map(|file| file_name(file).to_owned()).collect();
    if names.iter().any(|name| is_main(service, name)) {
        names.insert(format!("{}.conf", service.service));
    }
    names
}

#[cfg(test)]
#[path = "overrides_tests.rs"]
mod tests;
