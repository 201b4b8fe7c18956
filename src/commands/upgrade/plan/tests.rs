use std::collections::BTreeMap;

use super::*;
use crate::commands::upgrade::order::stretches;
use crate::engine::graph::Graph;
use crate::model::layer::{LayerSpec, PythonSpec};
use crate::plan::bootstrap;
use crate::render::builtin_tests::each_scenario;

const PYTHON: &str = "python-2";

/// A layer with a release's Python.
fn layer() -> (String, LayerSpec) {
    let python = PythonSpec {
        version: "3.13".to_owned(),
        home: "/opt/openstack".to_owned(),
        lock: String::new(),
        modules: Vec::new(),
        keep_tests: Vec::new(),
        certificates: Vec::new(),
    };
    let spec = LayerSpec {
        name: "python".to_owned(),
        parent: None,
        suite: "trixie".to_owned(),
        packages: Vec::new(),
        keep_units: Vec::new(),
        mask_units: Vec::new(),
        python: Some(python),
        users: BTreeMap::new(),
        script: String::new(),
        files: Vec::new(),
        drop: Vec::new(),
    };
    (PYTHON.to_owned(), spec)
}

/// The same cloud with other layers wherever OpenStack runs.
fn wanted(former: &Cloud) -> Cloud {
    let mut wanted = former.clone();
    wanted.release.release = "9999.9".to_owned();
    // One that is half-way has it.
    wanted.layers.retain(|(id, _)| id != PYTHON);
    wanted.layers.push(layer());
    for container in &mut wanted.containers {
        let (_, kind) = former.kind(&container.kind).unwrap();
        if kind.layers.contains(&"openstack".to_owned()) {
            container.layers = vec![PYTHON.to_owned()];
        }
    }
    let mut order: Vec<ServiceProfile> = Vec::new();
    while let Some(next) = wanted.services.iter().position(|service| {
        let waits = |needed: &String| wanted.services.iter().any(|it| it.service == *needed);
        !service.needs.iter().any(waits)
    }) {
        order.push(wanted.services.remove(next));
    }
    wanted.services = order;
    wanted
}

/// The upgrade's graph of a cloud with those that serve, and where a step is in it.
struct Found {
    graph: Graph,
    stretches: Vec<Stretch>,
}

fn found(
    former: &Cloud,
    renderer: &Renderer,
    leave: &[&str],
    serves: impl Fn(&Container) -> bool,
) -> Found {
    found_beside(former, renderer, leave, serves, |_| false)
}

/// The same with those that run and do not seem to serve.
fn found_beside(
    former: &Cloud,
    renderer: &Renderer,
    leave: &[&str],
    serves: impl Fn(&Container) -> bool,
    is_unwell: impl Fn(&Container) -> bool,
) -> Found {
    let leave: BTreeSet<String> = leave.iter().map(|kind| (*kind).to_owned()).collect();
    let wanted = mixed(former, &wanted(former), leave.clone());
    let site = Arc::new(Site::new(wanted, BTreeMap::new()));
    let kinds = |container: &Container| container.software().contains(&PYTHON.to_owned());
    let all = site.cloud.containers.iter();
    let comes: Vec<&Container> = all.filter(|it| kinds(it)).collect();
    let those = |which: &dyn Fn(&Container) -> bool| -> Vec<Container> {
        comes.iter().filter(|it| which(it)).map(|it| (*it).clone()).collect()
    };
    let (serving, unwell) = (those(&serves), those(&is_unwell));
    let stretches = stretches(former, &site.cloud, serving.iter().chain(&unwell));
    let paths = Paths::below(std::path::Path::new("/nonexistent"));
    let plan = Plan {
        paths: &paths,
        site: &site,
        renderer,
        former,
        stretches: &stretches,
        leave: &leave,
        serving: &serving,
        unwell: &unwell,
    };
    let steps = plan.steps(bootstrap::steps(&site, renderer).unwrap()).unwrap();
    Found { graph: Graph::new(steps).unwrap(), stretches }
}

