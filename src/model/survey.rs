//! What would be built on a host: its facts, the profiles and `cloud.yml` in, one value out.
//!
//! Pure, and it refuses nothing: `aio size` also shows a host that is too small, and how far.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::facts::HostFacts;
use super::ranges;
use super::sizing::demand::Demand;
use super::sizing::limits::{self, Count};
use super::sizing::{self, Alternatives, Chosen, Refusal, Sizing, choose_scenario};
use super::topology::Networks;
use crate::config::cloud::{CloudFile, CloudOptions, Expose, Tls};
use crate::config::load::Profiles;
use crate::config::network::NetworkRole;
use crate::config::profile::ServiceProfile;
use crate::config::release::Release;
use crate::config::scenario::Scenario;
use crate::error::{Error, ErrorKind, Result};

/// What would be built, and whether the host can carry it.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    /// The cloud's name.
    pub cloud: String,
    /// Whether it, or a part of it, is there already.
    pub existing: bool,
    /// The release.
    pub release: String,
    /// The scenario.
    pub scenario: String,
    /// Why this scenario; empty when the user named it.
    pub reason: String,
    /// Members by kind.
    pub members: BTreeMap<String, u32>,
    /// Networks.
    pub networks: Networks,
    /// Why a network has another range than its default.
    pub network_reasons: BTreeMap<NetworkRole, String>,
    /// From where it is reached, and how: for people.
    pub reached: String,
    /// Numbers.
    pub sizing: Sizing,
    /// What the kernel counts: how much there is of it, in use by others, and needed.
    pub limits: Vec<Count>,
    /// What the host lacks.
    pub refusals: Vec<Refusal>,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// Surveys a host for the cloud `name`. `cloud` is its file with options applied, all but the
/// services that they add to the scenario or leave out of it.
///
/// # Errors
/// When the files contradict themselves or the host: an unknown scenario, a range that is taken.
pub fn survey(
    name: &str,
    facts: &HostFacts,
    profiles: &Profiles,
    cloud: &CloudFile,
    options: &CloudOptions,
) -> Result<Survey> {
    let release = release(profiles, cloud.release())?;
    let services: Vec<&ServiceProfile> = profiles.services.values().collect();
    let scenarios: Vec<&Scenario> = profiles.scenarios.values().collect();
    let members_of = |scenario: &Scenario| cloud.members_with(options, scenario, profiles);
    let alternatives = Alternatives { scenarios: &scenarios, members: &members_of };
    let chosen = match cloud.scenario() {
        Some(named) => Chosen { scenario: named.to_owned(), reason: String::new() },
        None => match choose_scenario(facts, &alternatives, release, &services) {
            Err(error) if error.kind == ErrorKind::Host => not_even_the_smallest(&scenarios)?,
            chosen => chosen?,
        },
    };
    let scenario = profiles.scenarios.get(&chosen.scenario).ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("find the scenario `{}`", chosen.scenario))
    })?;
    let mut file = cloud.clone();
    file.change_services(options, scenario, profiles)?;
    let members = file.members(scenario, profiles)?;
    let existing = facts.holds(name);
    let demand = Demand { release, services: &services, members: &members, existing };

    let choice = ranges::choose(name, &cloud.networks(), &facts.network)?;
    let networks = match cloud.virtual_address() {
        Some(address) => ranges::with_virtual_address(choice.networks, address)?,
        None => choice.networks,
    };
    let exposed = match cloud.expose() {
        Expose::Off => None,
        Expose::Host => facts.own_address(),
        Expose::Address(address) => Some(address),
    };
    let mut refusals = sizing::refusals(facts, &demand);
    if let Some(first) = refusals.first_mut() {
        let members_of = |with: &[String]| {
            let options = CloudOptions { with: with.to_vec(), ..options.clone() };
            cloud.members_with(&options, scenario, profiles)
        };
        let fewer = sizing::fewer_services(facts, &demand, &options.with, &members_of);
        first.advice.extend(fewer.map(|sentence| format!(" {sentence}")));
    }
    if let Some(address) = exposed {
        let tls = cloud.tls() != Tls::Off;
        refusals.extend(sizing::taken_ports(facts, &demand, (address, tls)));
    }
    Ok(Survey {
        cloud: name.to_owned(),
        existing,
        release: release.release.clone(),
        sizing: sizing::predict(facts, &demand),
        limits: limits::counts(facts, demand.containers(), existing),
        refusals,
        notes: sizing::notes(facts),
        scenario: chosen.scenario,
        reason: chosen.reason,
        reached: reached(exposed, cloud.tls()),
        members,
        networks,
        network_reasons: choice.reasons,
    })
}

/// Where a cloud is reached from outside, in words.
fn reached(exposed: Option<Ipv4Addr>, tls: Tls) -> String {
    match (exposed, tls) {
        (None, Tls::Everywhere) => "from this host alone, by TLS".to_owned(),
        (None, _) => "from this host alone".to_owned(),
        (Some(address), Tls::Exposed | Tls::Everywhere) => format!("at {address}, by TLS"),
        (Some(address), Tls::Off) => {
            format!("at {address}, in clear: passwords can be read on the way")
        }
    }
}

/// What is shown on a host that carries nothing: how far it is from the least.
fn not_even_the_smallest(scenarios: &[&Scenario]) -> Result<Chosen> {
    let smallest = sizing::smallest(scenarios).ok_or_else(|| {
        Error::new(ErrorKind::Config, "choose a scenario").because("there is none to choose from")
    })?;
    let reason = "the smallest, and not even that fits".to_owned();
    Ok(Chosen { scenario: smallest.scenario.clone(), reason })
}

