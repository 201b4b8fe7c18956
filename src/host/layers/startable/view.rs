//! A container as it will be: what systemd and what it starts would find.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::unit_file::Settings;
use crate::host::lookup::{find_in_layers, list_in_layers};
use crate::lxc::bounded;
use crate::model::startup::Startup;

/// Where systemd looks for units, the first that has one first.
pub(super) const DIRECTORIES: [&str; 3] =
    ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];

/// What is looked for in no layer's file is longer.
const LARGEST_BYTES: u64 = 1 << 20;

/// A container as it will be: the layers, and the files that are written into it.
pub(super) struct View<'a> {
    /// Directories on the host, topmost first.
    pub(super) layers: &'a [PathBuf],
    pub(super) startup: &'a Startup,
}

/// What systemd would find under a unit's name.
pub(super) enum Unit {
    /// There, with its settings.
    There(Settings),
    Masked,
    Missing,
}

impl View<'_> {
    /// Whether something is at a path.
    pub(super) fn exists(&self, path: &str) -> io::Result<bool> {
        let below = format!("{}/", path.trim_end_matches('/'));
        let mut written = self.startup.files.iter().map(|file| &file.path);
        if written.any(|it| it == path || it.starts_with(&below)) {
            return Ok(true);
        }
        Ok(find_in_layers(self.layers, Path::new(path), true)?.is_some())
    }

    /// The text of a file; `None` where there is none.
    pub(super) fn text(&self, path: &str) -> io::Result<Option<String>> {
        if let Some(file) = self.startup.files.iter().find(|file| file.path == path) {
            return Ok(Some(String::from_utf8_lossy(&file.content).into_owned()));
        }
        let Some(place) = find_in_layers(self.layers, Path::new(path), true)? else {
            return Ok(None);
        };
        if !place.symlink_metadata()?.is_file() {
            return Ok(None);
        }
        let content = bounded::beginning(&File::open(place)?, LARGEST_BYTES)?;
        Ok(Some(String::from_utf8_lossy(&content).into_owned()))
    }

    /// Names of what a directory holds.
    pub(super) fn names(&self, directory: &str) -> io::Result<BTreeSet<String>> {
        let mut names = list_in_layers(self.layers, Path::new(directory))?;
        let below = format!("{directory}/");
        let written = self.startup.files.iter().filter_map(|file| file.path.strip_prefix(&below));
        names.extend(written.filter(|name| !name.contains('/')).map(str::to_owned));
        Ok(names)
    }

    /// What systemd would find under a name: its file with its drop-ins, or that of another name for it.
    pub(super) fn unit(&self, name: &str) -> io::Result<Unit> {
        let template = template(name);
        for name in [Some(name), template.as_deref()].into_iter().flatten() {
            for directory in DIRECTORIES {
                let path = format!("{directory}/{name}");
                let link = self.link(&path)?;
                match link.as_deref() {
                    // The container takes this mask away.
                    Some("/dev/null") if self.startup.units.iter().any(|unit| unit == name) => {
                        continue;
                    }
                    Some("/dev/null") => return Ok(Unit::Masked),
                    Some(target) => {
                        let other = target.rsplit('/').next().unwrap_or_default();
                        // Of a name that is another's, all that is said of that other counts.
                        if other != name && !other.is_empty() {
                            return self.unit(other);
                        }
                    }
                    None => {}
                }
                match self.text(&path)? {
                    Some(text) if text.trim().is_empty() => return Ok(Unit::Masked),
                    Some(text) => return self.with_drop_ins(name, &text).map(Unit::There),
                    None => {}
                }
            }
        }
        let script = name.strip_suffix(".service").map(|stem| format!("/etc/init.d/{stem}"));
        match script {
            Some(script) if self.exists(&script)? => Ok(Unit::There(Settings::default())),
            _ => Ok(Unit::Missing),
        }
    }

    /// Where a symbolic link leads, if nothing is written in its place.
    fn link(&self, path: &str) -> io::Result<Option<String>> {
        if self.startup.files.iter().any(|file| file.path == path) {
            return Ok(None);
        }
        let place = find_in_layers(self.layers, Path::new(path), false)?;
        let Some(place) = place.filter(|place| place.is_symlink()) else { return Ok(None) };
        Ok(Some(place.read_link()?.to_string_lossy().into_owned()))
    }

    fn with_drop_ins(&self, name: &str, text: &str) -> io::Result<Settings> {
        let mut settings = Settings::default();
        settings.add(text);
        // One of the same name in a directory that comes first stands for the other.
        let mut drop_ins = BTreeMap::new();
        for directory in DIRECTORIES.iter().rev() {
            let directory = format!("{directory}/{name}.d");
            for name in self.names(&directory)?.into_iter().filter(|it| it.ends_with(".conf")) {
                drop_ins.insert(name.clone(), format!("{directory}/{name}"));
            }
        }
        for path in drop_ins.values() {
            settings.add(&self.text(path)?.unwrap_or_default());
        }
        Ok(settings)
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
    let written_out = !path.contains(['$', '%', '*', '?', '\\', '"', '\'']);
    written_out && ["/etc/", "/usr/", "/opt/"].iter().any(|directory| path.starts_with(directory))
}
