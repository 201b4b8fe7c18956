//! From the user's files, the profiles and the host's facts to the cloud that should be.
//!
//! Nothing is written here before [`Desired::write_files`]: a mistake anywhere is found first.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::opened::{Opened, Stage};
use super::run::Options;
use super::tls::Certificates;
use super::{recorded, secrets};
use crate::config::cloud::{CloudFile, CloudOptions};
use crate::config::load::Profiles;
use crate::config::overrides::{Overrides, Target, file_name};
use crate::config::profile::Merge;
use crate::config::release::Releases;
use crate::config::scenario::Scenario;
use crate::config::variables::{UserVariables, resolve_variables};
use crate::error::{Error, Result};
use crate::host::facts::{self, Depth};
use crate::host::layers;
use crate::model::build::{self, Inputs};
use crate::model::cloud::Cloud;
use crate::model::facts::HostFacts;
use crate::plan;
use crate::render::Renderer;
use crate::secrets::file::{SecretValues, SecretsFile};
use crate::secrets::spec::SecretSpec;
use crate::secrets::store;
use crate::state::files;
use crate::state::swaps;
use crate::steps::site::Site;

/// The cloud that should be, with all that follows from it.
pub struct Desired {
    pub cloud: Cloud,
    pub renderer: Renderer,
    /// What a user should know before anything changes.
    pub notes: Vec<String>,
    /// The cloud as the last `bootstrap` wanted it.
    pub former: Option<Cloud>,
    scenario: Scenario,
    cloud_file: CloudFile,
    secrets_file: SecretsFile,
    secrets: SecretValues,
    certificates: Certificates,
}

/// The cloud that should be.
///
/// # Errors
/// When a file is wrong or the host is not fit for it. Nothing was changed.
pub async fn load(options: &Options, choices: &CloudOptions) -> Result<Desired> {
    load_opened(options, choices, Opened::read(&options.paths, choices)?).await
}

/// As [`load`], for a cloud that changes its release.
pub async fn load_stage(
    options: &Options,
    choices: &CloudOptions,
    stage: &Stage,
) -> Result<Desired> {
    let opened = Opened::read_stage(&options.paths, choices, Some(stage))?;
    load_opened(options, choices, opened).await
}

async fn load_opened(options: &Options, choices: &CloudOptions, opened: Opened) -> Result<Desired> {
    let paths = &options.paths;
    let settings = opened.settings(paths)?;
    // A host that carries the cloud already needs no proof that it can.
    let depth = match opened.former {
        Ok(Some(_)) => Depth::Quick,
        _ => Depth::Thorough,
    };
    let facts = facts::read(&paths.state_dir, depth).await;
    desire(&facts, options, choices, opened, settings).await
}

/// As [`load`], for a host whose facts are known.
pub async fn load_on(
    facts: &HostFacts,
    options: &Options,
    choices: &CloudOptions,
) -> Result<Desired> {
    let opened = Opened::read(&options.paths, choices)?;
    let settings = opened.settings(&options.paths)?;
    desire(facts, options, choices, opened, settings).await
}

