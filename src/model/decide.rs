//! What a cloud will be, and what is in its way: the one decision that `aio size` prints, `plan` and
//! `bootstrap` act by, and a support bundle encloses.
//!
//! Pure, and it refuses nothing itself: `aio size` also shows a host that is too small, and how far.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::facts::HostFacts;
use super::sizing::demand::Demand;
use super::sizing::limits::{self, Count};
use super::sizing::{self, Alternatives, Refusal, Sizing, choose_scenario};
use super::topology::Networks;
use super::{firewall, ranges};
use crate::config::cloud::{CloudFile, CloudOptions, Expose, Key, Tls, refuse_fixed};
use crate::config::load::Profiles;
use crate::config::network::NetworkRole;
use crate::config::profile::ServiceProfile;
use crate::config::release::Release;
use crate::config::scenario::Scenario;
use crate::error::{Error, ErrorKind, Result};

/// The region in the catalog when nobody names one: OpenStack's own default.
const DEFAULT_REGION: &str = "RegionOne";

/// From what is decided.
#[derive(Clone, Copy)]
pub struct Premises<'a> {
    pub name: &'a str,
    pub facts: &'a HostFacts,
    pub profiles: &'a Profiles,
    /// The cloud's file with options applied, all but the services that they add to the scenario or
    /// leave out of it.
    pub file: &'a CloudFile,
    /// The cloud as the last `bootstrap` wanted it, if it is there and known.
    pub former: Option<&'a Cloud>,
    /// Whether it is on its way to another release.
    pub upgrades: bool,
}

/// What will be built, and whether the host can carry it.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    pub cloud: String,
    /// Whether it, or a part of it, is there already.
    pub existing: bool,
    #[serde(serialize_with = "release_name")]
    pub release: Release,
    #[serde(serialize_with = "scenario_name")]
    pub scenario: Scenario,
    /// Why this scenario; empty when the user named it.
    pub reason: String,
    pub members: BTreeMap<String, u32>,
    pub networks: Networks,
    /// Why a network has another range than its default.
    pub network_reasons: BTreeMap<NetworkRole, String>,
    /// From where it is reached, and how: for people.
    pub reached: String,
    pub sizing: Sizing,
    /// What the kernel counts: how much there is of it, in use by others, and needed.
    pub limits: Vec<Count>,
    /// What the host lacks.
    pub refusals: Vec<Refusal>,
    /// What it could carry instead: sentences.
    pub instead: Vec<String>,
    /// What a user should know about the host.
    pub notes: Vec<String>,
    /// Firewalls of the host that are in the way: sentences.
    #[serde(skip)]
    pub obstacles: Vec<String>,
    /// The cloud's file with everything that was chosen, each with its reason.
    #[serde(skip)]
    pub file: CloudFile,
}

fn release_name<S: Serializer>(release: &Release, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&release.release)
}

fn scenario_name<S: Serializer>(scenario: &Scenario, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&scenario.scenario)
}

impl Decision {
    /// # Errors
    /// When the host cannot carry the cloud: every number found, every number needed, and what would fit.
    pub fn permit(&self) -> Result<()> {
        let refused = sizing::permit(&self.refusals);
        refused.map_err(|error| error.hints(self.instead.iter().cloned()))
    }

    /// The whole of it in JSON, with the facts from which it follows.
    pub fn report(&self, facts: &HostFacts) -> Value {
        json!({ "facts": facts, "cloud": self, "obstacles": self.obstacles })
    }
}

