//! The configuration files of containers as the next `bootstrap` would write them, and why.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{opened, recorded, secrets};
use crate::config::cloud::CloudFile;
use crate::config::load::Profiles;
use crate::config::nearest::suggestion;
use crate::config::origin::Origin;
use crate::config::overrides::Overrides;
use crate::config::profile::File;
use crate::config::variables::{UserVariables, resolve_variables};
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::file::ContainerFile;
use crate::model::paths::Paths;
use crate::model::topology::Container;
use crate::render::{ExplainedLine, Reason, Renderer};

/// The files of one cloud's containers.
pub struct Files {
    /// The cloud as the last `bootstrap` wanted it, with the user's variables as they are now.
    pub cloud: Cloud,
    renderer: Renderer,
}

/// A file of a container, for a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedFile {
    pub path: String,
    pub owner: String,
    pub mode: String,
    /// The template; absent for files that follow from the container's name and address alone.
    pub template: Option<String>,
    /// Files of `overrides/` that are merged into it, the most particular last.
    pub overrides: Vec<String>,
    /// Whether what is rendered follows what the image has of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub extends_image: bool,
}

impl Files {
    /// Reads the recorded cloud and the user's files.
    pub fn open(paths: &Paths) -> Result<Self> {
        let mut cloud = recorded::load(paths)?;
        let profiles = opened::profiles(&paths.config_dir, cloud.releases())?;
        let origins = variables(paths, &profiles, &mut cloud)?;
        let secrets = secrets::known(paths, &cloud)?;
        let overrides = Overrides::load(&paths.overrides_dir())?;
        let renderer =
            Renderer::new(&cloud, &secrets, &profiles, &overrides)?.with_origins(origins);
        Ok(Self { cloud, renderer })
    }

    /// As [`Self::open`], without those of the user's files that are wrong; what is wrong with them.
    pub fn open_without_mistakes(paths: &Paths) -> Result<(Self, Vec<Error>)> {
        let mut cloud = recorded::load(paths)?;
        let secrets = secrets::known(paths, &cloud)?;
        let mut mistakes = Vec::new();
        let profiles = match opened::profiles(&paths.config_dir, cloud.releases()) {
            Ok(profiles) => profiles,
            Err(mistake) => {
                mistakes.push(mistake);
                Profiles::built_in()?.of_releases(cloud.releases())
            }
        };
        // Without them it has those of the last `bootstrap`.
        mistakes.extend(variables(paths, &profiles, &mut cloud).err());
        let overrides = Overrides::load(&paths.overrides_dir()).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Overrides::default()
        });
        let renderer = Renderer::new(&cloud, &secrets, &profiles, &overrides)?;
        Ok((Self { cloud, renderer }, mistakes))
    }

    pub fn list(&self, container: &Container) -> Result<Vec<ListedFile>> {
        let own = container.identity_files.keys().map(|path| ListedFile {
            path: path.clone(),
            owner: "root:root".to_owned(),
            mode: "0644".to_owned(),
            template: None,
            overrides: Vec::new(),
            extends_image: false,
        });
        let mut listed: Vec<ListedFile> = own.collect();
        for file in self.files(container) {
            listed.push(ListedFile {
                path: self.renderer.render_text(container, &file.path)?,
                owner: file.owner.clone(),
                mode: file.mode.clone(),
                template: Some(self.renderer.template_place(file)),
                overrides: self.renderer.overrides_of(container, file),
                extends_image: file.extends_image,
            });
        }
        listed.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(listed)
    }

    /// The path of the one file that `name` means: a whole path or its last parts.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Usage`] when there are several.
    pub fn find(&self, container: &Container, name: &str) -> Result<String> {
        let paths: Vec<String> =
            self.list(container)?.into_iter().map(|listed| listed.path).collect();
        let ending = format!("/{}", name.trim_start_matches('/'));
        let exact = paths.iter().find(|path| *path == name);
        let found: Vec<&String> = match exact {
            Some(path) => vec![path],
            None => paths.iter().filter(|path| path.ends_with(&ending)).collect(),
        };
        match found.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(unknown(container, name, &paths)),
            several => {
                let several: Vec<&str> = several.iter().map(|path| path.as_str()).collect();
                let message = format!("find the file `{name}` of container `{}`", container.name);
                Err(Error::new(ErrorKind::Usage, message)
                    .because("several are called so")
                    .hint(format!("Name one: {}.", several.join(", "))))
            }
        }
    }

    /// A file as it should be.
    pub fn render(&self, container: &Container, path: &str) -> Result<ContainerFile> {
        if let Some(text) = container.identity_files.get(path) {
            return Ok(ContainerFile {
                path: path.to_owned(),
                owner: "root:root".to_owned(),
                mode: 0o644,
                content: text.clone().into_bytes(),
            });
        }
        self.renderer.render_file(container, self.file(container, path)?)
    }

    /// Returns where each line of a file came from.
    pub fn explain(&self, container: &Container, path: &str) -> Result<Vec<ExplainedLine>> {
        if let Some(text) = container.identity_files.get(path) {
            let origin = Origin::Topology { name: "the container's name and address".to_owned() };
            let reason = Reason { name: None, origin };
            let lines = text
                .lines()
                .map(|line| ExplainedLine { text: line.to_owned(), reasons: vec![reason.clone()] });
            return Ok(lines.collect());
        }
        self.renderer.explain(container, self.file(container, path)?)
    }

    fn files<'a>(&'a self, container: &Container) -> impl Iterator<Item = &'a File> {
        let own = self.cloud.kind(&container.kind).map(|(_, kind)| kind.files.as_slice());
        self.cloud.releases().of(&container.kind).files.iter().chain(own.unwrap_or_default())
    }

    fn file(&self, container: &Container, path: &str) -> Result<&File> {
        for file in self.files(container) {
            if self.renderer.render_text(container, &file.path)? == path {
                return Ok(file);
            }
        }
        Err(unknown(container, path, &[]))
    }
}

/// Puts the variables' present values into the cloud, and returns where they came from.
fn variables(
    paths: &Paths,
    profiles: &Profiles,
    cloud: &mut Cloud,
) -> Result<BTreeMap<String, Origin>> {
    // A scenario that was removed since then changes nothing about the cloud that stands.
    let Some(scenario) = profiles.scenarios.get(&cloud.scenario) else {
        return Ok(BTreeMap::new());
    };
    let mut user = UserVariables::load(&paths.variables_file())?;
    CloudFile::load(&paths.cloud_file())?.add_variables(&mut user);
    let variables = resolve_variables(profiles, scenario, &user)?;
    cloud.variables = variables.values;
    Ok(variables.origins)
}

fn unknown(container: &Container, name: &str, paths: &[String]) -> Error {
    let message = format!("find the file `{name}` of container `{}`", container.name);
    let error = Error::new(ErrorKind::NotFound, message).because("no profile gives it such a file");
    // People leave out directories: compare the last parts.
    let wanted = name.rsplit('/').next().unwrap_or(name);
    let names = paths.iter().filter_map(|path| path.rsplit('/').next());
    error.hints(suggestion(wanted, names))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
