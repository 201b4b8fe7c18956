//! What is collected, and the steps that do it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::ground::Ground;
use super::{containers, host, records};
use crate::commands::verify::check::ASKED;
use crate::engine::event::{Phase, Resource};
use crate::engine::key::StepKey;
use crate::engine::step::{Action, Observation, Step, StepContext};
use crate::error::{Error, ErrorKind, Result};
use crate::model::topology::Container;

/// A part that takes longer is given up: the rest is worth more than waiting.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one takes before one was measured, in milliseconds.
const ESTIMATE_MS: u64 = 500;

enum Part {
    /// Version and command line.
    Program,
    /// What `aio size` shows.
    Size,
    Tools,
    Kernel,
    /// What `aio plan` shows.
    Plan,
    /// What `aio status` and `aio ls` show.
    Status,
    SecretNames,
    Configuration,
    /// Which containers there are, and what runs from a checkout.
    Records,
    /// What runs of `aio` did.
    Runs,
    /// What LXC and the kernel know of a container.
    Outside(Box<Container>),
    /// What a container's units say.
    Inside(Box<Container>),
    /// A container's configuration files as they should be.
    Rendered(Box<Container>),
}

impl Part {
    fn name(&self) -> String {
        let of = |what: &str, container: &Container| {
            format!("{}/{what}", containers::directory(container))
        };
        match self {
            Self::Program => "aio.json".to_owned(),
            Self::Size => "size".to_owned(),
            Self::Tools => "host".to_owned(),
            Self::Kernel => "host/kernel".to_owned(),
            Self::Plan => "plan.json".to_owned(),
            Self::Status => "status.json".to_owned(),
            Self::SecretNames => "config/user_secrets.names.txt".to_owned(),
            Self::Configuration => "config".to_owned(),
            Self::Records => "state".to_owned(),
            Self::Runs => "state/runs".to_owned(),
            Self::Outside(container) => of("lxc", container),
            Self::Inside(container) => of("journal", container),
            Self::Rendered(container) => of("rendered", container),
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Program => "version and command line".to_owned(),
            Self::Size => "facts about the host, and sizes".to_owned(),
            Self::Tools => "network, disks and kernel log of the host".to_owned(),
            Self::Kernel => "memory and mounts of the host".to_owned(),
            Self::Plan => "what bootstrap would do".to_owned(),
            Self::Status => "health of the cloud".to_owned(),
            Self::SecretNames => "names of the secrets".to_owned(),
            Self::Configuration => "configuration directory".to_owned(),
            Self::Records => "records of the cloud".to_owned(),
            Self::Runs => "logs of aio's own runs".to_owned(),
            Self::Outside(container) => format!("LXC's files of {}", container.label()),
            Self::Inside(container) => format!("journal and units of {}", container.label()),
            Self::Rendered(container) => format!("files of {}", container.label()),
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Program | Self::Size | Self::Tools | Self::Kernel => Phase::Host,
            Self::Outside(_) | Self::Inside(_) | Self::Rendered(_) => Phase::Containers,
            _ => Phase::Services,
        }
    }

    /// Whether it is left out when the secrets are not known.
    fn may_hold_secrets(&self) -> bool {
        matches!(self, Self::Configuration | Self::Runs | Self::Inside(_) | Self::Rendered(_))
    }

    async fn gather(&self, ground: &Ground, context: &StepContext) -> Result<()> {
        match self {
            Self::Program => host::program(ground),
            Self::Size => host::size(ground, context).await,
            Self::Tools => host::tools(ground, context).await,
            Self::Kernel => host::kernel(ground, context).await,
            Self::Plan => host::plan(ground, context).await,
            Self::Status => host::status(ground, context).await,
            Self::SecretNames => records::secret_names(ground),
            Self::Configuration => records::configuration(ground, context).await,
            Self::Records => records::records(ground, context).await,
            Self::Runs => records::runs(ground, context).await,
            Self::Outside(container) => containers::outside(ground, context, container).await,
            Self::Inside(container) => containers::inside(ground, context, container).await,
            Self::Rendered(container) => containers::rendered(ground, context, container).await,
        }
    }
}

/// Collects one part. It fails only when it is interrupted: else what is missing is noted.
struct Gather {
    part: Part,
    ground: Arc<Ground>,
}

#[async_trait]
impl Action for Gather {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        match self.ground.findings.closed() {
            Some(why) if self.part.may_hold_secrets() => {
                self.ground.findings.missing(&self.part.name(), why);
                Ok(Observation::Skip(why.to_owned()))
            }
            _ => Ok(Observation::Wrong(ASKED.to_owned())),
        }
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let gathered = tokio::select! {
            gathered = tokio::time::timeout(PATIENCE, self.part.gather(&self.ground, context)) => {
                gathered
            }
            () = context.cancel.cancelled() => {
                return Err(Error::new(ErrorKind::Interrupted, self.part.title()));
            }
        };
        let name = self.part.name();
        match gathered {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.ground.findings.missing(&name, error),
            Err(_) => {
                let why = format!("it took more than {} s", PATIENCE.as_secs());
                self.ground.findings.missing(&name, why);
            }
        }
        Ok(())
    }

    async fn verify(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

pub fn steps(ground: &Arc<Ground>) -> Vec<Step> {
    let mut parts = vec![
        Part::Program,
        Part::Size,
        Part::Tools,
        Part::Kernel,
        Part::Plan,
        Part::SecretNames,
        Part::Configuration,
    ];
    if ground.cloud.is_some() {
        parts.push(Part::Status);
    }
    if ground.options.paths.cloud_dir().exists() {
        parts.extend([Part::Records, Part::Runs]);
    }
    for container in &ground.containers {
        let container = || Box::new(container.clone());
        parts.extend([
            Part::Outside(container()),
            Part::Inside(container()),
            Part::Rendered(container()),
        ]);
    }
    let step = |part: Part| Step {
        key: StepKey::new(part.name()),
        title: part.title(),
        phase: part.phase(),
        resource: Resource::Load,
        needs: Vec::new(),
        estimate_ms: ESTIMATE_MS,
        action: Arc::new(Gather { part, ground: Arc::clone(ground) }),
    };
    parts.into_iter().map(step).collect()
}
