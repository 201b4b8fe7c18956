//! From the user's files, the profiles and the host's facts to the cloud that should be.
//!
//! Nothing is written here before [`Desired::write_files`]: a mistake anywhere is found first.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::run::Options;
use super::tls::Certificates;
use super::{Session, recorded, secrets, tls};
use crate::config::cloud::{CloudFile, CloudOptions, Expose, Key, refuse_fixed};
use crate::config::load::Profiles;
use crate::config::overrides::{Overrides, Target, file_name};
use crate::config::profile::{Merge, ServiceProfile};
use crate::config::release::Release;
use crate::config::scenario::Scenario;
use crate::config::variables::{UserVariables, resolve_variables};
use crate::error::{Error, ErrorKind, Result};
use crate::host::facts::{self, Depth};
use crate::host::layers;
use crate::model::build::{self, Inputs};
use crate::model::cloud::{Cloud, Outside};
use crate::model::facts::HostFacts;
use crate::model::ranges;
use crate::model::sizing;
use crate::model::sizing::demand::Demand;
use crate::model::sizing::{Alternatives, Sizing};
use crate::model::topology::Networks;
use crate::plan;
use crate::render::Renderer;
use crate::secrets::file::{SecretValues, SecretsFile};
use crate::secrets::spec::SecretSpec;
use crate::secrets::store;
use crate::state::swaps;
use crate::steps::shared::Shared;

/// The region in the catalog when nobody names one: OpenStack's own default.
const DEFAULT_REGION: &str = "RegionOne";

