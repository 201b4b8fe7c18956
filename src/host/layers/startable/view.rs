//! A container as it will be: what systemd and what it starts would find.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::unit_file::Settings;
use crate::host::lookup::{find_in_layers, list_in_layers};
use crate::lxc::bounded;
use crate::model::file::ContainerFile;
use crate::model::startup::Startup;

/// Where systemd looks for units, the first that has one first.
pub(super) const DIRECTORIES: [&str; 3] =
    ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];

/// What is looked for in no layer's file is longer.
const LARGEST_BYTES: u64 = 1 << 20;

/// A name leads to another, and that to the next, at most so often: as in the kernel.
const MAX_NAMES: usize = 40;

/// Directories that are those below `/usr`.
const MERGED: [&str; 4] = ["/bin/", "/sbin/", "/lib/", "/lib64/"];

/// A container as it will be: the layers, and the files that are written into it.
pub(super) struct View<'a> {
    /// Directories on the host, topmost first.
    layers: &'a [PathBuf],
    pub(super) startup: &'a Startup,
    /// What is written, by its path below `/usr` where it stands there by another name.
    written: BTreeMap<String, &'a ContainerFile>,
}

/// What systemd would find under a unit's name.
pub(super) enum Unit {
    /// There, with its settings.
    There(Settings),
    Masked,
    Missing,
}

/// What stands under one name.
enum Named {
    Text(String),
    /// It is another name of that unit.
    Alias(String),
    Masked,
    Missing,
}

impl<'a> View<'a> {
    pub(super) fn new(layers: &'a [PathBuf], startup: &'a Startup) -> Self {
        let written = startup.files.iter().map(|file| (merged(&file.path), file)).collect();
        Self { layers, startup, written }
    }

    /// Whether something is at a path.
    pub(super) fn exists(&self, path: &str) -> io::Result<bool> {
        let path = merged(path.trim_end_matches('/'));
        let below = format!("{path}/");
        let next = self.written.range(path.clone()..).next();
        if next.is_some_and(|(it, _)| *it == path || it.starts_with(&below)) {
            return Ok(true);
        }
        Ok(self.find(&path, true)?.is_some())
    }

    /// Whether somebody may make it before it is needed: whatever is written or runs before speaks of it,
    /// or it is among the data.
    pub(super) fn may_be_made(&self, path: &str, before: &[String]) -> bool {
        let among_data = self.startup.data.iter().any(|data| Path::new(path).starts_with(data));
        let said = before.iter().chain(&self.startup.scripts).any(|text| text.contains(path));
        let mut scripts = self.startup.files.iter().filter(|file| file.mode & 0o111 != 0);
        let speaks = |file: &ContainerFile| String::from_utf8_lossy(&file.content).contains(path);
        among_data || said || scripts.any(speaks)
    }

    /// The text of a file; `None` where there is none.
    pub(super) fn text(&self, path: &str) -> io::Result<Option<String>> {
        let path = merged(path);
        if let Some(file) = self.written.get(&path) {
            return Ok(Some(String::from_utf8_lossy(&file.content).into_owned()));
        }
        let Some(place) = self.find(&path, true)? else { return Ok(None) };
        if !place.symlink_metadata()?.is_file() {
            return Ok(None);
        }
        let content = bounded::beginning(&File::open(place)?, LARGEST_BYTES)?;
        Ok(Some(String::from_utf8_lossy(&content).into_owned()))
    }

    /// Names of what a directory holds.
    pub(super) fn names(&self, directory: &str) -> io::Result<BTreeSet<String>> {
        let mut names = missing_is(list_in_layers(self.layers, Path::new(directory)))?;
        let below = format!("{}/", merged(directory));
        let written = self.written.keys().filter_map(|path| path.strip_prefix(&below));
        names.extend(written.filter(|name| !name.contains('/')).map(str::to_owned));
        Ok(names)
    }

    /// What systemd would find under a name: its file with its drop-ins, or that of another name for it.
    pub(super) fn unit(&self, name: &str) -> io::Result<Unit> {
        let mut names = vec![name.to_owned()];
        while let Some(current) = names.last().filter(|_| names.len() < MAX_NAMES) {
            match self.named(current)? {
                Named::Text(text) => return self.with_drop_ins(&names, &text).map(Unit::There),
                Named::Masked => return Ok(Unit::Masked),
                Named::Alias(other) => names.push(other),
                Named::Missing => match template(current) {
                    Some(template) => names.push(template),
                    None => break,
                },
            }
        }
        let script = name.strip_suffix(".service").map(|stem| format!("/etc/init.d/{stem}"));
        match script {
            Some(script) if self.exists(&script)? => Ok(Unit::There(Settings::default())),
            _ => Ok(Unit::Missing),
        }
    }

