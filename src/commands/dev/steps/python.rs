//! The container's own Python, asked whether it could run a checkout.

use std::time::Duration;

use async_trait::async_trait;

use crate::commands::dev::python::inspect::{COMMAND, Unmet};
use crate::commands::dev::python::{Inspect, Inspection, Request};
use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::model::command::Command;

/// How long an answer may take: a busy host needs seconds.
const LONGEST: Duration = Duration::from_secs(120);

/// Python in one container.
pub struct ContainerPython<'a> {
    pub context: &'a StepContext,
    pub container: &'a str,
}

#[async_trait]
impl Inspect for ContainerPython<'_> {
    async fn inspect(&self, request: &Request) -> Result<Inspection> {
        let command = Command {
            argv: COMMAND.map(str::to_owned).to_vec(),
            stdin: request.script()?.into_bytes(),
            timeout: Some(LONGEST),
            ..Command::default()
        };
        let output = self.context.host.containers.run(self.container, command).await?;
        if !output.success() {
            return Err(Error::failed(format!("ask the Python of `{}`", self.container))
                .because(format!("it exited with {}", output.status))
                .output(output.tail(10)));
        }
        Inspection::parse(&output.text())
    }
}

/// Refuses a checkout that the container's Python cannot run, whatever is added to it.
pub(super) fn refuse(inspection: &Inspection, label: &str) -> Result<()> {
    let doing = || Error::failed(format!("run the checkout as {label}"));
    if let Some(problem) = inspection.syntax_errors.first() {
        let line = problem.line.map_or(String::new(), |line| format!(":{line}"));
        return Err(doing()
            .because(format!("{}{line}: {}", problem.path, problem.reason))
            .output(problem.text.clone()));
    }
    if let Some(wrong) = inspection.unsupported_python.first() {
        return Err(doing().because(format!(
            "{} needs Python {}, the container has {}",
            wrong.project, wrong.requires_python, inspection.python
        )));
    }
    match inspection.unsatisfied_by_checkouts.first() {
        Some(unmet) => Err(doing().because(described(unmet))),
        None => Ok(()),
    }
}

/// `oslo.service[threading]>=4.2.2 (for openstack-heat; there is 4.1.1)`.
pub(super) fn described(unmet: &Unmet) -> String {
    let found = unmet
        .found
        .as_deref()
        .map_or_else(|| "there is none".to_owned(), |version| format!("there is {version}"));
    format!("{} (for {}; {found})", unmet.requirement, unmet.required_by)
}