/// The cloud that should be, with all that follows from it.
pub struct Desired {
    /// The cloud.
    pub cloud: Cloud,
    /// Renders its files.
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

/// What profiles and files say, before the host is asked.
struct Written {
    profiles: Profiles,
    specification: SecretSpec,
    cloud_file: CloudFile,
    overrides: Overrides,
    user_variables: UserVariables,
}

fn read(options: &Options, choices: &CloudOptions) -> Result<Written> {
    let paths = &options.paths;
    let profiles = Profiles::load(&paths.config_dir)?;
    let specification = store::specification(&paths.config_dir)?;
    profiles.check(&|name| specification.known(name))?;
    let mut cloud_file = CloudFile::load(&paths.cloud_file())?;
    cloud_file.apply(choices, &profiles)?;
    let mut user_variables = UserVariables::load(&paths.variables_file())?;
    cloud_file.add_variables(&mut user_variables);
    let overrides = Overrides::load(&paths.overrides_dir())?;
    Ok(Written { profiles, specification, cloud_file, overrides, user_variables })
}

/// The cloud that should be.
///
/// # Errors
/// When a file is wrong or the host is not fit for it. Nothing was changed.
pub async fn load(options: &Options, choices: &CloudOptions) -> Result<Desired> {
    let paths = &options.paths;
    let written = read(options, choices)?;
    let former = recorded::find(paths)?;
    // A host that carries the cloud already needs no proof that it can.
    let depth = if former.is_some() { Depth::Quick } else { Depth::Thorough };
    let facts = facts::read(&paths.state_dir, depth).await;
    desire(options, choices, written, former, &facts).await
}

/// As [`load`], for a host whose facts are known.
///
/// # Errors
/// As [`load`].
pub async fn load_on(
    facts: &HostFacts,
    options: &Options,
    choices: &CloudOptions,
) -> Result<Desired> {
    let written = read(options, choices)?;
    desire(options, choices, written, recorded::find(&options.paths)?, facts).await
}

async fn desire(
    options: &Options,
    choices: &CloudOptions,
    mut written: Written,
    former: Option<Cloud>,
    facts: &HostFacts,
) -> Result<Desired> {
    let paths = &options.paths;
    let release = release(&mut written)?;
    let scenario = scenario(&mut written, choices, &release, facts)?;
    let Written { profiles, specification, mut cloud_file, overrides, user_variables } = written;
    cloud_file.decide(Key::Name, &paths.cloud, "")?;
    cloud_file.decide(Key::Patience, "1", "")?;
    cloud_file.decide(Key::Region, DEFAULT_REGION, "OpenStack's own default")?;
    let before = cloud_file.clone();
    cloud_file.change_services(choices, &scenario, &profiles)?;
    let members = cloud_file.members(&scenario, &profiles)?;
    let present = former.as_ref().map(count_members).unwrap_or_default();
    refuse_fixed(&profiles, &present, &members)?;
    let networks = networks(&paths.cloud, &mut cloud_file, facts)?;
    let services: Vec<&ServiceProfile> = profiles.services.values().collect();
    let scenarios: Vec<&Scenario> = profiles.scenarios.values().collect();
    let existing = former.is_some();
    let demand = Demand { release: &release, services: &services, members: &members, existing };
    let now = OffsetDateTime::now_utc();
    cloud_file.decide(
        Key::Tls,
        "exposed",
        "the default: what is reached from outside speaks TLS",
    )?;
    let mut certificates = Certificates::settle(paths, &cloud_file, networks.exposed_address, now)?;
    if let Some(address) = networks.exposed_address {
        let tls = certificates.outside.as_ref().is_some_and(Outside::tls);
        sizing::permit(&sizing::taken_ports(facts, &demand, (address, tls)))?;
    }
    let members_of = |scenario: &Scenario| before.members_with(choices, scenario, &profiles);
    let alternatives = Alternatives { scenarios: &scenarios, members: &members_of };
    let size = || {
        sizing::size(facts, &demand, &alternatives).map_err(|error| {
            let members_of = |with: &[String]| {
                let choices = CloudOptions { with: with.to_vec(), ..choices.clone() };
                before.members_with(&choices, &scenario, &profiles)
            };
            match sizing::fewer_services(facts, &demand, &choices.with, &members_of) {
                Some(sentence) => error.hint(sentence),
                None => error,
            }
        })
    };
    let sizing = match &former {
        // What the first run measured stays: else a busy moment would change every file.
        Some(former) if present == members => former.sizing.clone(),
        // So do the limits of the kinds that are there: a changed one restarts a container.
        Some(former) => {
            let mut sizing = size()?;
            sizing.memory_limit_mib.extend(former.sizing.memory_limit_mib.clone());
            Sizing {
                predicted_memory_mib: sizing.predicted_memory_mib,
                predicted_disk_mib: sizing.predicted_disk_mib,
                memory_limit_mib: sizing.memory_limit_mib,
                ..former.sizing.clone()
            }
        }
        None => size()?,
    };
    let variables = resolve_variables(&profiles, &scenario, &user_variables)?;
    let sources = layers::sources::fingerprint(&release.suite)?;
    let mut cloud = build::build(Inputs {
        paths,
        region: cloud_file.region().unwrap_or(DEFAULT_REGION),
        patience: cloud_file.patience().0,
        release: &release,
        scenario: &scenario.scenario,
        members: &members,
        services: services.clone(),
        networks: &networks,
        recorded: &former.as_ref().map(recorded::identities).unwrap_or_default(),
        facts,
        sizing,
        variables: variables.values,
        packages: &variables.packages,
        sources: &sources,
    })?;
    cloud.standby = swaps::standby(paths)?;
    cloud.outside = certificates.outside.clone();
    certificates.settle_inside(&cloud_file, &mut cloud, now)?;
    certificates.compare(former.as_ref());
    let mut notes = override_warnings(&overrides, &profiles, &cloud)?;
    notes.extend(certificates.notes.iter().cloned());
    if former.is_none() {
        notes.extend(sizing::notes(facts));
    }
    let (secrets_file, values) =
        complete_secrets(options, &specification, &cloud, &mut notes).await?;
    let renderer =
        Renderer::new(&cloud, &with_keys(&values, &certificates), &profiles, &overrides)?;
    cloud.health = plan::build::health(&cloud, &renderer)?;
    Ok(Desired {
        cloud,
        renderer,
        notes,
        former,
        scenario,
        cloud_file,
        secrets_file,
        secrets: values,
        certificates,
    })
}

fn release(written: &mut Written) -> Result<Release> {
    let releases = &written.profiles.releases;
    let newest = releases.keys().max().cloned().unwrap_or_default();
    let name = written.cloud_file.release().map_or(newest, str::to_owned);
    let release = releases.get(&name).cloned().ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("find the release `{name}`"))
            .because("no profile describes it")
    })?;
    written.cloud_file.decide(Key::Release, &name, "the newest that there is a profile for")?;
    Ok(release)
}

