//! A test suite that comes with the software. It says in the Test Anything Protocol how it goes.

use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::tap::{Tap, Test, Told, Verdict};
use crate::commands::verify::check::ASKED;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, Result};
use crate::host::{Listen, Stream};
use crate::model::command::Command;

/// How long a suite that is told to end may take to clean up.
const GRACE: Duration = Duration::from_secs(60);
/// How many of its last lines are shown when it could not run.
const LINES: usize = 20;

pub struct Suite {
    pub container: String,
    pub command: Command,
    /// Where its results are left, those of a suite that was told to end too.
    pub results: Arc<Mutex<Tap>>,
}

/// A test that has ended, as a line of output: `ok      3/106 NAME (0.8 s)`.
fn line(test: &Test, number: usize, total: u64) -> String {
    let word = match test.result {
        Verdict::Passed => "ok",
        Verdict::Failed => "failed",
        Verdict::Skipped => "skipped",
    };
    let took = test.seconds.map(|seconds| format!(" ({seconds:.1} s)")).unwrap_or_default();
    let why = test.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{word:7} {number}/{total} {}{took}{why}", test.name)
}

fn hear(tap: &SyncMutex<Tap>, context: &StepContext, stream: Stream, text: &str) {
    if stream == Stream::Err {
        context.output(text);
        return;
    }
    let mut tap = tap.lock().unwrap_or_else(PoisonError::into_inner);
    match tap.line(text) {
        Told::Test => {
            let ended = tap.tests.len();
            let total = tap.planned.max(ended as u64);
            context.progress(ended as u64, total, "tests");
            if let Some(test) = tap.tests.last() {
                context.output(line(test, ended, total));
                if test.result == Verdict::Failed {
                    context.warn(format!("{} failed", test.name));
                }
            }
        }
        Told::More => {}
        Told::Nothing => context.output(text),
    }
}

#[async_trait]
impl Action for Suite {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Wrong(ASKED.to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let command = Command { grace: Some(GRACE), ..self.command.clone() };
        let tap = Arc::new(SyncMutex::new(Tap::default()));
        let (heard, told) = (Arc::clone(&tap), context.clone());
        let listen = Listen {
            heard: Arc::new(move |stream, text| hear(&heard, &told, stream, text)),
            cancel: context.cancel.clone(),
        };
        let output = context.host.containers.follow(&self.container, command, &listen).await;
        let tap = tap.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (failed, ended) = (tap.count(Verdict::Failed), tap.tests.len());
        let given_up = tap.given_up.clone();
        *self.results.lock().await = tap;
        let output = output?;
        if let Some(reason) = given_up {
            return Err(Error::failed(format!("it gave up: {reason}")));
        }
        if failed > 0 {
            // Each was told as it ended, and what it said stands in the results.
            return Err(Error::failed(format!("{failed} of {ended} tests failed")).output(""));
        }
        if !output.success() {
            let why = format!("it exited with {} in container `{}`", output.status, self.container);
            return Err(Error::failed(why).output(output.tail(LINES)));
        }
        if ended == 0 {
            let error = Error::failed("no test was run");
            return Err(error.hint("Its expression may fit no test."));
        }
        Ok(())
    }

    async fn verify(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}
