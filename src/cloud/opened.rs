//! What the configuration directory says: read and checked once, before anything is decided.

use std::path::Path;

use super::{Session, recorded, tls};
use crate::config::cloud::{CloudFile, CloudOptions, Key};
use crate::config::load::Profiles;
use crate::config::overrides::Overrides;
use crate::config::release::Release;
use crate::config::variables::UserVariables;
use crate::error::Result;
use crate::model::cloud::Cloud;
use crate::model::decide::{Decision, Premises, decide};
use crate::model::facts::HostFacts;
use crate::model::lock::Lock;
use crate::model::paths::Paths;
use crate::render::Renderer;
use crate::secrets::spec::SecretSpec;
use crate::secrets::store;

/// What a decision follows from: profiles, what the user chose, and the cloud that there is.
pub struct Opened {
    pub profiles: Profiles,
    /// Which secrets there are.
    pub specification: SecretSpec,
    /// `cloud.yml`, with options applied.
    pub cloud_file: CloudFile,
    /// The cloud as the last `bootstrap` wanted it. Only root can know.
    pub former: Result<Option<Cloud>>,
    name: String,
}

impl Opened {
    pub fn read(paths: &Paths, choices: &CloudOptions) -> Result<Self> {
        let profiles = Profiles::load(&paths.config_dir)?;
        let mut cloud_file = CloudFile::load(&paths.cloud_file())?;
        cloud_file.apply(choices, &profiles)?;
        let (former, name) = (recorded::find(paths), paths.cloud.clone());
        // Nobody named one: the cloud that is there keeps its own.
        if let (None, Ok(Some(cloud))) = (cloud_file.release(), &former) {
            cloud_file.decide(Key::Release, &cloud.release.release, "a cloud keeps its release")?;
        }
        let release = cloud_file.release().and_then(|name| profiles.releases.get(name)).cloned();
        let (profiles, specification) = checked(profiles, release.as_ref(), &paths.config_dir)?;
        Ok(Self { profiles, specification, cloud_file, former, name })
    }

    /// What no decision follows from, but every rendered file: the user's values of variables, and lines
    /// for configuration files.
    pub fn settings(&self, paths: &Paths) -> Result<(UserVariables, Overrides)> {
        let mut variables = UserVariables::load(&paths.variables_file())?;
        self.cloud_file.add_variables(&mut variables);
        Ok((variables, Overrides::load(&paths.overrides_dir())?))
    }

    /// What will be built on a host.
    pub fn decide(&self, facts: &HostFacts, choices: &CloudOptions) -> Result<Decision> {
        let premises = Premises {
            name: &self.name,
            facts,
            profiles: &self.profiles,
            file: &self.cloud_file,
            former: self.former.as_ref().ok().and_then(Option::as_ref),
        };
        decide(&premises, choices)
    }
}

/// All profiles as they are in a release, the newest without one, and which secrets there are.
pub fn checked(
    profiles: Profiles,
    release: Option<&Release>,
    directory: &Path,
) -> Result<(Profiles, SecretSpec)> {
    let profiles = match release {
        Some(release) => profiles.of_release(release),
        None => profiles,
    };
    if let Some(release) = release.or(profiles.newest_release()) {
        Lock::check(release, &profiles.shown_path(&format!("releases/{}.lock", release.release)))?;
    }
    let specification = store::specification(directory)?;
    profiles.check(&|name| specification.known(name))?;
    Ok((profiles, specification))
}

/// All profiles as they are in a cloud's release.
pub fn profiles(directory: &Path, release: &Release) -> Result<Profiles> {
    Ok(checked(Profiles::load(directory)?, Some(release), directory)?.0)
}

/// What the profiles say now, and a renderer with them, of the recorded cloud or of one like it.
pub fn renderer(session: &Session, cloud: &Cloud) -> Result<(Profiles, Renderer)> {
    let Session { paths, site, .. } = session;
    tls::check_keys(paths, cloud, &site.secrets)?;
    let profiles = profiles(&paths.config_dir, &cloud.release)?;
    let overrides = Overrides::load(&paths.overrides_dir())?;
    let renderer = Renderer::new(cloud, &site.secrets, &profiles, &overrides)?;
    Ok((profiles, renderer))
}