fn scenario(
    written: &mut Written,
    choices: &CloudOptions,
    release: &Release,
    facts: &HostFacts,
) -> Result<Scenario> {
    let name = match written.cloud_file.scenario() {
        Some(name) => name.to_owned(),
        None => {
            let profiles = &written.profiles;
            let services: Vec<&ServiceProfile> = profiles.services.values().collect();
            let scenarios: Vec<&Scenario> = profiles.scenarios.values().collect();
            let file = &written.cloud_file;
            let members = |scenario: &Scenario| file.members_with(choices, scenario, profiles);
            let alternatives = Alternatives { scenarios: &scenarios, members: &members };
            let choice = sizing::choose_scenario(facts, &alternatives, release, &services)?;
            written.cloud_file.decide(Key::Scenario, &choice.scenario, &choice.reason)?;
            choice.scenario
        }
    };
    written.profiles.scenarios.get(&name).cloned().ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("find the scenario `{name}`"))
            .because("no profile describes it")
    })
}

/// Members by kind of a cloud that is there.
fn count_members(cloud: &Cloud) -> BTreeMap<String, u32> {
    let mut members = BTreeMap::new();
    for container in &cloud.containers {
        *members.entry(container.kind.clone()).or_default() += 1;
    }
    members
}

fn networks(cloud: &str, file: &mut CloudFile, facts: &HostFacts) -> Result<Networks> {
    let choice = ranges::choose(cloud, &file.networks(), &facts.network)?;
    let mut networks = choice.networks;
    for network in &networks.networks {
        let why = choice.reasons.get(&network.role).map_or("the default", String::as_str);
        file.decide(Key::Network(network.role), &network.range.to_string(), why)?;
    }
    let default = networks.virtual_address;
    file.decide(Key::VirtualAddress, &default.to_string(), "the default")?;
    if let Some(address) = file.virtual_address() {
        networks = ranges::with_virtual_address(networks, address)?;
    }
    file.decide(Key::Expose, "off", "the default: nobody but this host gets in")?;
    networks.exposed_address = match file.expose() {
        Expose::Off => None,
        Expose::Address(address) => Some(address),
        Expose::Host => Some(host_address(facts)?),
    };
    Ok(networks)
}

fn with_keys(values: &SecretValues, certificates: &Certificates) -> BTreeMap<String, SecretString> {
    let mut secrets = secrets::plain(values);
    certificates.add_keys(&mut secrets);
    secrets
}

fn host_address(facts: &HostFacts) -> Result<Ipv4Addr> {
    facts.own_address().ok_or_else(|| {
        Error::new(ErrorKind::Host, "find the address to expose the cloud on")
            .because("the host has no default route with an address")
            .hint("Name one: `aio bootstrap --expose ADDRESS`.")
    })
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
    /// What steps share.
    pub fn shared(&self) -> Arc<Shared> {
        let secrets = with_keys(&self.secrets, &self.certificates);
        Arc::new(Shared::new(self.cloud.clone(), secrets))
    }

    /// Writes the files of the configuration directory.
    pub fn write_files(&self, options: &Options) -> Result<()> {
        let paths = &options.paths;
        self.cloud_file.write(&paths.cloud_file(), &self.scenario)?;
        store::write(&self.secrets_file, &paths.secrets_file())?;
        self.certificates.write(paths)?;
        if let Some(warning) = store::tighten(&paths.secrets_file())? {
            crate::ui::out::note(&warning);
        }
        Ok(())
    }

    /// Remembers which secrets the cloud uses now.
    pub async fn remember_secrets(&self, options: &Options) -> Result<()> {
        secrets::remember(&options.paths, &self.secrets).await
    }
}

/// A renderer for a recorded cloud: templates and overrides as they are now.
pub fn renderer(session: &Session) -> Result<Renderer> {
    renderer_of(session, &session.shared.cloud)
}

/// As [`renderer`], for the recorded cloud with other members standing by.
pub fn renderer_of(session: &Session, cloud: &Cloud) -> Result<Renderer> {
    let Session { paths, shared, .. } = session;
    tls::check_keys(paths, cloud, &shared.secrets)?;
    let profiles = Profiles::load(&paths.config_dir)?;
    let overrides = Overrides::load(&paths.overrides_dir())?;
    Renderer::new(cloud, &shared.secrets, &profiles, &overrides)
}