/// # Errors
/// When the files contradict themselves, the host, or the cloud that is there: an unknown scenario, a
/// range that is taken, another number of members of a cluster.
pub fn decide(premises: &Premises<'_>, choices: &CloudOptions) -> Result<Decision> {
    let Premises { name, facts, profiles, former, .. } = *premises;
    let mut file = premises.file.clone();
    let release = release(profiles, &mut file)?;
    if !premises.upgrades {
        refuse_another(former, release)?;
    }
    let (scenario, reason) = scenario(premises, choices, release, &mut file)?;
    file.decide(Key::Name, name, "")?;
    file.decide(Key::Patience, "1", "")?;
    file.decide(Key::Region, DEFAULT_REGION, "OpenStack's own default")?;
    file.change_services(choices, scenario, profiles)?;
    let members = file.members(scenario, profiles)?;
    let present = former.map(Cloud::count_members).unwrap_or_default();
    refuse_fixed(profiles, &present, &members)?;
    let (networks, network_reasons) = networks(premises, &mut file)?;
    file.decide(Key::Tls, "exposed", "the default: what is reached from outside speaks TLS")?;

    let existing = former.is_some() || facts.holds(name);
    let services: Vec<&ServiceProfile> = profiles.services.values().collect();
    let demand = Demand { release, services: &services, members: &members, existing };
    // A host that carries the cloud as it is needs no proof that it can.
    let carried = former.filter(|_| present == members);
    let mut refusals = match carried {
        Some(_) => Vec::new(),
        None => sizing::refusals(facts, &demand),
    };
    let instead = if refusals.is_empty() {
        Vec::new()
    } else {
        instead(premises, choices, scenario, &demand)
    };
    refusals.extend(refused_exposure(facts, &demand, &networks, &file));
    let chains = &facts.network.forward_chains;
    let exposed = networks.exposed_address.is_some();
    Ok(Decision {
        cloud: name.to_owned(),
        existing,
        release: release.clone(),
        scenario: scenario.clone(),
        reason,
        network_reasons,
        reached: reached(networks.exposed_address, file.tls()),
        sizing: sizing(facts, &demand, former, carried),
        limits: limits::counts(facts, demand.containers(), existing),
        refusals,
        instead,
        notes: sizing::notes(facts),
        obstacles: firewall::sentences(name, &networks.networks, exposed, chains),
        members,
        networks,
        file,
    })
}

/// The release that is named, or the newest.
fn release<'a>(profiles: &'a Profiles, file: &mut CloudFile) -> Result<&'a Release> {
    let found = match file.release() {
        Some(name) => profiles.releases.get(name),
        None => profiles.newest_release(),
    };
    let release = found.ok_or_else(|| {
        let known: Vec<&str> = profiles.releases.keys().map(String::as_str).collect();
        let named = file.release().unwrap_or_default();
        Error::new(ErrorKind::Config, format!("find the release `{named}`"))
            .because(format!("there is {}", known.join(", ")))
    })?;
    file.decide(Key::Release, &release.release, "the newest that there is a profile for")?;
    Ok(release)
}

/// A cloud keeps its release: schemas have no way back, and the way on is more than other containers.
fn refuse_another(former: Option<&Cloud>, release: &Release) -> Result<()> {
    let Some(former) = former.filter(|former| former.release.release != release.release) else {
        return Ok(());
    };
    let (from, to) = (&former.release.release, &release.release);
    let doing = format!("change the release of cloud `{}` from {from} to {to}", former.name);
    let upgrade = format!("Upgrade it: aio upgrade --to {to}");
    let follows = release.upgrades_from.iter().any(|series| series == former.release.series());
    Err(Error::new(ErrorKind::Config, doing)
        .because("its databases are of the former")
        .hints(follows.then_some(upgrade))
        .hint(format!("Keep it: --set release={from}"))
        .hint(format!("Build a cloud of {to} beside it: --name NAME bootstrap --set release={to}")))
}

/// The scenario that is named, or the largest that fits; with why it was chosen.
fn scenario<'a>(
    premises: &Premises<'a>,
    choices: &CloudOptions,
    release: &Release,
    file: &mut CloudFile,
) -> Result<(&'a Scenario, String)> {
    let profiles = premises.profiles;
    let mut reason = String::new();
    if file.scenario().is_none() {
        let services: Vec<&ServiceProfile> = profiles.services.values().collect();
        let scenarios: Vec<&Scenario> = profiles.scenarios.values().collect();
        let members = |scenario: &Scenario| file.members_with(choices, scenario, profiles);
        let alternatives = Alternatives { scenarios: &scenarios, members: &members };
        let chosen = choose_scenario(premises.facts, &alternatives, release, &services)?;
        file.decide(Key::Scenario, &chosen.scenario, &chosen.reason)?;
        reason = chosen.reason;
    }
    let name = file.scenario().unwrap_or_default();
    let scenario = profiles.scenarios.get(name).ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("find the scenario `{name}`"))
            .because("no profile describes it")
    })?;
    Ok((scenario, reason))
}

