//! Who of a cloud that is half-way serves.
//!
//! What a run that was cut off replaced, or what a power cut stopped, may be on its way up when the
//! upgrade goes on. A look at one moment would take it for what does not serve, and what does not serve is
//! made anew at once: all members of a kind beside one another. So whoever runs gets the time that its
//! units may take, and is asked as the cloud was before too: what the next release adds, a unit or a look
//! at its health, the former one need not have.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::profile::PATIENCE_SECS;
use crate::engine::step::StepContext;
use crate::engine::wait::until_well;
use crate::error::Result;
use crate::host::ContainerState;
use crate::model::topology::Container;
use crate::steps::health;
use crate::steps::site::Site;
use crate::ui;

/// How often a member that is not well is looked at.
const POLL: Duration = Duration::from_millis(500);

/// Whether members that are not well yet are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// They are looked at, once.
    Looks,
    /// As long as their units may take.
    Waits,
}

/// Members that run and will be replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// They serve.
    pub serving: Vec<Container>,
    /// They do not seem to. None of a kind that forms a cluster, whose own steps judge it.
    pub unwell: Vec<Container>,
}

impl Members {
    /// Those of the cloud of `site`, of which `serving` were found to serve. `as_before` is the cloud as it
    /// was, in every way in which a member of before may count as well.
    pub async fn of(
        context: &StepContext,
        site: &Site,
        as_before: &[Arc<Site>],
        serving: Vec<Container>,
        patience: Patience,
    ) -> Self {
        let mut members = Self { serving, unwell: Vec::new() };
        let run = members.others_that_run(context, site).await;
        let mut unwell = look(context, as_before, run, |_| Duration::ZERO, &mut members).await;
        if patience == Patience::Waits && !unwell.is_empty() {
            let labels: Vec<String> = unwell.iter().map(Container::label).collect();
            ui::out::note(&format!(
                "Waiting for what runs and is not healthy yet: {}.",
                labels.join(", ")
            ));
            let limit = |member: &Container| context.host.patiently(time_of_units(site, member));
            unwell = look(context, as_before, unwell, limit, &mut members).await;
        }
        members.unwell = unwell;
        members
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Container> + Clone {
        self.serving.iter().chain(&self.unwell)
    }

    /// Those beside the ones that serve, of kinds that form no cluster.
    async fn others_that_run(&self, context: &StepContext, site: &Site) -> Vec<Container> {
        let mut run = Vec::new();
        for member in &site.cloud.containers {
            let kind = site.cloud.kind(&member.kind);
            if self.serving.contains(member) || kind.is_none_or(|(_, it)| it.cluster.is_some()) {
                continue;
            }
            let containers = &context.host.containers;
            let differs = matches!(containers.definition_differs(member).await, Ok(Some(_)));
            let state = containers.state(&member.name).await;
            if differs && matches!(state, Ok(ContainerState::Running { .. })) {
                run.push(member.clone());
            }
        }
        run
    }
}

/// How long a member's units may take.
fn time_of_units(site: &Site, member: &Container) -> Duration {
    let kind = site.cloud.kind(&member.kind);
    let units = kind.iter().flat_map(|(_, definition)| &definition.units);
    Duration::from_secs(units.map(|unit| unit.timeout_secs).max().unwrap_or(PATIENCE_SECS))
}

/// Looks at members beside one another, each until it is well or its time is over. Those that are well
/// are added to those that serve; returns the others.
async fn look(
    context: &StepContext,
    as_before: &[Arc<Site>],
    members: Vec<Container>,
    limit: impl Fn(&Container) -> Duration,
    found: &mut Members,
) -> Vec<Container> {
    let mut looks = JoinSet::new();
    for (index, member) in members.iter().cloned().enumerate() {
        let (context, sites, limit) = (context.clone(), as_before.to_vec(), limit(&member));
        looks.spawn(async move {
            let looked = until_well(&context, limit, POLL, || unwell(&context, &sites, &member));
            (index, matches!(looked.await, Ok(None)))
        });
    }
    let mut well: Vec<usize> = Vec::new();
    while let Some(looked) = looks.join_next().await {
        well.extend(looked.ok().filter(|(_, well)| *well).map(|(index, _)| index));
    }
    let numbered = members.into_iter().enumerate();
    let (well, unwell): (Vec<_>, Vec<_>) = numbered.partition(|(index, _)| well.contains(index));
    found.serving.extend(well.into_iter().map(|(_, member)| member));
    unwell.into_iter().map(|(_, member)| member).collect()
}

/// Why a member is well in no way; `None` when it is in one.
async fn unwell(
    context: &StepContext,
    as_before: &[Arc<Site>],
    member: &Container,
) -> Result<Option<String>> {
    let mut reason = "the cloud did not have it".to_owned();
    for site in as_before {
        let Some(before) = site.cloud.container(&member.name) else { continue };
        match health::look(context, site, before).await?.reason {
            Some(other) => reason = other,
            None => return Ok(None),
        }
    }
    Ok(Some(reason))
}

#[cfg(test)]
mod tests;
