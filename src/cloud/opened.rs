//! What the configuration directory says: read and checked once, before anything is decided.

use std::path::Path;

use super::{Session, recorded, tls};
use crate::config::cloud::{CloudFile, CloudOptions, Key};
use crate::config::load::Profiles;
use crate::config::overrides::Overrides;
use crate::config::release::{Behind, Releases};
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
    /// Kinds that are of another release than the cloud.
    pub behind: Option<Behind>,
    upgrades: bool,
    name: String,
}

/// A stretch of a cloud's way to another release, which its options name.
pub struct Stage {
    /// What stays of another release for now.
    pub behind: Option<Behind>,
}

impl Opened {
    pub fn read(paths: &Paths, choices: &CloudOptions) -> Result<Self> {
        Self::read_stage(paths, choices, None)
    }

    /// The same for a cloud that changes its release.
    pub fn read_stage(
        paths: &Paths,
        choices: &CloudOptions,
        stage: Option<&Stage>,
    ) -> Result<Self> {
        let profiles = Profiles::load(&paths.config_dir)?;
        let mut cloud_file = CloudFile::load(&paths.cloud_file())?;
        cloud_file.apply(choices, &profiles)?;
        let (former, name) = (recorded::find(paths), paths.cloud.clone());
        // Nobody named one: the cloud that is there keeps its own.
        if let (None, Ok(Some(cloud))) = (cloud_file.release(), &former) {
            cloud_file.decide(Key::Release, &cloud.release.release, "a cloud keeps its release")?;
        }
        let release = cloud_file.release().and_then(|name| profiles.releases.get(name)).cloned();
        let known = former.as_ref().ok().and_then(Option::as_ref);
        let behind = known.and_then(|former| behind(&profiles, former, stage));
        let releases = release.as_ref().map(|main| Releases { main, behind: behind.as_ref() });
        let (profiles, specification) = checked(profiles, releases, &paths.config_dir)?;
        let upgrades = stage.is_some();
        Ok(Self { profiles, specification, cloud_file, former, behind, upgrades, name })
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
            upgrades: self.upgrades,
        };
        decide(&premises, choices)
    }
}

/// What stays of another release: what a stage says, or else what was behind before. A release that
/// profiles still have is as they have it.
fn behind(profiles: &Profiles, former: &Cloud, stage: Option<&Stage>) -> Option<Behind> {
    let behind = stage.map_or(&former.behind, |stage| &stage.behind).clone()?;
    let release = profiles.releases.get(&behind.release.release).cloned();
    Some(Behind { release: release.unwrap_or(behind.release), kinds: behind.kinds })
}

/// All profiles with each kind as it is in its release, the newest without one, and which secrets there
/// are.
pub fn checked(
    profiles: Profiles,
    releases: Option<Releases<'_>>,
    directory: &Path,
) -> Result<(Profiles, SecretSpec)> {
    let profiles = match releases {
        Some(releases) => profiles.of_releases(releases),
        None => profiles,
    };
    let behind = releases.and_then(|releases| releases.behind).map(|behind| &behind.release);
    let main = releases.map(|releases| releases.main).or(profiles.newest_release());
    for release in main.into_iter().chain(behind) {
        Lock::check(release, &profiles.shown_path(&format!("releases/{}.lock", release.release)))?;
    }
    let specification = store::specification(directory)?;
    profiles.check(&|name| specification.known(name))?;
    Ok((profiles, specification))
}

/// All profiles as they are in a cloud's releases.
pub fn profiles(directory: &Path, releases: Releases<'_>) -> Result<Profiles> {
    Ok(checked(Profiles::load(directory)?, Some(releases), directory)?.0)
}

/// What the profiles say now, and a renderer with them, of the recorded cloud or of one like it.
pub fn renderer(session: &Session, cloud: &Cloud) -> Result<(Profiles, Renderer)> {
    let Session { paths, site, .. } = session;
    tls::check_keys(paths, cloud, &site.secrets)?;
    let profiles = profiles(&paths.config_dir, cloud.releases())?;
    let overrides = Overrides::load(&paths.overrides_dir())?;
    let renderer = Renderer::new(cloud, &site.secrets, &profiles, &overrides)?;
    Ok((profiles, renderer))
}