/// Ranges and addresses, and why some are not the default.
fn networks(
    premises: &Premises<'_>,
    file: &mut CloudFile,
) -> Result<(Networks, BTreeMap<NetworkRole, String>)> {
    let facts = premises.facts;
    let choice = ranges::choose(premises.name, &file.networks(), &facts.network)?;
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
        Expose::Host => facts.own_address(),
        Expose::Address(address) => Some(address),
    };
    Ok((networks, choice.reasons))
}

/// Returns why the cloud cannot be reached from outside as it is asked to be.
fn refused_exposure(
    facts: &HostFacts,
    demand: &Demand<'_>,
    networks: &Networks,
    file: &CloudFile,
) -> Vec<Refusal> {
    match networks.exposed_address {
        Some(address) => sizing::taken_ports(facts, demand, (address, file.tls() != Tls::Off)),
        None if file.expose() == Expose::Host => vec![Refusal {
            what: "an address of this host to expose the cloud on".to_owned(),
            found: "no default route with an address".to_owned(),
            needed: "one".to_owned(),
            advice: "Name one: `aio bootstrap --expose ADDRESS`.".to_owned(),
        }],
        None => Vec::new(),
    }
}

/// Returns what a host that cannot carry this cloud could carry instead: less of it, or another.
fn instead(
    premises: &Premises<'_>,
    choices: &CloudOptions,
    scenario: &Scenario,
    demand: &Demand<'_>,
) -> Vec<String> {
    let Premises { facts, profiles, file, .. } = *premises;
    let scenarios: Vec<&Scenario> = profiles.scenarios.values().collect();
    let members = |scenario: &Scenario| file.members_with(choices, scenario, profiles);
    let alternatives = Alternatives { scenarios: &scenarios, members: &members };
    let members_with = |with: &[String]| {
        let choices = CloudOptions { with: with.to_vec(), ..choices.clone() };
        file.members_with(&choices, scenario, profiles)
    };
    let smaller = sizing::smaller(facts, demand, &alternatives);
    let fewer = sizing::fewer_services(facts, demand, &choices.with, &members_with);
    smaller.into_iter().chain(fewer).collect()
}

/// The numbers. What the first run measured stays: else a busy moment would change every file. So do the
/// limits of the kinds that are there: a changed one restarts a container.
fn sizing(
    facts: &HostFacts,
    demand: &Demand<'_>,
    former: Option<&Cloud>,
    carried: Option<&Cloud>,
) -> Sizing {
    let predicted = sizing::predict(facts, demand);
    match (carried, former) {
        (Some(carried), _) => carried.sizing.clone(),
        (None, Some(former)) => {
            let mut memory_limit_mib = predicted.memory_limit_mib;
            memory_limit_mib.extend(former.sizing.memory_limit_mib.clone());
            Sizing {
                predicted_memory_mib: predicted.predicted_memory_mib,
                predicted_disk_mib: predicted.predicted_disk_mib,
                memory_limit_mib,
                ..former.sizing.clone()
            }
        }
        (None, None) => predicted,
    }
}

