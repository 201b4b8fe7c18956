//! Steps on one container: definition, files, start, stop, and throwing it away.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::balancer::Balancer;
use super::dropped_data::DroppedData;
use super::pending::Pending;
use super::swapped_files::SwappedFiles;
use super::unfinished;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::host::{ContainerState, Stop};
use crate::model::file::ContainerFile;
use crate::model::topology::Container;
use crate::steps::pending::DesiredFile;

/// How long a container's init may take to shut down.
const SHUTDOWN: Duration = Duration::from_secs(30);

async fn stop(context: &StepContext, container: &str) -> Result<()> {
    context.host.containers.stop(container, Stop::Orderly(SHUTDOWN)).await
}

/// LXC's definition, the upper directory and the data directories.
pub struct Define {
    pub container: Container,
    /// Units that run what a renewal brings.
    pub programs: Vec<String>,
    /// Takes the member out of service first, when it runs.
    pub balancer: Arc<Balancer>,
}

impl Define {
    /// Renews a running container, where that is all that it takes; returns whether it did. What runs
    /// goes on until it is restarted, which is written down first.
    async fn renew(&self, context: &StepContext) -> Result<bool> {
        if self.container.renewed.is_none() {
            return Ok(false);
        }
        let (containers, name) = (&context.host.containers, &self.container.name);
        let active = containers.active_units(name, &self.programs).await?;
        let mut pending = Pending::load(context, name).await?;
        pending.add_restarts(&self.programs, &active);
        pending.save(context, name).await?;
        containers.renew(&self.container).await
    }
}

#[async_trait]
impl Action for Define {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(context.host.containers.definition_differs(&self.container).await?.into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let name = &self.container.name;
        match context.host.containers.state(name).await? {
            ContainerState::Running { .. } if self.renew(context).await? => return Ok(()),
            ContainerState::Running { .. } => {
                self.balancer.take_out(context, &self.container).await?;
                stop(context, name).await?;
            }
            ContainerState::Absent => unfinished::mark(context, name).await?,
            ContainerState::Stopped => {}
        }
        context.host.containers.define(&self.container).await?;
        SwappedFiles::load(context, name).await?.renewed(context).await
    }
}

pub struct Files {
    /// The container's full name.
    pub container: String,
    pub files: Vec<DesiredFile>,
}

/// A file with what the image has of it.
type Whole<'a> = Cow<'a, DesiredFile>;

impl Files {
    /// The files that are not as they should be, and those that somebody edited while a checkout
    /// uses them.
    async fn wrong(&self, context: &StepContext) -> Result<(Vec<Whole<'_>>, Vec<Whole<'_>>)> {
        let swapped = SwappedFiles::load(context, &self.container).await?;
        let (mut wrong, mut edited) = (Vec::new(), Vec::new());
        for desired in &self.files {
            let desired = desired.whole(context, &self.container).await?;
            let path = &desired.file.path;
            let found = context.host.containers.read_file(&self.container, path).await?;
            match &found {
                Some(found) if *found == desired.file => {}
                Some(found) if swapped.is_edited(found) => edited.push(desired),
                _ => wrong.push(desired),
            }
        }
        Ok((wrong, edited))
    }

    async fn observed(&self, context: &StepContext, report: bool) -> Result<Observation> {
        if context.host.containers.state(&self.container).await? == ContainerState::Absent {
            return Ok(Observation::Wrong("the container is not defined".to_owned()));
        }
        let (wrong, edited) = self.wrong(context).await?;
        for desired in edited.iter().filter(|_| report) {
            context.warn(format!(
                "{} in {} was edited while a checkout uses it: left as it is until `aio dev --restore`.",
                desired.file.path, self.container
            ));
        }
        Ok(match wrong.as_slice() {
            [] => Observation::Right,
            [only] => Observation::Wrong(format!("{} differs", only.file.path)),
            [first, rest @ ..] => {
                Observation::Wrong(format!("{} and {} more differ", first.file.path, rest.len()))
            }
        })
    }
}

#[async_trait]
impl Action for Files {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        self.observed(context, true).await
    }

    async fn verify(&self, context: &StepContext) -> Result<Observation> {
        self.observed(context, false).await
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let (wrong, _) = self.wrong(context).await?;
        let containers = &context.host.containers;
        if let ContainerState::Running { .. } = containers.state(&self.container).await? {
            // Written down before the first file changes: a run that is killed in between still
            // knows what must be restarted.
            let mut pending = Pending::load(context, &self.container).await?;
            for desired in &wrong {
                let active = containers.active_units(&self.container, &desired.restarts).await?;
                pending.add(desired, &active);
            }
            pending.save(context, &self.container).await?;
        } else {
            Pending::default().save(context, &self.container).await?;
        }
        let files: Vec<ContainerFile> = wrong.iter().map(|desired| desired.file.clone()).collect();
        containers.write_files(&self.container, &files).await?;
        SwappedFiles::load(context, &self.container).await?.written(context, &files).await
    }
}

