//! The graph of steps: what needs what, in which order, and what is urgent. Pure.
//!
//! A [`Graph`] keeps its steps in topological order, so "every need has a lower index" holds
//! everywhere and the algorithms are single loops.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use crate::engine::key::StepKey;
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};

/// Steps with their needs resolved, in topological order.
#[derive(Clone, Default)]
pub struct Graph {
    steps: Vec<Arc<Step>>,
    /// Indices of the steps that each step needs; all are lower than its own.
    needs: Vec<Vec<usize>>,
    /// The inverse of `needs`.
    dependents: Vec<Vec<usize>>,
}

impl Graph {
    /// Checks the steps and orders them. Steps that are free to go in any order stay in the order
    /// in which they were given.
    ///
    /// # Errors
    /// When two steps have the same key, a need is not there, or steps need each other in a circle.
    pub fn new(steps: Vec<Step>) -> Result<Self> {
        let mut index_of: HashMap<&StepKey, usize> = HashMap::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            if index_of.insert(&step.key, index).is_some() {
                return Err(wrong(format!("two steps have the key `{}`", step.key)));
            }
        }
        let mut needs = Vec::with_capacity(steps.len());
        for step in &steps {
            let resolved: Result<BTreeSet<usize>> = step
                .needs
                .iter()
                .map(|need| {
                    index_of.get(need).copied().ok_or_else(|| {
                        unknown_need(step, need, steps.iter().map(|other| &other.key))
                    })
                })
                .collect();
            needs.push(resolved?);
        }
        let order = topological_order(&needs).map_err(|cycle| {
            let keys: Vec<String> =
                cycle.iter().map(|&index| steps[index].key.to_string()).collect();
            wrong(format!("steps need each other in a circle: {}", keys.join(" needs ")))
        })?;
        Ok(Self::arrange(steps.into_iter().map(Arc::new).collect(), &needs, &order))
    }

    /// Brings steps and needs into `order` and numbers the needs anew.
    fn arrange(steps: Vec<Arc<Step>>, needs: &[BTreeSet<usize>], order: &[usize]) -> Self {
        let mut position = vec![0; steps.len()];
        for (new, &old) in order.iter().enumerate() {
            position[old] = new;
        }
        let mut graph = Self {
            steps: order.iter().map(|&old| Arc::clone(&steps[old])).collect(),
            needs: Vec::with_capacity(order.len()),
            dependents: vec![Vec::new(); order.len()],
        };
        for (new, &old) in order.iter().enumerate() {
            let mut own: Vec<usize> = needs[old].iter().map(|&need| position[need]).collect();
            own.sort_unstable();
            for &need in &own {
                graph.dependents[need].push(new);
            }
            graph.needs.push(own);
        }
        graph
    }

    /// The steps, each after all that it needs.
    pub fn steps(&self) -> &[Arc<Step>] {
        &self.steps
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Indices of the steps that the step at `index` needs directly.
    pub fn needs(&self, index: usize) -> &[usize] {
        &self.needs[index]
    }

    /// Indices of the steps that need the step at `index` directly.
    pub fn dependents(&self, index: usize) -> &[usize] {
        &self.dependents[index]
    }

    /// For each step its own cost and that of the most expensive chain of dependents behind it:
    /// the longer, the more urgent.
    pub fn critical_paths(&self, cost: impl Fn(usize) -> u64) -> Vec<u64> {
        let mut paths = vec![0_u64; self.len()];
        for index in (0..self.len()).rev() {
            let behind = self.dependents[index].iter().map(|&next| paths[next]).max();
            paths[index] = cost(index).saturating_add(behind.unwrap_or(0));
        }
        paths
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn unknown_need<'a>(step: &Step, need: &StepKey, keys: impl Iterator<Item = &'a StepKey>) -> Error {
    let error = wrong(format!("step `{}` needs `{need}`, which no step provides", step.key));
    let wanted = need.to_string();
    let nearest = keys
        .map(|key| (strsim::damerau_levenshtein(&key.to_string(), &wanted), key))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, key)) if distance * 3 <= wanted.len() => {
            error.hint(format!("The nearest key is `{key}`."))
        }
        _ => error,
    }
}

/// Kahn's algorithm; among the free ones the lowest index goes first. The error is one circle, its
/// first index repeated at the end.
fn topological_order(needs: &[BTreeSet<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut open: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut dependents = vec![Vec::new(); needs.len()];
    for (index, own) in needs.iter().enumerate() {
        for &need in own {
            dependents[need].push(index);
        }
    }
    let mut free: BinaryHeap<Reverse<usize>> =
        (0..needs.len()).filter(|&index| open[index] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(Reverse(index)) = free.pop() {
        order.push(index);
        for &next in &dependents[index] {
            open[next] -= 1;
            if open[next] == 0 {
                free.push(Reverse(next));
            }
        }
    }
    if order.len() == needs.len() { Ok(order) } else { Err(find_cycle(needs, &open)) }
}

/// Walks along needs that could not be met until a step comes again. Every step that was left over
/// has such a need, so the walk ends.
fn find_cycle(needs: &[BTreeSet<usize>], open: &[usize]) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    let mut here = open.iter().position(|&count| count > 0);
    while let Some(index) = here {
        if let Some(start) = path.iter().position(|&seen| seen == index) {
            let mut cycle = path.split_off(start);
            cycle.push(index);
            return cycle;
        }
        path.push(index);
        here = needs[index].iter().copied().find(|&need| open[need] > 0);
    }
    path
}

#[cfg(test)]
mod tests;
