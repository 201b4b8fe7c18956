//! What makes a container: LXC's configuration, the record, the directories.
//!
//! The configuration is written last, by a rename: a container is defined when LXC sees it, and then
//! all of it is there. A definition that is gone (`lxc-destroy` by hand) takes the root with it: what
//! is left of it is thrown away before a new one is made. So are the changes made on top of layers
//! that are no longer the container's.

use std::collections::BTreeSet;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config;
use super::inner::Inner;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{ContainerState, lookup};
use crate::lxc::descent;
use crate::lxc::files::FileRequest;
use crate::lxc::prepare::{DataDirectory, Preparation};
use crate::lxc::publication::Place;
use crate::lxc::root::{self, Bind, Root};
use crate::model::paths::{LXC_PATH, Paths};
use crate::model::topology::{Container, Renewed};
use crate::state::files::{self, prepare, write_atomic};

/// With what a container was made. Hooks read `root` and `place` of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Record {
    pub(super) container: Container,
    pub(super) root: Root,
    pub(super) place: Place,
}

impl Inner {
    /// What is recorded; `None` when nothing (readable) is.
    pub(super) fn record(&self, name: &str) -> Result<Option<Record>> {
        let text = files::read(&self.paths.spec_file(name))?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// The record of a defined container.
    pub(super) fn known(&self, name: &str) -> Result<Record> {
        self.record(name)?.ok_or_else(|| {
            let file = self.paths.spec_file(name);
            Error::failed(format!("read what container `{name}` is made of"))
                .because(format!("`{}` is missing or damaged", file.display()))
                .hint("`aio bootstrap` defines it anew.")
        })
    }

    /// The ids of the host that stand for the container's; none for a privileged one. Of a slot that
    /// the cloud does not have nothing can be made, and nothing is made: see
    /// [`Self::begin_definition`].
    fn id_range(&self, container: &Container) -> Option<(u32, u32)> {
        let own = || self.ids.slot(container.id_slot).unwrap_or_default();
        container.privileged.is_none().then(own)
    }

    /// The root that `container` should have.
    fn root(&self, container: &Container) -> Root {
        let name = &container.name;
        let journal = Bind {
            source: self.paths.journal_dir().join(&container.machine_id),
            target: Path::new("/var/log/journal").join(&container.machine_id),
            read_only: false,
        };
        let bind = |source: &str, target: &str, read_only: bool| Bind {
            source: source.into(),
            target: target.into(),
            read_only,
        };
        let data = container.data.iter().map(|data| bind(&data.source, &data.path, false));
        let renewed = container.renewed.iter().map(|renewed| Bind {
            source: self.python(renewed),
            target: Path::new(&renewed.home).to_owned(),
            read_only: true,
        });
        let shared = container.shared.iter().map(|shared| bind(&shared.source, &shared.path, true));
        let mut binds: Vec<Bind> = data.chain(shared).chain(renewed).collect();
        binds.push(journal);
        binds.sort_by_key(|bind| bind.target.components().count());
        Root {
            layers: container.layers.iter().map(|id| self.layer(id)).collect(),
            writable: self.paths.container_dir(name),
            merged: self.paths.root_dir(name),
            id_range: self.id_range(container),
            binds,
        }
    }

    /// Where what is published for a container stands.
    pub(super) fn place(&self, container: &Container) -> Place {
        Place {
            directory: self.paths.shared_dir(&container.name),
            id_range: self.id_range(container),
            kept: self.paths.kept_dir(&container.name),
            devices: container.devices.clone(),
        }
    }

    /// The Python that lies over a renewed container's own.
    pub(super) fn python(&self, renewed: &Renewed) -> PathBuf {
        self.layer(&renewed.python).join(renewed.home.trim_start_matches('/'))
    }

    /// Whether a container that is there would be as wanted, but for what renews it.
    pub(super) fn differs_by_renewal(&self, container: &Container) -> Result<bool> {
        let Some(record) = self.record(&container.name)? else { return Ok(false) };
        let rendered = self.render(&record.container, &record.root);
        let renewed = container.renewed.clone();
        Ok(read_config(&container.name)? == Some(rendered)
            && record.container.renewed != renewed
            && Container { renewed, ..record.container } == *container
            && record.place == self.place(container))
    }

    fn layer(&self, id: &str) -> PathBuf {
        self.paths.layers_dir().join(id).join("root")
    }

    fn render(&self, container: &Container, root: &Root) -> String {
        config::render(&config::Definition {
            container,
            root,
            shared: &self.place(container).shared(),
            features: &self.features,
            device_rules: &device_rules(container),
            record: &self.paths.spec_file(&container.name),
            binary: &self.paths.binary(),
            directory: &Paths::lxc_dir(&container.name),
        })
    }

    pub(super) fn definition_differs(&self, container: &Container) -> Result<Option<String>> {
        let name = &container.name;
        let Some(text) = read_config(name)? else {
            return Ok(Some("the container is not defined".to_owned()));
        };
        let Some(record) = self.record(name)? else {
            return Ok(Some("there is no record of how it was made".to_owned()));
        };
        if record.container != *container {
            return Ok(Some(difference(&record.container, container)));
        }
        let root = self.root(container);
        if record.root != root || record.place != self.place(container) {
            return Ok(Some("its directories or its range of ids changed".to_owned()));
        }
        if text != self.render(container, &root) {
            return Ok(Some("its LXC configuration differs".to_owned()));
        }
        Ok(damage(container, &root))
    }

    /// All that comes before the container's root is written to: see [`Self::finish_definition`].
    pub(super) fn begin_definition(&self, container: &Container) -> Result<Preparation> {
        let name = &container.name;
        let doing = || format!("define container `{name}`");
        self.refuse_foreign(name)?;
        self.refuse_running(name).map_err(|error| error.context(doing()))?;
        let previous = match read_config(name)? {
            Some(_) => self.record(name)?,
            None => None,
        };
        let root = self.root(container);
        if root.id_range == Some((0, 0)) {
            return Err(Error::failed(doing())
                .because("it has no ids of its own")
                .hint("`aio bootstrap` writes them to /etc/subuid and /etc/subgid."));
        }
        let keeps_root = previous.as_ref().is_some_and(|record| record.root.layers == root.layers);
        if !keeps_root {
            root::unmount(&root.merged)?;
            descent::remove(&root.writable).doing(doing)?;
        }
        prepare(&self.paths)?;
        let own = root::own_directory(&root.merged).unwrap_or(&root.merged);
        let roots = own.parent().unwrap_or(own);
        for (directory, mode) in [
            (roots.to_owned(), 0o711),
            (root.upper(), 0o755),
            (root.writable.join("work"), 0o755),
            (self.paths.journal_dir().join(&container.machine_id), 0o755),
            (Paths::lxc_dir(name), 0o750),
        ] {
            make_missing(&directory, mode).doing(doing)?;
        }
        for shared in &container.shared {
            make_missing(Path::new(&shared.source), 0o755).doing(doing)?;
        }
        let wanted: BTreeSet<&String> = container.units.iter().collect();
        let before = previous.map(|record| record.container.units).unwrap_or_default();
        Ok(Preparation {
            root,
            files: container
                .identity_files
                .iter()
                .map(|(path, text)| FileRequest::new(path, "root:root", 0o644, text.as_bytes()))
                .collect(),
            unmask: container.units.clone(),
            mask: before.into_iter().filter(|unit| !wanted.contains(unit)).collect(),
            data: data_directories(container)?,
        })
    }

    /// The record, and last LXC's configuration.
    pub(super) fn finish_definition(&self, container: &Container) -> Result<()> {
        let doing = || format!("define container `{}`", container.name);
        let root = self.root(container);
        let text = self.render(container, &root);
        let record = Record { container: container.clone(), root, place: self.place(container) };
        let record = serde_json::to_vec_pretty(&record).doing(doing)?;
        write_atomic(&self.paths.spec_file(&container.name), 0o600, &record)?;
        let config = Paths::lxc_dir(&container.name).join("config");
        write_atomic(&config, 0o640, text.as_bytes())
    }

    /// A container of that name that somebody else made is left alone.
    fn refuse_foreign(&self, name: &str) -> Result<()> {
        match read_config(name)? {
            Some(text) if !self.is_ours(&text) => {
                Err(Error::new(ErrorKind::Refused, format!("define container `{name}`"))
                    .because("LXC has a container of that name that this cloud did not make")
                    .hint(format!(
                        "`lxc-destroy -n {name}` removes it; `--name` names another cloud."
                    )))
            }
            _ => Ok(()),
        }
    }

    fn is_ours(&self, config: &str) -> bool {
        let records = self.paths.spec_file("x");
        let directory = records.parent().unwrap_or(&records).display().to_string();
        config
            .lines()
            .any(|line| line.starts_with("lxc.hook.pre-start") && line.contains(&directory))
    }

    pub(super) fn list(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for path in files::entries(Path::new(LXC_PATH))? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if read_config(name)?.is_some_and(|text| self.is_ours(&text)) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// The definition goes first: whatever stops this half-way, the rest is thrown away before the
    /// container is defined again.
    pub(super) fn discard(&self, name: &str) -> Result<()> {
        let doing = || format!("throw away container `{name}`");
        self.refuse_running(name).map_err(|error| error.context(doing()))?;
        self.refuse_foreign(name).map_err(|error| error.context(doing()))?;
        let merged = self.paths.root_dir(name);
        root::unmount(&merged)?;
        if let Some(record) = self.record(name)? {
            record.place.remove()?;
        }
        for path in [
            Paths::lxc_dir(name).join("config"),
            Paths::lxc_dir(name),
            self.paths.spec_file(name),
            self.paths.container_dir(name),
            root::own_directory(&merged).unwrap_or(&merged).to_owned(),
        ] {
            descent::remove(&path).doing(doing)?;
        }
        Ok(())
    }

    pub(super) fn discard_data(&self, container: &Container) -> Result<()> {
        let doing = || format!("throw away the data of container `{}`", container.name);
        self.refuse_running(&container.name).map_err(|error| error.context(doing()))?;
        for data in container.data.iter().filter(|data| !data.keep) {
            descent::remove(Path::new(&data.source)).doing(doing)?;
        }
        Ok(())
    }

    fn refuse_running(&self, name: &str) -> Result<()> {
        match self.state(name)? {
            ContainerState::Running { .. } => Err(Error::failed("remove what is in use")
                .because(format!("container `{name}` is running"))
                .hint(format!("`aio stop {name}` stops it."))),
            _ => Ok(()),
        }
    }
}

/// Rules for the devices of a privileged container that the host has.
fn device_rules(container: &Container) -> Vec<String> {
    if container.privileged.is_none() {
        return Vec::new();
    }
    let rule = |path: &String| {
        let found = std::fs::metadata(path).ok()?;
        let kind = match found.file_type() {
            kind if kind.is_char_device() => 'c',
            kind if kind.is_block_device() => 'b',
            _ => return None,
        };
        let number = found.rdev();
        Some(format!("{kind} {}:{} rwm", libc::major(number), libc::minor(number)))
    };
    container.devices.iter().filter_map(rule).collect()
}

/// LXC's configuration of a container; `None` when there is none.
fn read_config(name: &str) -> Result<Option<String>> {
    let path = Paths::lxc_dir(name).join("config");
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if crate::lxc::rooted::is_missing(&error) => Ok(None),
        Err(error) => Err(error).doing(|| format!("read `{}`", path.display())),
    }
}

/// Which parts of a specification changed, for people.
fn difference(before: &Container, after: &Container) -> String {
    let fields = |container| match serde_json::to_value(container) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let changed: Vec<String> = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .map(|(name, _)| name.replace('_', " "))
        .collect();
    format!("its {} changed", changed.join(", "))
}

/// What a power cut or a hand may have taken from a defined container.
fn damage(container: &Container, root: &Root) -> Option<String> {
    if !root.upper().is_dir() {
        return Some("its root directory is gone".to_owned());
    }
    if let Some(bind) = root.binds.iter().find(|bind| !bind.source.is_dir()) {
        return Some(format!("its directory for `{}` is missing", bind.target.display()));
    }
    let empty = container.identity_files.iter().find(|(path, text)| {
        let place = lookup::find(root, Path::new(path), true).ok().flatten();
        let length = place.and_then(|place| place.metadata().ok()).map(|found| found.len());
        length.unwrap_or(0) == 0 && !text.is_empty()
    });
    empty.map(|(path, _)| format!("its `{path}` is missing"))
}

fn data_directories(container: &Container) -> Result<Vec<DataDirectory>> {
    let convert = |data: &crate::model::topology::Data| {
        let mode = u32::from_str_radix(&data.mode, 8).map_err(|_| {
            let message = format!("read the mode of `{}`", data.path);
            Error::new(ErrorKind::Config, message).because(format!("`{}` is not octal", data.mode))
        })?;
        Ok(DataDirectory {
            source: (&data.source).into(),
            target: (&data.path).into(),
            owner: data.owner.clone(),
            mode,
            from_image: data.from_image,
        })
    };
    container.data.iter().map(convert).collect()
}

/// Makes a directory with its missing parents; one that is there stays as it is.
fn make_missing(path: &Path, mode: u32) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        // The caller's mask may have taken bits away that containers need.
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)),
    }
}
