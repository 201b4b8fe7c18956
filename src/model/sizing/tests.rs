use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::demand::Demand;
use super::fit::members;
use super::limits::ID_RANGES;
use super::*;
use crate::config::load::Profiles;
use crate::config::profile::ServiceProfile;
use crate::config::release::Release;
use crate::config::scenario::Scenario;
use crate::error::ErrorKind;
use crate::model::facts::{Ability, Answer, LimitFact, Presence};

/// Read once: the properties below try hundreds of hosts.
static PROFILES: LazyLock<Profiles> =
    LazyLock::new(|| Profiles::load(Path::new("/nonexistent")).unwrap());

/// A host that was recorded with `aio size --output json`, or written in its image.
fn host(name: &str) -> HostFacts {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const ID_TITLE: &str = "ranges of 65536 subordinate ids";

struct World {
    profiles: &'static Profiles,
}

impl World {
    fn new() -> Self {
        Self { profiles: &PROFILES }
    }

    fn release(&self) -> &Release {
        self.profiles.newest_release().unwrap()
    }

    fn services(&self) -> Vec<&ServiceProfile> {
        self.profiles.services.values().collect()
    }

    fn scenarios(&self) -> Vec<&Scenario> {
        self.profiles.scenarios.values().collect()
    }

    fn with<T>(&self, scenario: &str, run: impl FnOnce(&Demand<'_>) -> T) -> T {
        let members = members(&self.profiles.scenarios[scenario]);
        let (release, services) = (self.release(), self.services());
        run(&Demand { release, services: &services, members: &members, existing: false })
    }

    fn size(&self, facts: &HostFacts, scenario: &str) -> crate::error::Result<Sizing> {
        let scenarios = self.scenarios();
        let alternatives = Alternatives { scenarios: &scenarios, members: &members };
        self.with(scenario, |demand| {
            let sized = permit(&refusals(facts, demand)).map(|()| predict(facts, demand));
            sized.map_err(|error| match smaller(facts, demand, &alternatives) {
                Some(sentence) => error.hint(sentence),
                None => error,
            })
        })
    }

    fn choose(&self, facts: &HostFacts) -> crate::error::Result<Chosen> {
        let scenarios = self.scenarios();
        let alternatives = Alternatives { scenarios: &scenarios, members: &members };
        choose_scenario(facts, &alternatives, self.release(), &self.services())
    }
}

#[test]
fn the_reference_machine_gets_the_whole_control_plane() {
    let world = World::new();
    let facts = host("reference-24g.json");
    assert_eq!(world.choose(&facts).unwrap().scenario, "default");
    let sizing = world.size(&facts, "control").unwrap();
    assert_eq!((sizing.api_workers, sizing.rpc_workers), (1, 1));
    assert_eq!((sizing.parallel_packages, sizing.parallel_loads), (2, 2));
    assert!(sizing.predicted_memory_mib <= 2048, "{}", sizing.predicted_memory_mib);
    assert!(sizing.memory_limit_mib["galera"] > 512);
    assert!((80..=150).contains(&sizing.predicted_cold_secs), "{}", sizing.predicted_cold_secs);
    assert!((20..=45).contains(&sizing.predicted_warm_secs), "{}", sizing.predicted_warm_secs);
    // Measured: 1.7 GiB of layers, 0.2 GiB of downloads.
    assert!((2048..=4096).contains(&sizing.predicted_disk_mib), "{}", sizing.predicted_disk_mib);
}

#[test]
fn four_gibibytes_carry_the_smallest() {
    let world = World::new();
    let facts = host("small-4g.json");
    let chosen = world.choose(&facts).unwrap();
    assert_eq!(chosen.scenario, "minimal");
    assert!(chosen.reason.starts_with("`control` does not fit: memory 39"), "{}", chosen.reason);
    let error = world.size(&facts, "control").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Host);
    assert!(error.causes[0].contains("MiB, needed 5"), "{error:?}");
    assert_eq!(
        error.hints.last().unwrap(),
        "The scenario `minimal` fits: aio bootstrap --scenario minimal"
    );
    // Limits stay at what is the least with which each works.
    let sizing = world.size(&facts, "minimal").unwrap();
    assert_eq!(sizing.memory_limit_mib["galera"], 512);
    assert_eq!(sizing.buffer_pool_mib, 128);
}

#[test]
fn a_users_host_is_taken_as_it_is() {
    let facts = host("trixie-systemd-16g.json");
    assert!(refusals_of(&facts).is_empty());
    assert!(notes(&facts).is_empty(), "{:?}", notes(&facts));
    let open = host("reference-24g.json");
    assert!(notes(&open).iter().any(|note| note.contains("AppArmor")), "{:?}", notes(&open));
}

fn refusals_of(facts: &HostFacts) -> Vec<Refusal> {
    World::new().with("minimal", |demand| refusals(facts, demand))
}

#[test]
fn without_overlays_nothing_is_built() {
    let facts = host("no-overlay.json");
    let chosen = World::new().choose(&facts).unwrap();
    assert_eq!(chosen.reason, "the smallest, and not even that fits");
    let error = permit(&refusals_of(&facts)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Host);
    assert_eq!(
        error.causes,
        ["overlay file system: found the kernel was built without CONFIG_OVERLAY_FS, \
          needed a kernel that has it"]
    );
}

#[test]
fn every_shortage_is_named_at_once() {
    let mut facts = host("small-4g.json");
    facts.memory.total_mib = 1024;
    facts.memory.available_mib = 500;
    facts.storage.free_mib = 100;
    facts.storage.free_inodes = Some(7);
    facts.storage.filesystem = "nfs4".to_owned();
    facts.programs.insert("nft".to_owned(), None);
    facts.liblxc = Some("4.0.12".to_owned());
    facts.clock.now = facts.clock.not_before - 10 * 24 * 3600;
    let what: Vec<String> = refusals_of(&facts).into_iter().map(|refusal| refusal.what).collect();
    let path = &facts.storage.path;
    assert_eq!(
        what,
        [
            "the program nft".to_owned(),
            "liblxc".to_owned(),
            format!("file system of {path}"),
            "clock".to_owned(),
            "memory".to_owned(),
            "free memory".to_owned(),
            format!("free disk under {path}"),
            format!("free inodes under {path}"),
        ]
    );
}

#[test]
fn a_cloud_that_is_there_is_not_asked_to_be_free_again() {
    let world = World::new();
    let mut facts = host("small-4g.json");
    facts.memory.available_mib = 200;
    facts.storage.free_mib = 100;
    world.with("minimal", |demand| {
        assert!(!refusals(&facts, demand).is_empty());
        let existing = Demand { existing: true, ..*demand };
        assert!(refusals(&facts, &existing).is_empty());
    });
}

#[test]
fn a_busy_host_gets_a_smaller_cloud_and_is_told_why() {
    let world = World::new();
    let mut facts = host("reference-24g.json");
    facts.memory.available_mib = 4500;
    let chosen = world.choose(&facts).unwrap();
    assert_eq!(chosen.scenario, "minimal");
    assert!(chosen.reason.contains("free memory 4500 MiB found"), "{}", chosen.reason);
    facts.memory.available_mib = 2000;
    let chosen = world.choose(&facts).unwrap();
    assert_eq!(chosen.scenario, "minimal");
    assert!(chosen.reason.starts_with("the smallest, and tight"), "{}", chosen.reason);
}

#[test]
fn a_scenario_of_the_users_is_chosen_by_its_rank() {
    let world = World::new();
    let facts = host("reference-24g.json");
    let choose = |rank| {
        let mine = Scenario {
            scenario: "mine".to_owned(),
            rank,
            ..world.profiles.scenarios["minimal"].clone()
        };
        let scenarios = [world.scenarios(), vec![&mine]].concat();
        let alternatives = Alternatives { scenarios: &scenarios, members: &members };
        choose_scenario(&facts, &alternatives, world.release(), &world.services()).unwrap().scenario
    };
    assert_eq!(choose(35), "mine");
    assert_eq!(choose(25), "default", "a larger one fits");
    assert_eq!(choose(0), "default", "it must be named");
}

#[test]
fn what_is_unknown_refuses_nothing() {
    let mut facts = host("trixie-systemd-16g.json");
    for ability in Ability::ALL {
        facts.abilities.insert(ability, Presence::unknown("nobody could tell"));
    }
    facts.liblxc = None;
    assert_eq!(facts.can(Ability::Overlayfs), Answer::Unknown);
    assert!(refusals_of(&facts).is_empty());
}

#[test]
fn a_host_that_cannot_have_unprivileged_containers_is_refused_with_the_way_out() {
    for (ability, because, way_out) in [
        (Ability::IdMappedMounts, "ext4 has them since kernel 5.19", "--state-dir"),
        (Ability::UserNamespaces, "user.max_user_namespaces is 0", "sysctl"),
    ] {
        let mut facts = host("trixie-systemd-16g.json");
        facts.abilities.insert(ability, Presence::no(because));
        let refusals = refusals_of(&facts);
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert_eq!(
            (refusals[0].what.as_str(), refusals[0].found.as_str()),
            (ability.title(), because)
        );
        assert!(refusals[0].advice.contains(way_out), "{refusals:?}");
    }
}

#[test]
fn a_host_that_lacks_what_nothing_raises_is_refused_with_the_numbers() {
    let mut facts = host("trixie-systemd-16g.json");
    facts.limits.insert(ID_RANGES.to_owned(), LimitFact { most: Some(2), used: None });
    let refusals = World::new().with("control", |demand| refusals(&facts, demand));
    let [refusal] = &refusals[..] else { panic!("{refusals:?}") };
    assert_eq!((refusal.what.as_str(), refusal.found.as_str()), (ID_TITLE, "2"));
    assert!(refusal.needed.parse::<u32>().unwrap() > 10, "{refusal:?}");
    assert!(refusal.advice.contains("/etc/subuid"), "{refusal:?}");
    let smaller = World::new().size(&facts, "control").unwrap_err();
    assert!(smaller.to_string().contains(ID_TITLE), "{smaller}");
}

proptest! {
    #[test]
    fn more_never_gives_less(
        cores in 1_u32..64,
        more_cores in 0_u32..64,
        memory in 512_u64..200_000,
        more_memory in 0_u64..100_000,
        scenario in prop::sample::select(vec!["minimal", "control", "default"]),
    ) {
        let world = World::new();
        let mut facts = host("reference-24g.json");
        let mut predicted = |cores: u32, memory: u64| {
            facts.cores = cores;
            facts.memory.total_mib = memory;
            world.with(scenario, |demand| predict(&facts, demand))
        };
        let small = predicted(cores, memory);
        let roomy = predicted(cores, memory + more_memory);
        let fast = predicted(cores + more_cores, memory);
        prop_assert!(roomy.api_workers >= small.api_workers);
        prop_assert!(roomy.buffer_pool_mib >= small.buffer_pool_mib);
        prop_assert!(roomy.parallel_packages >= small.parallel_packages);
        for (kind, limit) in &small.memory_limit_mib {
            prop_assert!(roomy.memory_limit_mib[kind] >= *limit);
        }
        prop_assert!(fast.api_workers >= small.api_workers);
        prop_assert!(fast.predicted_cold_secs <= small.predicted_cold_secs);
        prop_assert!(fast.predicted_warm_secs <= small.predicted_warm_secs);
    }

    #[test]
    fn a_cloud_that_is_accepted_fits(
        cores in 1_u32..64,
        memory in 512_u64..200_000,
        scenario in prop::sample::select(vec!["minimal", "control", "default"]),
    ) {
        let world = World::new();
        let mut facts = host("reference-24g.json");
        facts.cores = cores;
        facts.memory.total_mib = memory;
        facts.memory.available_mib = memory;
        let Ok(sizing) = world.size(&facts, scenario) else { return Ok(()) };
        world.with(scenario, |demand| {
            let limits: u64 = demand
                .kinds()
                .map(|(name, kind, members)| {
                    let limit = sizing.memory_limit_mib[name];
                    assert!(limit >= demand::limit_mib(kind, sizing.api_workers));
                    limit * u64::from(members)
                })
                .sum();
            prop_assert!(limits <= memory, "{limits} of {memory}");
            prop_assert!(sizing.predicted_memory_mib <= limits);
            prop_assert!(sizing.predicted_disk_mib <= facts.storage.free_mib);
            Ok(())
        })?;
    }
}
