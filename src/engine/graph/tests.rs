use std::collections::BTreeSet;

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::engine::event::{Phase, Resource};
use crate::engine::step::{Action, Observation, StepContext};

struct Nothing;

#[async_trait]
impl Action for Nothing {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }

    async fn act(&self, _: &StepContext) -> Result<()> {
        Ok(())
    }
}

fn step(key: &str, needs: &[&str], estimate_ms: u64) -> Step {
    Step {
        key: StepKey::new(key),
        title: key.to_owned(),
        phase: Phase::Services,
        resource: Resource::Light,
        needs: needs.iter().map(|need| StepKey::new(*need)).collect(),
        estimate_ms,
        action: Arc::new(Nothing),
    }
}

fn keys(graph: &Graph) -> Vec<String> {
    graph.steps().iter().map(|step| step.key.to_string()).collect()
}

#[test]
fn orders_by_need_and_otherwise_as_given() {
    let graph = Graph::new(vec![
        step("start", &["define", "network"], 0),
        step("network", &[], 0),
        step("define", &["layer"], 0),
        step("layer", &[], 0),
    ])
    .unwrap();
    assert_eq!(keys(&graph), ["network", "layer", "define", "start"]);
    assert_eq!(graph.needs(3), [0, 2]);
    assert_eq!(graph.dependents(1), [2]);
}

#[test]
fn names_an_unknown_need_and_the_nearest_key() {
    let error =
        Graph::new(vec![step("layer/base", &[], 0), step("start", &["layer/bse"], 0)]).err();
    let error = error.unwrap();
    assert_eq!(error.to_string(), "step `start` needs `layer/bse`, which no step provides");
    assert_eq!(error.hints, ["The nearest key is `layer/base`."]);
}

#[test]
fn names_a_double_key() {
    let error = Graph::new(vec![step("a", &[], 0), step("a", &[], 0)]).err().unwrap();
    assert_eq!(error.to_string(), "two steps have the key `a`");
}

#[test]
fn names_the_circle_and_nothing_beside_it() {
    let error = Graph::new(vec![
        step("free", &[], 0),
        step("behind", &["a"], 0),
        step("a", &["free", "b"], 0),
        step("b", &["c"], 0),
        step("c", &["a"], 0),
    ])
    .err()
    .unwrap();
    assert_eq!(error.to_string(), "steps need each other in a circle: a needs b needs c needs a");
    let own = Graph::new(vec![step("a", &["a"], 0)]).err().unwrap();
    assert_eq!(own.to_string(), "steps need each other in a circle: a needs a");
}

#[test]
fn the_longest_chain_is_the_most_urgent() {
    let graph = Graph::new(vec![
        step("short", &[], 50),
        step("long", &[], 10),
        step("middle", &["long"], 20),
        step("end", &["middle", "short"], 40),
    ])
    .unwrap();
    let paths = graph.critical_paths(|index| graph.steps()[index].estimate_ms);
    assert_eq!(keys(&graph), ["short", "long", "middle", "end"]);
    assert_eq!(paths, [90, 70, 60, 40]);
}

/// A graph without circles: edges go from a higher rank to a lower one, and the ranks are shuffled
/// over the names.
fn acyclic() -> impl Strategy<Value = Vec<(usize, Vec<usize>, u64)>> {
    (1_usize..24).prop_flat_map(|count| {
        let ranks = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
        let edges = proptest::collection::vec((0..count, 0..count), 0..count * 3);
        let costs = proptest::collection::vec(0_u64..1000, count);
        (ranks, edges, costs).prop_map(|(ranks, edges, costs)| {
            (0..ranks.len())
                .map(|index| {
                    let needs: BTreeSet<usize> = edges
                        .iter()
                        .filter(|(from, to)| *from == index && ranks[*to] < ranks[index])
                        .map(|(_, to)| *to)
                        .collect();
                    (index, needs.into_iter().collect(), costs[index])
                })
                .collect()
        })
    })
}

fn build(description: &[(usize, Vec<usize>, u64)]) -> Result<Graph> {
    let steps = description.iter().map(|(index, needs, cost)| {
        let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        step(&index.to_string(), &needs, *cost)
    });
    Graph::new(steps.collect())
}

proptest! {
    #[test]
    fn every_step_comes_once_and_after_its_needs(description in acyclic()) {
        let graph = build(&description).unwrap();
        prop_assert_eq!(graph.len(), description.len());
        let distinct: BTreeSet<String> = keys(&graph).into_iter().collect();
        prop_assert_eq!(distinct.len(), description.len());
        for index in 0..graph.len() {
            prop_assert!(graph.needs(index).iter().all(|&need| need < index));
            for &next in graph.dependents(index) {
                prop_assert!(graph.needs(next).contains(&index));
            }
        }
    }

    #[test]
    fn a_step_is_more_urgent_than_each_that_needs_it(description in acyclic()) {
        let graph = build(&description).unwrap();
        let cost = |index: usize| graph.steps()[index].estimate_ms;
        let paths = graph.critical_paths(cost);
        for index in 0..graph.len() {
            let behind = graph.dependents(index).iter().map(|&next| paths[next]).max();
            prop_assert_eq!(paths[index], cost(index) + behind.unwrap_or(0));
        }
    }

    #[test]
    fn a_circle_is_found_whatever_surrounds_it(description in acyclic(), back in any::<(usize, usize)>()) {
        let graph = build(&description).unwrap();
        let with_needs: Vec<usize> =
            (0..graph.len()).filter(|&index| !graph.needs(index).is_empty()).collect();
        prop_assume!(!with_needs.is_empty());
        let end = with_needs[back.0 % with_needs.len()];
        let needs = graph.needs(end);
        let start = needs[back.1 % needs.len()];
        let key_of = |index: usize| graph.steps()[index].key.to_string().parse::<usize>().unwrap();
        let mut circular = description.clone();
        circular[key_of(start)].1.push(key_of(end));
        let error = build(&circular).err().unwrap();
        let prefix = "steps need each other in a circle: ";
        let text = error.to_string();
        let cycle: Vec<usize> = text
            .strip_prefix(prefix).unwrap().split(" needs ").map(|key| key.parse().unwrap()).collect();
        prop_assert_eq!(cycle.first(), cycle.last());
        for pair in cycle.windows(2) {
            prop_assert!(circular[pair[0]].1.contains(&pair[1]));
        }
    }
}