    fn named(&self, name: &str) -> io::Result<Named> {
        for directory in DIRECTORIES {
            let path = format!("{directory}/{name}");
            if let Some(target) = self.link(&path)? {
                let (parent, other) = target.rsplit_once('/').unwrap_or(("", &target));
                if target.trim_start_matches("../").trim_start_matches('/') == "dev/null" {
                    // The container takes this mask away.
                    let taken = self.startup.units.iter().any(|unit| unit == name);
                    if taken && directory == DIRECTORIES[0] {
                        continue;
                    }
                    return Ok(Named::Masked);
                }
                let here = !parent.starts_with('/') || DIRECTORIES.contains(&&*merged(parent));
                if here && other != name && !other.is_empty() {
                    return Ok(Named::Alias(other.to_owned()));
                }
            }
            match self.text(&path)? {
                Some(text) if text.is_empty() => return Ok(Named::Masked),
                Some(text) => return Ok(Named::Text(text)),
                None => {}
            }
        }
        Ok(Named::Missing)
    }

    /// Where a symbolic link leads, if nothing is written in its place.
    fn link(&self, path: &str) -> io::Result<Option<String>> {
        if self.written.contains_key(path) {
            return Ok(None);
        }
        let place = self.find(path, false)?.filter(|place| place.is_symlink());
        place.map(|place| Ok(place.read_link()?.to_string_lossy().into_owned())).transpose()
    }

    fn find(&self, path: &str, follow: bool) -> io::Result<Option<PathBuf>> {
        missing_is(find_in_layers(self.layers, Path::new(path), follow))
    }

    /// A unit of these names: its file, and the drop-ins for all of its kind, for names that begin like
    /// one of its own, and for its own.
    fn with_drop_ins(&self, names: &[String], text: &str) -> io::Result<Settings> {
        let mut settings = Settings::default();
        settings.add(text);
        let kind = names.first().and_then(|name| name.rsplit_once('.')).map(|(_, kind)| kind);
        let mut all: Vec<String> = kind.into_iter().map(str::to_owned).collect();
        for name in names.iter().rev() {
            let dashes = name.match_indices('-').map(|(place, _)| &name[..=place]);
            all.extend(dashes.filter_map(|begin| Some(format!("{begin}.{}", kind?))));
            all.push(name.clone());
        }
        // One of the same name in a directory that comes first stands for the other.
        let mut drop_ins = BTreeMap::new();
        for name in all {
            for directory in DIRECTORIES.iter().rev() {
                let directory = format!("{directory}/{name}.d");
                for name in self.names(&directory)?.into_iter().filter(|it| it.ends_with(".conf")) {
                    drop_ins.insert(name.clone(), format!("{directory}/{name}"));
                }
            }
        }
        for path in drop_ins.values() {
            settings.add(&self.text(path)?.unwrap_or_default());
        }
        Ok(settings)
    }
}

/// The path below `/usr` of what stands there by another name.
fn merged(path: &str) -> String {
    let is_merged = MERGED.iter().any(|directory| format!("{path}/").starts_with(directory));
    if is_merged { format!("/usr{path}") } else { path.to_owned() }
}

/// What cannot be found because its name leads nowhere, or can be no name, is not there.
fn missing_is<T: Default>(found: io::Result<T>) -> io::Result<T> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(T::default()),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::LOOP | Errno::NAMETOOLONG) => Ok(T::default()),
            _ => Err(error),
        },
        found => found,
    }
}

/// `getty@.service` of `getty@tty1.service`.
fn template(name: &str) -> Option<String> {
    let (stem, rest) = name.split_once('@')?;
    let (instance, suffix) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{stem}@.{suffix}"))
}

/// Whether what is at a path comes from a layer or is written before units start.
pub(super) fn stays(path: &str) -> bool {
    let written_out = !path.contains(['$', '%', '*', '?', '[', '\\', '"', '\'']);
    let path = merged(path);
    written_out && ["/etc/", "/usr/", "/opt/"].iter().any(|directory| path.starts_with(directory))
}