/// The release that is named, or the newest.
fn release<'a>(profiles: &'a Profiles, named: Option<&str>) -> Result<&'a Release> {
    let found = match named {
        Some(name) => profiles.releases.get(name),
        None => profiles.releases.values().next_back(),
    };
    found.ok_or_else(|| {
        let known: Vec<&str> = profiles.releases.keys().map(String::as_str).collect();
        Error::new(ErrorKind::Config, format!("find the release `{}`", named.unwrap_or_default()))
            .because(format!("there is {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::facts::{HostAddress, Listener};

    fn host() -> HostFacts {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts/trixie-systemd-16g.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn look(facts: &HostFacts, cloud: &str) -> Result<Survey> {
        let profiles = Profiles::load(Path::new("/nonexistent")).unwrap();
        let cloud = CloudFile::parse(cloud, "cloud.yml").unwrap();
        survey("aio1", facts, &profiles, &cloud, &CloudOptions::default())
    }

    #[test]
    fn a_users_host_with_lxcs_own_bridge() {
        let survey = look(&host(), "").unwrap();
        assert_eq!(survey.scenario, "control");
        assert!(survey.refusals.is_empty());
        assert!(!survey.existing);
        assert_eq!(
            survey.network_reasons[&NetworkRole::Nat],
            "10.0.4.0/24 in place of 10.0.3.0/24: lxcbr0 has 10.0.3.1/24"
        );
    }

    #[test]
    fn what_the_file_says_is_used() {
        let text = "scenario: control\nmembers: {galera: 1}\n\
                    networks: {management: 10.9.0.0/24}\nvirtual_address: 10.9.0.50\n";
        let survey = look(&host(), text).unwrap();
        assert_eq!((survey.scenario.as_str(), survey.reason.as_str()), ("control", ""));
        assert_eq!(survey.members["galera"], 1);
        assert_eq!(survey.networks.virtual_address.to_string(), "10.9.0.50");
        let taken = look(&host(), "networks: {nat: 10.0.3.0/24}\n").unwrap_err();
        assert_eq!(taken.kind, ErrorKind::Config);
    }

    #[test]
    fn a_host_that_is_too_small_is_shown_and_refused() {
        let mut facts = host();
        facts.memory.total_mib = 2000;
        for cloud in ["scenario: control\n", ""] {
            let survey = look(&facts, cloud).unwrap();
            assert_eq!(survey.refusals[0].what, "memory");
        }
        assert_eq!(look(&facts, "").unwrap().scenario, "minimal");
    }

    #[test]
    fn services_on_top_are_refused_with_those_that_fit() {
        let own = |name: &str, limit_mib: u32| {
            let kind = format!("{{summary: x, memory: {{idle_mib: 1, limit_mib: {limit_mib}}}}}");
            format!("{{service: {name}, summary: x, containers: {{{name}: {kind}}}}}\n")
        };
        let directory = tempfile::tempdir().unwrap();
        let services = directory.path().join("profiles/services");
        std::fs::create_dir_all(&services).unwrap();
        for (name, limit_mib) in [("small", 64), ("huge", 400_000)] {
            std::fs::write(services.join(format!("{name}.yml")), own(name, limit_mib)).unwrap();
        }
        let profiles = Profiles::load(directory.path()).unwrap();
        let look = |with: &[&str]| {
            let cloud = CloudFile::parse("scenario: minimal\n", "cloud.yml").unwrap();
            let with = with.iter().map(|name| (*name).to_owned()).collect();
            let options = CloudOptions { with, ..CloudOptions::default() };
            survey("aio1", &host(), &profiles, &cloud, &options).unwrap()
        };
        let fits = look(&["small"]);
        assert_eq!((fits.members["small"], fits.refusals.len()), (1, 0));
        let refused = look(&["small", "huge"]).refusals;
        assert_eq!(refused[0].what, "memory");
        let advice = &refused[0].advice;
        assert!(advice.ends_with(" Fewer services fit: --with small"), "{advice}");
        assert!(look(&["huge"]).refusals[0].advice.ends_with(" Without huge it fits."));
    }

    #[test]
    fn a_cloud_is_recognised_without_root_by_its_bridges() {
        let mut facts = host();
        facts.memory.available_mib = 100;
        assert!(!look(&facts, "scenario: control\n").unwrap().refusals.is_empty());
        facts.network.addresses.push(HostAddress {
            interface: "aio1-mgmt".to_owned(),
            address: "172.29.236.100".parse().unwrap(),
            prefix: 22,
        });
        let survey = look(&facts, "scenario: control\n").unwrap();
        assert!(survey.existing);
        assert!(survey.refusals.is_empty());
    }

    #[test]
    fn a_port_that_is_exposed_must_be_free() {
        let mut facts = host();
        let listen = |address: &str| Listener { address: address.parse().unwrap(), port: 5000 };
        let refused = |facts: &HostFacts, cloud: &str| look(facts, cloud).unwrap().refusals;
        facts.network.listening = vec![listen("127.0.0.1"), listen("10.9.9.9")];
        assert!(refused(&facts, "expose: host\n").is_empty());
        facts.network.listening.push(listen("::"));
        assert!(refused(&facts, "").is_empty());
        let all = refused(&facts, "expose: host\n");
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].what, "port 5000 of 192.0.2.2, for keystone_service");
    }
}
