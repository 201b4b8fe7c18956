//! The steps of an upgrade: those of `bootstrap` for the cloud that is to be, in the order of the
//! stretches, with what comes before and after each. Planning looks at nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::beside::{Beside, Purpose, Python};
use super::options::Options;
use super::order::{Stretch, mixed, still_behind};
use crate::cloud::recorded;
use crate::config::profile::{Done, ServiceProfile, ServiceUpgrade, SetupCommand, SetupPhase};
use crate::engine::event::{Phase, Resource};
use crate::engine::key::{ContainerStep, StepKey};
use crate::engine::step::{Action, Observation, Step, StepContext};
use crate::error::Result;
use crate::model::cloud::Cloud;
use crate::model::command::Command;
use crate::model::paths::Paths;
use crate::model::topology::Container;
use crate::plan::bootstrap::{container_key, setup_command};
use crate::plan::change::only_among;
use crate::plan::rolling::{self, add_needs};
use crate::render::Renderer;
use crate::steps::setup::Setup;
use crate::steps::site::Site;

/// An upgrade of which nothing was looked at but who serves.
pub struct Plan<'a> {
    pub paths: &'a Paths,
    /// The cloud that is to be.
    pub site: &'a Arc<Site>,
    pub renderer: &'a Renderer,
    /// The cloud as it is.
    pub former: &'a Cloud,
    pub stretches: &'a [Stretch],
    /// Kinds that are left where they are.
    pub leave: &'a BTreeSet<String>,
    /// Members that serve and will be replaced.
    pub serving: &'a [Container],
    /// Members that run and will be replaced, and do not seem to serve.
    pub unwell: &'a [Container],
}

fn own_key(service: &str, what: &str) -> StepKey {
    StepKey::new(format!("upgrade/{service}/{what}"))
}

/// The key of the step that writes down that a stretch comes along, before it does.
fn recorded_key(stretch: &Stretch) -> StepKey {
    own_key(&stretch.service, if stretch.last { "begin-last" } else { "begin" })
}

/// What a service's profile says of its upgrade, with the set-up command that it is about.
type About<'a> = (&'a ServiceUpgrade, &'a SetupCommand);

