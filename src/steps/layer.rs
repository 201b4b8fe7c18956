//! The step that builds an image layer.

use std::sync::Arc;

use async_trait::async_trait;

use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::host::BuildProgress;
use crate::model::layer::LayerSpec;

/// Builds one layer whose parent is there.
pub struct BuildLayer {
    /// Its id.
    pub id: String,
    /// What it is made of.
    pub spec: LayerSpec,
}

#[async_trait]
impl Action for BuildLayer {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        if context.host.layers.exists(&self.id).await? {
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
