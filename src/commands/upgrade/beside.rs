//! A script that runs with the code of the release to come, in a container that serves the former one.
//!
//! The layer's Python is made to appear in the running container and mounted in the place of its own for
//! this one process: in a mount namespace that ends with it. What serves there sees nothing of it, and
//! the script has the container's configuration, network and accounts.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, Result};
use crate::model::command::{Command, Output};
use crate::model::publication::Publication;

/// What the directory is called below what is published.
const NAME: &str = "python";

/// Mounts the first argument at the second, and runs the third.
const BEGIN: &str = r#"
mkdir -p "$2" && mount --bind "$1" "$2" || exit 99
export PATH="$2/bin:$PATH"
exec sh -euc "$3"
"#;

/// The Python of a release, in a published layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// On the host.
    pub directory: PathBuf,
    /// In containers.
    pub home: String,
}

/// What the script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Whether the service is fit. Exits with 1 for a warning, with more where it is not.
    Check,
    /// To bring databases to what both releases live with.
    Expand,
}

pub struct Beside {
    /// The container's full name.
    pub container: String,
    pub service: String,
    pub python: Python,
    /// A shell script, with its environment.
    pub command: Command,
    pub purpose: Purpose,
}

/// Runs a shell script in a container with the code of another release. `unit` is what the code appears
/// under.
///
/// # Errors
/// When it cannot be run; how it ended is the caller's to judge.
pub async fn run_beside(
    context: &StepContext,
    container: &str,
    unit: String,
    python: &Python,
    command: Command,
) -> Result<Output> {
    let containers = &context.host.containers;
    // The administrator may have moved the state directory and left a link.
    let source = python.directory.canonicalize().unwrap_or_else(|_| python.directory.clone());
    let publication = Publication::of_root(unit, NAME, source);
    containers.publish(container, &publication, false).await?;
    let place = format!("{}/{NAME}", Publication::path_in_container(&publication.unit));
    let script = command.argv.last().cloned().unwrap_or_default();
    let argv = ["unshare", "--mount", "sh", "-euc", BEGIN, "sh", &place, &python.home];
    let argv = argv.into_iter().map(str::to_owned).chain([script]).collect();
    let ran = containers.run(container, Command { argv, ..command }).await;
    containers.withdraw(container, &publication.unit).await?;
    ran
}

impl Beside {
    fn judge(&self, status: i32) -> Option<Error> {
        let what = match (self.purpose, status) {
            (_, 0) | (Purpose::Check, 1) => return None,
            (Purpose::Check, _) => format!("{} is not fit for the upgrade", self.service),
            (Purpose::Expand, _) => format!("prepare the databases of {}", self.service),
        };
        Some(
            Error::failed(what).because(format!("it exited with {status} in `{}`", self.container)),
        )
    }
}

#[async_trait]
impl Action for Beside {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Wrong(match self.purpose {
            Purpose::Check => "it was not asked yet".to_owned(),
            Purpose::Expand => "the former release serves".to_owned(),
        }))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let word = match self.purpose {
            Purpose::Check => "check",
            Purpose::Expand => "expand",
        };
        let unit = format!("upgrade-{}-{word}", self.service);
        let command = self.command.clone();
        let output = run_beside(context, &self.container, unit, &self.python, command).await?;
        for line in output.tail(usize::MAX).lines() {
            context.output(line);
        }
        if (self.purpose, output.status) == (Purpose::Check, 1) {
            context.warn(format!(
                "the upgrade check of {} has warnings: they are in the log of this run",
                self.service
            ));
        }
        self.judge(output.status).map_or(Ok(()), |error| Err(error.output(output.tail(30))))
    }

    async fn verify(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::host::fake::containers::FakeContainers;
    use crate::host::fake::empty;
    use crate::host::{Containers, Host};
    use crate::model::command::Output;
    use crate::model::topology::tests::container;

    fn beside(purpose: Purpose) -> Beside {
        Beside {
            container: container("c/1").name,
            service: "heat".to_owned(),
            python: Python {
                directory: "/layers/x/root/opt/py".into(),
                home: "/opt/py".to_owned(),
            },
            command: Command::shell("migrate"),
            purpose,
        }
    }

    #[tokio::test]
    async fn a_warning_is_no_failure_of_a_check_and_any_other_status_is_one() {
        for (purpose, status, fails) in [
            (Purpose::Check, 0, false),
            (Purpose::Check, 1, false),
            (Purpose::Check, 2, true),
            (Purpose::Expand, 0, false),
            (Purpose::Expand, 1, true),
        ] {
            let containers = Arc::new(FakeContainers::default());
            containers.define(&container("c/1")).await.unwrap();
            containers.start(&container("c/1").name).await.unwrap();
            let ran = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&ran);
            containers.answer(move |_, command| {
                heard.lock().unwrap().push(command.argv.clone());
                Some(Output { status, ..Output::default() })
            });
            let host = Host { containers: containers as Arc<_>, ..empty() };
            let context = StepContext::silent(Arc::new(host));
            let done = beside(purpose).act(&context).await;
            assert_eq!(done.is_err(), fails, "{purpose:?} {status}");
            let ran = ran.lock().unwrap();
            assert_eq!(ran[0][..2], ["unshare", "--mount"]);
            let word = if purpose == Purpose::Check { "check" } else { "expand" };
            let place = format!("/dev/.aio/upgrade-heat-{word}/python");
            assert_eq!(ran[0][6..], [place.as_str(), "/opt/py", "migrate"]);
        }
    }
}