async fn desire(
    facts: &HostFacts,
    options: &Options,
    choices: &CloudOptions,
    opened: Opened,
    (user_variables, overrides): (UserVariables, Overrides),
) -> Result<Desired> {
    let paths = &options.paths;
    opened.former.as_ref().map_err(Error::clone)?;
    let decision = opened.decide(facts, choices)?;
    let Opened { profiles, specification, former, behind, .. } = opened;
    let former = former?;
    decision.permit()?;
    let now = OffsetDateTime::now_utc();
    let exposed = decision.networks.exposed_address;
    let mut certificates = Certificates::settle(paths, &decision.file, exposed, now)?;
    let variables = resolve_variables(&profiles, &decision.scenario, &user_variables)?;
    let sources = layers::sources::fingerprint(&decision.release.suite)?;
    let mut cloud = build::build(Inputs {
        paths,
        region: decision.file.region().unwrap_or_default(),
        patience: decision.file.patience().0,
        releases: Releases { main: &decision.release, behind: behind.as_ref() },
        scenario: &decision.scenario.scenario,
        members: &decision.members,
        services: profiles.services.values().collect(),
        networks: &decision.networks,
        former: former.as_ref(),
        recorded: &former.as_ref().map(recorded::identities).unwrap_or_default(),
        facts,
        sizing: decision.sizing,
        variables: variables.values,
        packages: &variables.packages,
        sources: &sources,
    })?;
    cloud.standby = swaps::standby(paths)?;
    cloud.outside = certificates.outside.clone();
    certificates.settle_inside(&decision.file, &mut cloud, now)?;
    certificates.compare(former.as_ref());
    let mut notes = override_warnings(&overrides, &profiles, &cloud)?;
    notes.extend(certificates.notes.iter().cloned());
    if former.is_none() {
        notes.extend(decision.notes);
    }
    let (secrets_file, values) =
        complete_secrets(options, &specification, &cloud, &mut notes).await?;
    let renderer =
        Renderer::new(&cloud, &with_keys(&values, &certificates), &profiles, &overrides)?;
    cloud.health = plan::bootstrap::health(&cloud, &renderer)?;
    Ok(Desired {
        cloud,
        renderer,
        notes,
        former,
        scenario: decision.scenario,
        cloud_file: decision.file,
        secrets_file,
        secrets: values,
        certificates,
    })
}

fn with_keys(values: &SecretValues, certificates: &Certificates) -> BTreeMap<String, SecretString> {
    let mut secrets = secrets::plain(values);
    certificates.add_keys(&mut secrets);
    secrets
}

fn override_warnings(
    overrides: &Overrides,
    profiles: &Profiles,
    cloud: &Cloud,
) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for container in &cloud.containers {
        let Some((service, definition)) = cloud.kind(&container.kind) else { continue };
        let files = definition.files.iter().filter(|file| file.merge == Merge::Ini);
        targets.extend(files.map(|file| Target {
            service,
            kind: &container.kind,
            member: container.member,
            units: &container.units,
            file: file_name(file),
        }));
    }
    overrides.check(profiles, targets)
}

/// Reads the secrets and fills what is missing; refuses an edit that the cloud cannot take.
async fn complete_secrets(
    options: &Options,
    specification: &SecretSpec,
    cloud: &Cloud,
    notes: &mut Vec<String>,
) -> Result<(SecretsFile, SecretValues)> {
    let services = secrets::services(cloud);
    let mut file = store::read(&options.paths.secrets_file())?;
    let completed = file.complete(specification, &services, &mut rand::rng())?;
    if !completed.unused.is_empty() && !options.paths.recorded_cloud_file().exists() {
        notes.push(format!(
            "user_secrets.yml has {} names that no deployed service uses; they are kept as they are.",
            completed.unused.len()
        ));
    }
    let values = file.values(specification, &services)?;
    if let Some(applied) = secrets::applied(&options.paths).await? {
        applied.compare(&values, specification).permitted("user_secrets.yml", true)?;
    }
    Ok((file, values))
}

impl Desired {
    pub fn site(&self) -> Arc<Site> {
        let secrets = with_keys(&self.secrets, &self.certificates);
        Arc::new(Site::new(self.cloud.clone(), secrets))
    }

    pub fn write_files(&self, options: &Options) -> Result<()> {
        let paths = &options.paths;
        if let Some(text) = self.cloud_file.changed_text(&self.scenario) {
            let path = paths.cloud_file();
            files::replace(&path, files::mode(&path).unwrap_or(0o644), text.as_bytes())?;
        }
        store::write(&self.secrets_file, &paths.secrets_file())?;
        self.certificates.write(paths)?;
        if let Some(warning) = store::tighten(&paths.secrets_file())? {
            crate::ui::out::note(&warning);
        }
        Ok(())
    }

    pub async fn remember_secrets(&self, options: &Options) -> Result<()> {
        secrets::remember(&options.paths, &self.secrets).await
    }
}