pub struct Start {
    /// Its full name.
    pub container: String,
}

#[async_trait]
impl Action for Start {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.containers.state(&self.container).await? {
            ContainerState::Running { .. } => Observation::Right,
            ContainerState::Stopped => Observation::Wrong("it is stopped".to_owned()),
            ContainerState::Absent => Observation::Wrong("it is not defined".to_owned()),
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.containers.start(&self.container).await
    }
}

/// Stops a container in an orderly way.
pub struct StopContainer {
    pub container: Container,
    /// Takes the member out of service first; absent when the whole cloud stops.
    pub balancer: Option<Arc<Balancer>>,
}

#[async_trait]
impl Action for StopContainer {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.containers.state(&self.container.name).await? {
            ContainerState::Running { .. } => Observation::Wrong("it is running".to_owned()),
            _ => Observation::Right,
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        if let Some(balancer) = &self.balancer {
            balancer.take_out(context, &self.container).await?;
        }
        stop(context, &self.container.name).await
    }
}

/// Throws a container's root away, and its data if told so.
pub struct Discard {
    pub container: Container,
    pub data: bool,
    /// Whether its cluster must be told of that.
    pub told: bool,
    /// Takes the member out of service first.
    pub balancer: Arc<Balancer>,
}

#[async_trait]
impl Action for Discard {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.containers.state(&self.container.name).await? {
            ContainerState::Absent if !self.data => Observation::Right,
            _ => Observation::Wrong("it is to be made anew".to_owned()),
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let containers = &context.host.containers;
        let name = &self.container.name;
        if let ContainerState::Running { .. } = containers.state(name).await? {
            self.balancer.take_out(context, &self.container).await?;
            // What the container's root holds is thrown away, but data must be left consistent.
            stop(context, name).await?;
        }
        containers.discard(name).await?;
        if self.data {
            if self.told {
                DroppedData::Dropped.save(context, name).await?;
            }
            containers.discard_data(&self.container).await?;
        }
        Ok(())
    }

    async fn verify(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.containers.state(&self.container.name).await? {
            ContainerState::Absent => Observation::Right,
            _ => Observation::Wrong("it is still defined".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::containers::FakeContainers;
    use crate::host::fake::empty;
    use crate::host::{Containers, Host};
    use crate::model::topology::Renewed;
    use crate::model::topology::tests::container;
    use crate::render::testing;

    #[tokio::test]
    async fn what_can_be_renewed_runs_on_and_its_programs_are_to_be_restarted() {
        for (memory_limit_mib, goes_on) in [(64, true), (128, false)] {
            let containers = Arc::new(FakeContainers::default());
            let units = ["agent.service", "guests.service"].map(str::to_owned).to_vec();
            let before =
                Container { units: units.clone(), memory_limit_mib: 64, ..container("c/1") };
            containers.define(&before).await.unwrap();
            containers.start(&before.name).await.unwrap();
            for unit in &units {
                containers.set_active(&before.name, unit, true);
            }
            let host = Host { containers: Arc::clone(&containers) as Arc<_>, ..empty() };
            let context = StepContext::silent(Arc::new(host));
            let renewed = Renewed {
                layers: vec!["new".to_owned()],
                python: "new".to_owned(),
                home: "/opt".to_owned(),
            };
            let after = Container { renewed: Some(renewed), memory_limit_mib, ..before.clone() };
            let cloud = testing::cloud(&testing::profiles(&[]));
            let define = Define {
                container: after.clone(),
                programs: vec!["agent.service".to_owned()],
                balancer: Arc::new(Balancer::new(&cloud)),
            };
            define.act(&context).await.unwrap();
            assert_eq!(containers.definition_differs(&after).await.unwrap(), None);
            let state = containers.state(&after.name).await.unwrap();
            assert_eq!(matches!(state, ContainerState::Running { .. }), goes_on);
            if goes_on {
                let pending = Pending::load(&context, &after.name).await.unwrap();
                assert_eq!(pending.restarts, ["agent.service"]);
            }
        }
    }
}