impl Found {
    fn place(&self, key: &StepKey) -> Option<usize> {
        self.graph.steps().iter().position(|step| step.key == *key)
    }

    /// Whether the one cannot begin before the other has ended.
    fn waits(&self, one: &StepKey, other: &StepKey) -> bool {
        let (Some(one), Some(other)) = (self.place(one), self.place(other)) else { return false };
        let mut open = vec![one];
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            if next == other {
                return true;
            }
            if seen.insert(next) {
                open.extend(self.graph.needs(next));
            }
        }
        false
    }
}

fn member(kind: &str, member: u32, step: ContainerStep) -> StepKey {
    StepKey::Container { kind: kind.to_owned(), member, step }
}

fn schema(service: &str) -> StepKey {
    StepKey::Setup { service: service.to_owned(), command: "schema".to_owned() }
}

#[test]
fn databases_come_first_then_members_then_what_the_former_release_cannot_live_with() {
    use ContainerStep::{Define, Units};
    each_scenario(|cloud, renderer| {
        let found = found(cloud, renderer, &[], |_| true);
        let expand = own_key("keystone", "expand");
        let begin = own_key("keystone", "begin");
        let mut members = 0;
        for one in cloud.members("keystone") {
            let define = member("keystone", one.member, Define);
            assert!(found.waits(&define, &begin) && found.waits(&begin, &expand));
            assert!(found.waits(&schema("keystone"), &member("keystone", one.member, Units)));
            members += 1;
        }
        if members > 1 {
            let second = member("keystone", 2, Define);
            assert!(found.waits(&second, &member("keystone", 1, ContainerStep::Rejoin)));
        }
        let verify = StepKey::CloudVerify;
        assert!(found.waits(&verify, &schema("keystone")));
    });
}

#[test]
fn a_service_begins_when_the_one_before_serves_and_hypervisors_come_last() {
    use ContainerStep::{Define, Units};
    let mut seen = 0;
    each_scenario(|cloud, renderer| {
        let found = found(cloud, renderer, &[], |_| true);
        for pair in found.stretches.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            for kind in &before.kinds {
                let units = member(kind, 1, Units);
                assert!(found.waits(&recorded_key(after), &units), "{after:?} {kind}");
            }
        }
        if cloud.members("nova_compute").next().is_some() {
            let define = member("nova_compute", 1, Define);
            assert!(found.waits(&define, &member("trove_api", 1, Units)));
            assert!(found.waits(&StepKey::CloudVerify, &member("nova_compute", 1, Units)));
            assert!(!found.waits(&schema("nova"), &member("nova_compute", 1, Units)));
            seen += 1;
        }
    });
    assert!(seen > 0);
}

#[test]
fn what_is_left_is_not_touched() {
    let mut seen = 0;
    each_scenario(|cloud, renderer| {
        if cloud.members("nova_compute").next().is_none() {
            return;
        }
        let found = found(cloud, renderer, &["nova_compute"], |_| true);
        assert!(found.stretches.iter().all(|stretch| !stretch.last));
        let define = member("nova_compute", 1, ContainerStep::Define);
        assert!(!found.waits(&define, &own_key("nova", "begin")));
        seen += 1;
    });
    assert!(seen > 0);
}

#[test]
fn where_nobody_serves_schemas_come_before_the_units_as_in_a_new_cloud() {
    each_scenario(|cloud, renderer| {
        let found = found(cloud, renderer, &[], |_| false);
        assert_eq!(found.place(&own_key("keystone", "expand")), None);
        let units = member("keystone", 1, ContainerStep::Units);
        assert!(found.waits(&units, &schema("keystone")));
    });
}

