//! A check of a service: nothing is observed, it is done each time it is asked for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, Result};
use crate::host::Listen;
use crate::model::command::{Command, Output};

/// How long a check that is told to end may take to clean up.
pub const GRACE: Duration = Duration::from_secs(30);
/// How many of its last lines are shown when it fails.
const LINES: usize = 20;

/// Why a step acts that is done each time.
pub const ASKED: &str = "it was asked for";

pub struct Check {
    /// When each of its parts is told to end.
    pub timeout_secs: u64,
    /// Its scripts, in order, each with the container in which it runs.
    pub parts: Vec<(String, Command)>,
}

/// A check that this cloud cannot do.
pub struct LeftOut(pub String);

/// Why a script did not pass.
pub fn failed(container: &str, output: &Output) -> Error {
    let how = format!("it exited with {} in container `{container}`", output.status);
    Error::failed(how).output(output.tail(LINES))
}

/// Lines of a command, as output of the step that runs it.
pub fn listen(context: &StepContext) -> Listen {
    let told = context.clone();
    Listen { heard: Arc::new(move |_, line| told.output(line)), cancel: context.cancel.clone() }
}

#[async_trait]
impl Action for Check {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Wrong(ASKED.to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let listen = listen(context);
        for (container, command) in &self.parts {
            let command = Command {
                timeout: Some(Duration::from_secs(self.timeout_secs)),
                grace: Some(GRACE),
                ..command.clone()
            };
            let output = context.host.containers.follow(container, command, &listen).await?;
            if !output.success() {
                return Err(failed(container, &output));
            }
        }
        Ok(())
    }

    async fn verify(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

#[async_trait]
impl Action for LeftOut {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Skip(self.0.clone()))
    }

    async fn act(&self, _: &StepContext) -> Result<()> {
        Ok(())
    }
}
