//! What `aio verify` found.

use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::model::duration::seconds;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    /// This cloud cannot do it.
    LeftOut,
    Interrupted,
}

#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    pub service: String,
    pub check: String,
    /// What it proves.
    pub title: String,
    pub result: Verdict,
    #[serde(serialize_with = "seconds")]
    pub seconds: Duration,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last lines of a check that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    pub cloud: String,
    /// Its release of OpenStack.
    pub release: String,
    #[serde(serialize_with = "seconds")]
    pub seconds: Duration,
    /// Every check, in the order of the profiles.
    pub checks: Vec<Checked>,
}

impl Verified {
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
