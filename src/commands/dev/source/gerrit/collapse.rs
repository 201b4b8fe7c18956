//! One change for each project: a clone is at one commit.

use super::needed::{Needed, Why, unusable};
use crate::commands::dev::source::change::Change;
use crate::error::{Error, Result};

impl Needed {
    /// Whether the other one comes along with this one. With another of its patch sets, too, unless
    /// just that one was asked for.
    fn contains(&self, other: &Self) -> bool {
        let is_asked = other.why.contains(&Why::Asked);
        self.below.iter().any(|below| {
            below.change == other.change
                || (below.change.number == other.change.number && !is_asked)
        })
    }

    /// Takes over why a change that it contains is there.
    fn absorb(&mut self, other: Self) {
        let below = self.below.iter_mut().find(|it| it.change.number == other.change.number);
        if let Some(below) = below {
            below.why.extend(other.why);
        }
    }
}

/// The topmost change of each project, where it contains the project's others.
///
/// # Errors
/// When two of one project do not go together.
pub fn collapse(found: Vec<Needed>, asked: Change) -> Result<Vec<Needed>> {
    let mut projects: Vec<Vec<Needed>> = Vec::new();
    for needed in found {
        match projects.iter_mut().find(|project| project[0].project == needed.project) {
            Some(project) => project.push(needed),
            None => projects.push(vec![needed]),
        }
    }
    projects.into_iter().map(|changes| topmost(changes, asked)).collect()
}

fn topmost(mut changes: Vec<Needed>, asked: Change) -> Result<Needed> {
    let number = |needed: &Needed| needed.change.number;
    let is_topmost = |top: &Needed| {
        changes.iter().all(|other| number(other) == number(top) || top.contains(other))
    };
    let Some(place) = changes.iter().position(is_topmost) else {
        return Err(apart(&changes, asked));
    };
    let mut top = changes.remove(place);
    for other in changes {
        top.absorb(other);
    }
    Ok(top)
}

/// An error about two of a project's changes that do not go together.
fn apart(changes: &[Needed], asked: Change) -> Error {
    let pairs = changes
        .iter()
        .enumerate()
        .flat_map(|(place, one)| changes[place + 1..].iter().map(move |other| (one, other)));
    let mut apart = pairs.filter(|(one, other)| !one.contains(other) && !other.contains(one));
    let (one, other) = apart.next().unwrap_or((&changes[0], &changes[changes.len() - 1]));
    let told = |needed: &Needed| {
        let why: Vec<String> = needed.why.iter().map(ToString::to_string).collect();
        format!("{} for `{}` ({})", needed.change, needed.branch, why.join(", "))
    };
    unusable(asked)
        .because(format!(
            "two changes of {} are needed, and neither contains the other: {} and {}",
            one.project,
            told(one),
            told(other)
        ))
        .hint("In Gerrit, rebase one onto the other, or depend on the one that is on top.")
}
