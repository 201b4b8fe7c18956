//! A check of a service: nothing is observed, it is done each time it is asked for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::engine::event::seconds;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{Command, Listen};

/// How long a check that is told to end may take to clean up.
const GRACE: Duration = Duration::from_secs(30);
/// How many of its last lines are shown when it fails.
const LINES: usize = 20;

/// Why a step acts that is done each time.
pub const ASKED: &str = "it was asked for";

/// One check.
pub struct Check {
    /// When each of its parts is told to end.
    pub timeout_secs: u64,
    /// Its scripts, in order, each with the container in which it runs.
    pub parts: Vec<(String, Command)>,
}

/// A check that this cloud cannot do.
pub struct LeftOut(pub String);

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
                let status = output.status;
                let how = format!("it exited with {status} in container `{container}`");
                return Err(Error::failed(how).output(output.tail(LINES)));
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

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works.
    Pass,
    /// It does not.
    Fail,
    /// This cloud cannot do it.
    LeftOut,
    /// The run was interrupted.
    Interrupted,
}

/// One check and how it ended.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The service.
    pub service: String,
    /// The check's name.
    pub check: String,
    /// What it proves.
    pub title: String,
    /// How it ended.
    pub result: Verdict,
    /// How long it ran.
    #[serde(serialize_with = "seconds")]
    pub seconds: Duration,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last lines of a check that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// All that was checked.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// The cloud's name.
    pub cloud: String,
    /// The whole run.
    #[serde(serialize_with = "seconds")]
    pub seconds: Duration,
    /// Every check, in the order of the profiles.
    pub checks: Vec<Checked>,
}

impl Verified {
    /// How many checks ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.result == verdict).count()
    }

    /// The error with which the command ends; none when nothing failed.
    pub fn error(&self) -> Option<Error> {
        if self.count(Verdict::Interrupted) > 0 {
            return Some(Error::new(ErrorKind::Interrupted, "verify: interrupted"));
        }
        let failed = self.count(Verdict::Fail);
        if failed == 0 {
            return None;
        }
        let all = failed + self.count(Verdict::Pass);
        let error = Error::failed(format!("verify the cloud `{}`", self.cloud))
            .because(format!("{failed} of {all} checks failed"));
        Some(error.hint("`aio status` shows what is not healthy, `aio logs NAME` what it said."))
    }
}
