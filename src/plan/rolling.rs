//! Running members whose definition changed, replaced one at a time.
//!
//! A container can only be defined anew while it is stopped. The steps of [`super::bootstrap`] do so
//! with all members of a kind together: right for a cloud that does not run yet, wrong for one in
//! use, whose definitions all differ after an upgrade of `aio`. [`one_at_a_time`] is told which
//! members serve and differ and puts their steps in a row: the next member is stopped when the one
//! before is in service again. What does not serve is made anew at once, before the row. Where
//! nothing that serves differs, the graph stays as it is. Of whom nobody knows whether it serves,
//! [`stay_first`] takes care.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::only_among;
use crate::config::profile::ServiceProfile;
use crate::engine::key::{ContainerStep, StepKey};
use crate::engine::step::Step;
use crate::error::Result;
use crate::model::topology::Container;
use crate::plan::bootstrap::{back_in_service, container_key, form_key, ready_key};
use crate::steps::cluster::Form;
use crate::steps::site::Site;

/// Puts the steps of members that serve and are to be defined anew in a row, for each kind.
pub fn one_at_a_time(
    mut steps: Vec<Step>,
    site: &Arc<Site>,
    replaced: &[Container],
) -> Result<Vec<Step>> {
    for service in &site.cloud.services {
        for kind in service.containers.keys() {
            let members: Vec<Container> = site.cloud.members(kind).cloned().collect();
            let (rolled, others): (Vec<Container>, Vec<Container>) =
                members.into_iter().partition(|member| replaced.contains(member));
            if !rolled.is_empty() && rolled.len() + others.len() > 1 {
                queue_up(&mut steps, site, service, &rolled, &others)?;
            }
        }
    }
    for member in replaced {
        stop_late(&mut steps, site, member);
    }
    Ok(only_among(steps))
}

/// The row of one kind. `others` are not in service, or as they should be.
fn queue_up(
    steps: &mut Vec<Step>,
    site: &Arc<Site>,
    service: &ServiceProfile,
    rolled: &[Container],
    others: &[Container],
) -> Result<()> {
    let Some(first) = rolled.first() else { return Ok(()) };
    // One of its members runs: it has its first state. The step waits for the files of all members.
    let seed = StepKey::ClusterSeed(first.kind.clone());
    steps.retain(|step| step.key != seed);
    let form = Form::of(site, &first.kind)?;
    let mut before: Vec<StepKey> = Vec::new();
    let mut late: Vec<&Container> = Vec::new();
    for member in others {
        // All others are in service before one is stopped, but for those that need what is prepared
        // in the first.
        let units = container_key(member, ContainerStep::Units);
        if depends_on(steps, &units, &container_key(first, ContainerStep::Define)) {
            late.push(member);
        } else {
            before.push(rejoin(steps, site, form.as_ref(), member));
        }
    }
    let mut all = before.clone();
    for member in rolled {
        add_needs(steps, &container_key(member, ContainerStep::Define), before);
        before = vec![rejoin(steps, site, form.as_ref(), member)];
        all.extend(before.iter().cloned());
    }
    for member in late {
        add_needs(steps, &container_key(member, ContainerStep::Units), before.clone());
    }
    add_needs(steps, &form_key(&first.kind), all.clone());
    add_needs(steps, &ready_key(&service.service), all);
    Ok(())
}

/// Members that run, are to be defined anew and do not seem to serve are stopped when the others of their
/// kind are in service, `replaced` aside, who wait for them: after a power cut, or a run that was cut off,
/// the one that seemed not to serve may be the only one that does. They are of kinds that form no cluster,
/// whose members may need one another to be well. Of the balancer, the units of the others are enough: being
/// back in service waits for those of all balancers, the member's own too.
pub fn stay_first(
    steps: &mut Vec<Step>,
    site: &Arc<Site>,
    replaced: &[Container],
    unwell: &[Container],
) {
    for member in unwell {
        let define = container_key(member, ContainerStep::Define);
        let balances = site.cloud.load_balancer().is_some_and(|it| it.kind == member.kind);
        let others = site.cloud.members(&member.kind);
        for other in others.filter(|it| !replaced.contains(it) && !unwell.contains(it)) {
            let back = match balances {
                true => container_key(other, ContainerStep::Units),
                false => rejoin(steps, site, None, other),
            };
            // One that needs what is prepared in the member itself comes after it.
            if !depends_on(steps, &back, &define) {
                add_needs(steps, &define, [back]);
            }
        }
    }
}

/// Adds the step that sees a member back in service.
fn rejoin(
    steps: &mut Vec<Step>,
    site: &Arc<Site>,
    form: Option<&Form>,
    member: &Container,
) -> StepKey {
    let key = container_key(member, ContainerStep::Rejoin);
    if steps.iter().any(|step| step.key == key) {
        return key;
    }
    steps.push(back_in_service(site, form, member));
    key
}

/// A member that serves is not stopped before what its units will wait for is there, and not while the
/// balancer that should send its clients elsewhere is away. Only where that makes no circle.
fn stop_late(steps: &mut [Step], site: &Site, member: &Container) {
    let units = container_key(member, ContainerStep::Units);
    let mut wanted: Vec<StepKey> = steps
        .iter()
        .filter(|step| step.key == units)
        .flat_map(|step| step.needs.iter().cloned())
        .collect();
    wanted.extend(balancer_units(site));
    let define = container_key(member, ContainerStep::Define);
    wanted.retain(|key| !depends_on(steps, key, &define));
    add_needs(steps, &define, wanted);
}

fn balancer_units(site: &Site) -> impl Iterator<Item = StepKey> {
    site.cloud.balancers().map(|member| container_key(member, ContainerStep::Units))
}

pub fn add_needs(steps: &mut [Step], key: &StepKey, needs: impl IntoIterator<Item = StepKey>) {
    if let Some(step) = steps.iter_mut().find(|step| step.key == *key) {
        step.needs.extend(needs);
    }
}

/// Whether the step `from` comes after the step `target`, or is it.
pub fn depends_on(steps: &[Step], from: &StepKey, target: &StepKey) -> bool {
    let mut seen: BTreeSet<&StepKey> = BTreeSet::new();
    let mut open = vec![from];
    while let Some(key) = open.pop() {
        if key == target {
            return true;
        }
        if seen.insert(key) {
            let step = steps.iter().find(|step| step.key == *key);
            open.extend(step.into_iter().flat_map(|step| &step.needs));
        }
    }
    false
}

#[cfg(test)]
mod tests;
