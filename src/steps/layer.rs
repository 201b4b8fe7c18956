//! The steps that build image layers.

use std::sync::Arc;

use async_trait::async_trait;

use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, ErrorKind, Result};
use crate::host::BuildProgress;
use crate::model::layer::LayerSpec;
use crate::model::startup::Startup;

/// Whether one of these layers is not built yet, and which.
async fn missing(layers: &[(String, LayerSpec)], context: &StepContext) -> Result<Observation> {
    for (id, _) in layers {
        if !context.host.layers.exists(id).await? {
            return Ok(Observation::Wrong(format!("layer {id} is not built")));
        }
    }
    Ok(Observation::Right)
}

/// Fetches the package index and finds the packages of all layers, for the builds.
pub struct FindPackages {
    /// All layers of the cloud, a parent before its children.
    pub layers: Vec<(String, LayerSpec)>,
}

#[async_trait]
impl Action for FindPackages {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        missing(&self.layers, context).await
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.layers.prepare(&self.layers, Arc::new(Progress(context.clone()))).await
    }

    /// The layers are still to be built: that it did not fail must do.
    async fn verify(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

/// Downloads the packages of all layers, ahead of the builds and beside them.
pub struct DownloadPackages {
    /// All layers of the cloud, a parent before its children.
    pub layers: Vec<(String, LayerSpec)>,
}

#[async_trait]
impl Action for DownloadPackages {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        missing(&self.layers, context).await
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.layers.download(&self.layers, Arc::new(Progress(context.clone()))).await
    }

    /// The layers are still to be built: that it did not fail must do.
    async fn verify(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

/// Builds one layer whose parent is there, and refuses one that cannot run.
pub struct BuildLayer {
    pub id: String,
    pub spec: LayerSpec,
    /// What starts in the containers that are made of it.
    pub startups: Vec<Startup>,
}

impl BuildLayer {
    /// The layer itself may be right: what starts in it is the profiles' word, so it is kept.
    async fn refuse_unstartable(&self, context: &StepContext) -> Result<()> {
        let name = &self.spec.name;
        let mut error = Error::new(ErrorKind::Config, format!("make containers of layer {name}"));
        for startup in &self.startups {
            for problem in context.host.layers.problems(&self.id, startup).await? {
                error = error.because(format!("in `{}`, {problem}", startup.kind));
            }
        }
        if error.causes.is_empty() {
            return Ok(());
        }
        Err(error
            .hint(
                "Of the units that packages bring, those that the kind's `units` do not name are \
                 masked. What is not there comes with its `packages`, its `files` or another release.",
            )
            .hint(
                "`profiles/services/` in the configuration directory takes profiles of your own; \
                 then run the same command again.",
            ))
    }
}

#[async_trait]
impl Action for BuildLayer {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        if context.host.layers.exists(&self.id).await? {
            self.refuse_unstartable(context).await?;
            return Ok(Observation::Right);
        }
        Ok(Observation::Wrong(format!("layer {} is not built", self.id)))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let progress = Arc::new(Progress(context.clone()));
        context.host.layers.build(&self.spec, &self.id, progress).await
    }
}

/// Turns a build's progress into the step's events.
struct Progress(StepContext);

impl BuildProgress for Progress {
    fn progress(&self, current: u64, total: u64, unit: &'static str) {
        self.0.progress(current, total, unit);
    }

    fn line(&self, line: &str) {
        self.0.output(line);
    }

    fn cancelled(&self) -> bool {
        self.0.cancel.is_cancelled()
    }
}