/// Returns where a cloud is reached from outside, in words.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::facts::{ForwardChain, HostAddress, Listener};
    use crate::render::testing;

    fn host() -> HostFacts {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts/trixie-systemd-16g.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn decided(
        facts: &HostFacts,
        profiles: &Profiles,
        file: &CloudFile,
        choices: &CloudOptions,
    ) -> Result<Decision> {
        let premises =
            Premises { name: "aio1", facts, profiles, file, former: None, upgrades: false };
        decide(&premises, choices)
    }

    fn look(facts: &HostFacts, cloud: &str) -> Result<Decision> {
        let profiles = Profiles::load(Path::new("/nonexistent")).unwrap();
        let cloud = CloudFile::parse(cloud, "cloud.yml").unwrap();
        decided(facts, &profiles, &cloud, &CloudOptions::default())
    }

    #[test]
    fn a_users_host_with_lxcs_own_bridge() {
        let decision = look(&host(), "").unwrap();
        assert_eq!(decision.scenario.scenario, "control");
        assert!(decision.refusals.is_empty());
        assert!(!decision.existing);
        assert_eq!(
            decision.network_reasons[&NetworkRole::Nat],
            "10.0.4.0/24 in place of 10.0.3.0/24: lxcbr0 has 10.0.3.1/24"
        );
    }

    #[test]
    fn what_the_file_says_is_used() {
        let text = "scenario: control\nmembers: {galera: 1}\n\
                    networks: {management: 10.9.0.0/24}\nvirtual_address: 10.9.0.50\n";
        let decision = look(&host(), text).unwrap();
        assert_eq!(
            (decision.scenario.scenario.as_str(), decision.reason.as_str()),
            ("control", "")
        );
        assert_eq!(decision.members["galera"], 1);
        assert_eq!(decision.networks.virtual_address.to_string(), "10.9.0.50");
        let taken = look(&host(), "networks: {nat: 10.0.3.0/24}\n").unwrap_err();
        assert_eq!(taken.kind, ErrorKind::Config);
    }

    #[test]
    fn a_cloud_keeps_its_release() {
        let profiles = Profiles::built_in().unwrap();
        let release = |name: &str| profiles.releases[name].clone();
        let mut former = testing::cloud(&testing::profiles(&[]));
        former.release = release("2026.1");
        assert!(refuse_another(None, &release("2026.2")).is_ok());
        assert!(refuse_another(Some(&former), &release("2026.1")).is_ok());
        let error = refuse_another(Some(&former), &release("2026.2")).unwrap_err();
        assert!(error.message.ends_with("from 2026.1 to 2026.2"), "{error}");
        assert_eq!(error.hints[0], "Upgrade it: aio upgrade --to 2026.2");
        assert_eq!(error.hints[1], "Keep it: --set release=2026.1");
        former.release = release("2025.1");
        let error = refuse_another(Some(&former), &release("2026.2")).unwrap_err();
        assert_eq!(error.hints[0], "Keep it: --set release=2025.1", "no way leads there at once");
    }

    #[test]
    fn a_host_that_is_too_small_is_shown_and_refused() {
        let mut facts = host();
        facts.memory.total_mib = 2000;
        for cloud in ["scenario: control\n", ""] {
            let decision = look(&facts, cloud).unwrap();
            assert_eq!(decision.refusals[0].what, "memory");
        }
        assert_eq!(look(&facts, "").unwrap().scenario.scenario, "minimal");
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
            decided(&host(), &profiles, &cloud, &options).unwrap()
        };
        let fits = look(&["small"]);
        assert_eq!((fits.members["small"], fits.refusals.len()), (1, 0));
        let refused = look(&["small", "huge"]);
        assert_eq!(refused.refusals[0].what, "memory");
        assert_eq!(refused.instead, ["Fewer services fit: --with small"]);
        assert_eq!(look(&["huge"]).instead, ["Without huge it fits."]);
        let error = look(&["huge"]).permit().unwrap_err();
        assert_eq!(error.hints.last().unwrap(), "Without huge it fits.");
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
        let decision = look(&facts, "scenario: control\n").unwrap();
        assert!(decision.existing);
        assert!(decision.refusals.is_empty());
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

    #[test]
    fn a_host_without_a_default_route_has_no_address_to_be_reached_at() {
        let mut facts = host();
        facts.network.routes.clear();
        let refused = look(&facts, "expose: host\n").unwrap().permit().unwrap_err();
        assert!(refused.to_string().contains("no default route"), "{refused}");
        assert!(look(&facts, "").unwrap().refusals.is_empty());
    }

    #[test]
    fn a_firewall_is_in_the_way_of_those_to_whom_the_file_exposes_the_cloud() {
        let mut facts = host();
        facts.network.forward_chains = vec![ForwardChain {
            owner: "nftables".to_owned(),
            chain: "inet filter forward".to_owned(),
            otherwise: "reject".to_owned(),
            // The user lets containers out, and answers in: nobody else comes to them.
            accepts_from: vec!["aio1-*".to_owned()],
            accepts_to: Vec::new(),
            accepts_answers: true,
            accepts_translated: false,
        }];
        let obstacles = |cloud: &str| look(&facts, cloud).unwrap().obstacles;
        assert_eq!(obstacles(""), Vec::<String>::new());
        assert_eq!(obstacles("expose: off\n"), Vec::<String>::new());
        let found = obstacles("expose: host\n");
        // What the step that makes the network says.
        let networks = look(&facts, "").unwrap().networks.networks;
        let chains = &facts.network.forward_chains;
        assert_eq!(found, firewall::sentences("aio1", &networks, true, chains));
        assert!(found[0].contains("inet filter forward"), "{found:?}");
    }
}