impl Plan<'_> {
    /// What is asked before anything is changed.
    pub fn checks(&self, layers: &[StepKey]) -> Result<Vec<Step>> {
        let mut steps: Vec<Step> =
            self.stretches.iter().filter_map(|stretch| self.options(stretch, layers)).collect();
        for stretch in self.stretches {
            if let Some((upgrade, command)) = self.about(stretch)
                && !upgrade.check.is_empty()
                && let Some(action) =
                    self.beside(&stretch.service, command, &upgrade.check, Purpose::Check)?
            {
                steps.push(Step {
                    key: own_key(&stretch.service, "check"),
                    title: format!("{} is fit for the upgrade", stretch.service),
                    phase: Phase::Verify,
                    resource: Resource::Load,
                    needs: layers.to_vec(),
                    estimate_ms: 3_000,
                    action: Arc::new(action),
                });
            }
        }
        Ok(steps)
    }

    /// All steps of `bootstrap`, and those of the upgrade among them.
    pub fn steps(&self, mut steps: Vec<Step>) -> Result<Vec<Step>> {
        let mut ahead = Vec::new();
        for stretch in self.stretches {
            let expand = self.expand(stretch)?;
            if expand.is_some() {
                self.set_up_late(&mut steps, stretch);
            }
            ahead.push(expand);
        }
        let mut steps = rolling::one_at_a_time(steps, self.site, self.serving)?;
        rolling::stay_first(&mut steps, self.site, self.serving, self.unwell);
        self.do_not_wait_for_the_last(&mut steps);
        let mut before: Vec<StepKey> = Vec::new();
        for (index, (stretch, expand)) in self.stretches.iter().zip(ahead).enumerate() {
            let mut begin = before.clone();
            let late = expand.is_some();
            if let Some(mut expand) = expand {
                expand.needs.clone_from(&before);
                begin.push(expand.key.clone());
                steps.push(expand);
            }
            steps.push(self.write_down(index, stretch, begin));
            before = self.gather(&mut steps, stretch, late);
        }
        for service in &self.site.cloud.services {
            if let Some(migrate) = self.migrate(service, &steps)? {
                before.push(migrate.key.clone());
                steps.push(migrate);
            }
        }
        self.use_when_all_came(&mut steps, &before);
        Ok(only_among(steps))
    }

    /// The steps of a stretch come after it was written down; returns those that end it. No more kinds are
    /// away at a time than can start beside each other: the others serve meanwhile.
    fn gather(&self, steps: &mut [Step], stretch: &Stretch, late: bool) -> Vec<StepKey> {
        let mut ends = Vec::new();
        for member in self.members(stretch) {
            let define = container_key(member, ContainerStep::Define);
            let mut needs = self.before_in_stretch(stretch, &member.kind);
            needs.retain(|key| !rolling::depends_on(steps, key, &define));
            add_needs(steps, &define, needs.into_iter().chain([recorded_key(stretch)]));
            let rejoin = container_key(member, ContainerStep::Rejoin);
            ends.push(if has(steps, &rejoin) {
                rejoin
            } else {
                container_key(member, ContainerStep::Units)
            });
        }
        if late {
            let setup: Vec<StepKey> = self.preparing(stretch).collect();
            for key in &setup {
                add_needs(steps, key, ends.clone());
            }
            ends.extend(setup);
        }
        ends
    }

    /// The units of the kind that must serve before a kind of the same stretch is stopped.
    fn before_in_stretch(&self, stretch: &Stretch, kind: &str) -> Vec<StepKey> {
        let beside = self.site.cloud.sizing.parallel_loads.max(1);
        let place = stretch.kinds.iter().position(|it| it == kind);
        let before = place.and_then(|place| stretch.kinds.get(place.checked_sub(beside)?));
        let members = before.into_iter().flat_map(|kind| self.site.cloud.members(kind));
        members.map(|member| container_key(member, ContainerStep::Units)).collect()
    }

    /// What was prepared once is there: units need not wait until it is brought up to date.
    fn set_up_late(&self, steps: &mut [Step], stretch: &Stretch) {
        let setup: Vec<StepKey> = self.preparing(stretch).collect();
        let units: Vec<StepKey> =
            self.members(stretch).map(|it| container_key(it, ContainerStep::Units)).collect();
        for step in steps.iter_mut().filter(|step| units.contains(&step.key)) {
            step.needs.retain(|need| !setup.contains(need));
        }
        for key in &setup {
            add_needs(steps, key, units.clone());
        }
    }

    /// Who waits for a service does not wait for those of its kinds that come last of all.
    fn do_not_wait_for_the_last(&self, steps: &mut [Step]) {
        let last = self.stretches.iter().filter(|stretch| stretch.last);
        let last: BTreeSet<&String> = last.flat_map(|stretch| &stretch.kinds).collect();
        for step in steps {
            if matches!(step.key, StepKey::Ready(_) | StepKey::Setup { .. }) {
                step.needs.retain(
                    |need| !matches!(need, StepKey::Container { kind, .. } if last.contains(kind)),
                );
            }
        }
    }

    /// What uses the whole cloud waits for all of it.
    fn use_when_all_came(&self, steps: &mut [Step], ends: &[StepKey]) {
        let services = &self.site.cloud.services;
        let uses_all = |service: &str, command: &str| {
            let of = services.iter().filter(|it| it.service == service);
            let mut commands = of.flat_map(|it| &it.setup);
            commands.any(|it| it.name == command && it.before == SetupPhase::Cloud)
        };
        for step in steps {
            let waits = match &step.key {
                StepKey::CloudVerify => true,
                StepKey::Setup { service, command } => uses_all(service, command),
                _ => false,
            };
            if waits {
                step.needs.extend(ends.iter().cloned());
            }
        }
    }

    fn members<'a>(&'a self, stretch: &'a Stretch) -> impl Iterator<Item = &'a Container> {
        stretch.kinds.iter().flat_map(|kind| self.site.cloud.members(kind))
    }

    /// Set-up commands for which the units of a service wait.
    fn preparing<'a>(&'a self, stretch: &'a Stretch) -> impl Iterator<Item = StepKey> + 'a {
        let services = self.site.cloud.services.iter();
        let service = services.filter(|it| it.service == stretch.service);
        let commands = service.flat_map(|it| &it.setup);
        let early = commands.filter(|command| command.before == SetupPhase::Units);
        early.map(|command| StepKey::Setup {
            service: stretch.service.clone(),
            command: command.name.clone(),
        })
    }

    /// Whether the release to come knows what the user's own lines set; nothing where there are none.
    fn options(&self, stretch: &Stretch, layers: &[StepKey]) -> Option<Step> {
        let release = &self.site.cloud.release;
        let members = self.members(stretch);
        let overridden: BTreeSet<_> =
            members.flat_map(|member| self.renderer.overridden(member)).collect();
        if overridden.is_empty() || release.unknown_options.is_empty() {
            return None;
        }
        let mut serving = self.serving.iter().filter(|it| stretch.kinds.contains(&it.kind));
        let (container, python) = serving.find_map(|it| Some((&it.name, self.python(it)?)))?;
        let last = if stretch.last { "-last" } else { "" };
        Some(Step {
            key: own_key(&stretch.service, &format!("options{last}")),
            title: format!("own options of {}", stretch.service),
            phase: Phase::Verify,
            resource: Resource::Load,
            needs: layers.to_vec(),
            estimate_ms: 4_000,
            action: Arc::new(Options {
                container: container.clone(),
                service: stretch.service.clone(),
                python,
                script: release.unknown_options.clone(),
                overridden,
                to: release.release.clone(),
            }),
        })
    }

    fn about(&self, stretch: &Stretch) -> Option<About<'_>> {
        let mut services = self.site.cloud.services.iter();
        let service = services.find(|it| it.service == stretch.service && !stretch.last)?;
        about(service)
    }

    fn expand(&self, stretch: &Stretch) -> Result<Option<Step>> {
        let Some((upgrade, command)) = self.about(stretch) else { return Ok(None) };
        let script = if upgrade.expand.is_empty() { &command.script } else { &upgrade.expand };
        let action = self.beside(&stretch.service, command, script, Purpose::Expand)?;
        Ok(action.map(|action| Step {
            key: own_key(&stretch.service, "expand"),
            title: format!("databases of {} for both releases", stretch.service),
            phase: Phase::Services,
            resource: Resource::Load,
            needs: Vec::new(),
            estimate_ms: 4_000,
            action: Arc::new(action),
        }))
    }

    /// A script beside the former release; none where nobody of it serves, or the next has no Python of
    /// its own.
    fn beside(
        &self,
        service: &str,
        command: &SetupCommand,
        script: &str,
        purpose: Purpose,
    ) -> Result<Option<Beside>> {
        let mut serving = self.serving.iter();
        let Some(member) = serving.find(|member| member.kind == command.container) else {
            return Ok(None);
        };
        let Some(python) = self.python(member) else { return Ok(None) };
        Ok(Some(Beside {
            container: member.name.clone(),
            service: service.to_owned(),
            python,
            command: self.command(member, command, script)?,
            purpose,
        }))
    }

    fn command(&self, member: &Container, command: &SetupCommand, script: &str) -> Result<Command> {
        let command = SetupCommand { script: script.to_owned(), ..command.clone() };
        setup_command(self.renderer, member, &command)
    }

    /// The Python of the release to come, of the layers that a member will have.
    fn python(&self, member: &Container) -> Option<Python> {
        let mut layers = self.site.cloud.layers.iter();
        let (id, spec) =
            layers.find(|(id, spec)| member.software().contains(id) && spec.python.is_some())?;
        let home = spec.python.as_ref()?.home.clone();
        let root = self.paths.layers_dir().join(id).join("root");
        Some(Python { directory: root.join(home.trim_start_matches('/')), home })
    }

    fn write_down(&self, index: usize, stretch: &Stretch, needs: Vec<StepKey>) -> Step {
        let release = &self.site.cloud.release.release;
        let (stretches, leave) = (self.stretches, self.leave);
        let behind = still_behind(self.former, release, stretches, index + 1, leave);
        Step {
            key: recorded_key(stretch),
            title: format!("{} goes on to {release}", stretch.service),
            phase: Phase::Services,
            resource: Resource::Light,
            needs,
            estimate_ms: 50,
            action: Arc::new(WriteDown {
                paths: self.paths.clone(),
                cloud: mixed(self.former, &self.site.cloud, behind),
            }),
        }
    }

    /// What is left to do in a service once it is of the new release; once in an upgrade.
    fn migrate(&self, service: &ServiceProfile, steps: &[Step]) -> Result<Option<Step>> {
        let Some((upgrade, command)) = about(service).filter(|(it, _)| !it.migrate.is_empty())
        else {
            return Ok(None);
        };
        let Some(member) = self.site.cloud.members(&command.container).next() else {
            return Ok(None);
        };
        let ready = StepKey::Ready(service.service.clone());
        let setup =
            StepKey::Setup { service: service.service.clone(), command: upgrade.setup.clone() };
        Ok(Some(Step {
            key: own_key(&service.service, "migrate"),
            title: format!("what is left to migrate of {}", service.service),
            phase: Phase::Services,
            resource: Resource::Load,
            needs: [ready, setup].into_iter().filter(|key| has(steps, key)).collect(),
            estimate_ms: 4_000,
            action: Arc::new(Setup {
                title: format!("migrate what is left of {}", service.service),
                record: format!("upgrade/{}", service.service),
                container: member.clone(),
                command: self.command(member, command, &upgrade.migrate)?,
                // Its record alone tells: it has run with this software.
                done: Done::Sql { query: "SELECT 1".to_owned() },
                fills: Vec::new(),
                keepsake: None,
                upgrades: true,
                attempts: 1,
                site: Arc::clone(self.site),
            }),
        }))
    }
}

fn about(service: &ServiceProfile) -> Option<About<'_>> {
    let upgrade = service.upgrade.as_ref()?;
    Some((upgrade, service.setup.iter().find(|command| command.name == upgrade.setup)?))
}

fn has(steps: &[Step], key: &StepKey) -> bool {
    steps.iter().any(|step| step.key == *key)
}

/// From now on a service is of the next release, whatever comes between.
struct WriteDown {
    paths: Paths,
    cloud: Cloud,
}

#[async_trait]
impl Action for WriteDown {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        let kinds = |cloud: &Cloud| cloud.behind.as_ref().map(|behind| behind.kinds.clone());
        let found = recorded::find(&self.paths)?;
        let right = found.is_some_and(|found| {
            found.release.release == self.cloud.release.release
                && kinds(&found) == kinds(&self.cloud)
        });
        Ok(if right {
            Observation::Right
        } else {
            Observation::Wrong("it is of the former release".to_owned())
        })
    }

    async fn act(&self, _: &StepContext) -> Result<()> {
        recorded::save(&self.paths, &self.cloud)
    }
}

#[cfg(test)]
mod tests;