#[test]
fn a_run_that_was_cut_off_between_two_members_goes_on_as_it_began() {
    use ContainerStep::{Define, Units};
    let mut seen = 0;
    each_scenario(|cloud, renderer| {
        if cloud.members("keystone").count() < 2 {
            return;
        }
        // It was written down that keystone comes along, and its first member has.
        let order = stretches(cloud, &wanted(cloud), []);
        let left = BTreeSet::new();
        let behind = still_behind(cloud, "9999.9", &order, 1, &left);
        assert!(!behind.contains("keystone"), "{order:?}");
        let half_way = mixed(cloud, &wanted(cloud), behind);
        let found = found(&half_way, renderer, &[], |it| it.kind != "keystone" || it.member == 2);
        let second = member("keystone", 2, Units);
        assert!(found.waits(&schema("keystone"), &second), "the former one still served");
        assert!(found.waits(&member("keystone", 2, Define), &own_key("keystone", "expand")));
        let next = &found.stretches[1];
        assert!(found.waits(&recorded_key(next), &second));
        seen += 1;
    });
    assert!(seen > 0);
}

/// Kinds with several members that come along, each with the cloud that was cut off in it.
fn cut_off(cloud: &Cloud) -> Vec<(String, Cloud)> {
    let order = stretches(cloud, &wanted(cloud), []);
    let mut found = Vec::new();
    for (index, stretch) in order.iter().enumerate() {
        let behind = still_behind(cloud, "9999.9", &order, index + 1, &BTreeSet::new());
        let several = stretch.kinds.iter().filter(|kind| cloud.members(kind).count() > 1);
        for kind in several {
            found.push((kind.clone(), mixed(cloud, &wanted(cloud), behind.clone())));
        }
    }
    found
}

#[test]
fn a_member_that_is_on_its_way_up_is_back_in_service_before_the_next_one_goes() {
    use ContainerStep::{Define, Rejoin, Units};
    let mut seen = 0;
    each_scenario(|cloud, renderer| {
        for (kind, half_way) in cut_off(cloud) {
            for away in half_way.members(&kind) {
                let is_away = |it: &Container| it.kind == kind && it.member == away.member;
                let found = found(&half_way, renderer, &[], |it| !is_away(it));
                for next in half_way.members(&kind).filter(|it| !is_away(it)) {
                    let define = member(&kind, next.member, Define);
                    let back = member(&kind, away.member, Rejoin);
                    assert!(found.waits(&define, &back), "{define} does not wait for {back}");
                    assert!(found.waits(&back, &member(&kind, away.member, Units)));
                }
                seen += 1;
            }
        }
    });
    assert!(seen > 0);
}

#[test]
fn it_is_so_where_none_of_the_others_seems_to_serve() {
    use ContainerStep::{Define, Rejoin};
    let mut seen = 0;
    each_scenario(|cloud, renderer| {
        for (kind, half_way) in cut_off(cloud) {
            // The first has come along; the power was cut.
            let later = |it: &Container| it.kind == kind && it.member > 1;
            let found = found_beside(&half_way, renderer, &[], |it| it.kind != kind, later);
            for next in half_way.members(&kind).filter(|it| later(it)) {
                let define = member(&kind, next.member, Define);
                let back = member(&kind, 1, Rejoin);
                assert!(found.waits(&define, &back), "{define} does not wait for {back}");
            }
            // Who comes after the kind waits for it as if it had not been cut off.
            let place = found.stretches.iter().position(|it| it.kinds.contains(&kind));
            let after = found.stretches.get(place.unwrap() + 1);
            let last = member(&kind, 2, ContainerStep::Units);
            assert!(after.is_none_or(|after| found.waits(&recorded_key(after), &last)), "{kind}");
            seen += 1;
        }
    });
    assert!(seen > 0);
}

#[test]
fn whoever_seems_not_to_serve_makes_no_circle() {
    each_scenario(|cloud, renderer| {
        for (kind, half_way) in cut_off(cloud) {
            for away in half_way.members(&kind) {
                for unwell in half_way.members(&kind).filter(|it| it.member != away.member) {
                    let serves = |it: &Container| it.name != away.name && it.name != unwell.name;
                    found_beside(&half_way, renderer, &[], serves, |it| it.name == unwell.name);
                }
            }
        }
        found_beside(cloud, renderer, &[], |_| false, |_| true);
    });
}
