//! `aio verify`: every service used as its users do.
//!
//! It holds no lock: what a check makes it takes away again, and a bootstrap may go on meanwhile.
//! Checks are those of the profiles as they are now, run against the cloud that is recorded: a check
//! that was edited needs no bootstrap.

use super::checks::{Checked, Verdict, Verified};
use super::plan::{self, Planned};
use crate::cloud::open::Access;
use crate::cloud::run::{Options, Run};
use crate::cloud::{Session, opened, require_root};
use crate::config::load::Profiles;
use crate::config::nearest::suggestion;
use crate::config::profile::ServiceProfile;
use crate::engine::event::Outcome;
use crate::engine::key::StepKey;
use crate::engine::report::{Report, Span, StepReport};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;

/// Runs the checks of the services that are named; of all without a name.
///
/// # Errors
/// When there is no such cloud or service. A check that fails is part of the answer.
pub async fn verify(options: &Options, names: &[String]) -> Result<Verified> {
    require_root("verify")?;
    let session = Session::recorded(&options.paths, Access::Look).await?;
    let cloud = &session.site.cloud;
    let (profiles, renderer) = opened::renderer(&session, cloud)?;
    let services = select(&profiles, cloud, names)?;
    let planned = plan::checks(cloud, &renderer, &services, rand::random())?;
    let (described, steps) = described(planned);
    let durations = options.paths.check_durations_file();
    let report = Run::new(options, &session, "verify").check(steps, Some(durations)).await?;
    let checks = checked(described, &report);
    Ok(Verified {
        cloud: cloud.name.clone(),
        release: cloud.release.release.clone(),
        seconds: report.summary.elapsed,
        checks,
    })
}

/// What a check is called (service, name, title), and its step.
pub type Described = (String, String, String, StepKey);

fn described(planned: Vec<Planned<'_>>) -> (Vec<Described>, Vec<Step>) {
    let split = planned.into_iter().map(|Planned { service, name, title, step }| {
        ((service.to_owned(), name, title.to_owned(), step.key.clone()), step)
    });
    split.unzip()
}

/// The services of this cloud that names mean, in the order of the profiles.
pub fn select<'a>(
    profiles: &'a Profiles,
    cloud: &Cloud,
    names: &[String],
) -> Result<Vec<&'a ServiceProfile>> {
    let deployed = |name: &str| cloud.services.iter().any(|it| it.service == name);
    for name in names {
        let error = Error::new(ErrorKind::NotFound, format!("verify the service `{name}`"));
        let Some(service) = profiles.services.get(name) else {
            let known = profiles.services.keys().map(String::as_str).filter(|it| deployed(it));
            let error = error.because("there is no such service");
            return Err(error.hints(suggestion(name, known)));
        };
        if !deployed(name) {
            return Err(error
                .because("this cloud does not have it")
                .hint(format!("`aio bootstrap --with {name}` adds it.")));
        }
        if service.verify.is_empty() {
            return Err(error.because("its profile has no `verify` section"));
        }
    }
    let wanted = |service: &&ServiceProfile| {
        deployed(&service.service) && (names.is_empty() || names.contains(&service.service))
    };
    Ok(profiles.services.values().filter(wanted).collect())
}

pub fn checked(described: Vec<Described>, report: &Report) -> Vec<Checked> {
    let found = described.into_iter().filter_map(|(service, check, title, key)| {
        let step = report.steps.iter().find(|step| step.key == key)?;
        let (result, reason) = verdict(step);
        Some(Checked {
            service,
            check,
            title,
            result,
            seconds: step.acted.map(Span::length).unwrap_or_default(),
            reason,
            output: step.error.as_ref().and_then(|error| error.output.clone()),
        })
    });
    found.collect()
}

/// Returns how a step ended, and why. The last line of a script says more than its exit status.
fn verdict(step: &StepReport) -> (Verdict, Option<String>) {
    match &step.outcome {
        Outcome::Changed | Outcome::Unchanged => (Verdict::Pass, None),
        Outcome::Skipped { reason } => (Verdict::LeftOut, Some(reason.clone())),
        Outcome::Failed { error, .. } => {
            let output = step.error.as_ref().and_then(|error| error.output.as_deref());
            let last = output.and_then(|text| text.trim_end().lines().last());
            // A time-out, or a container that does not run, has a cause; a script has its own words.
            let cause = step.error.as_ref().and_then(|error| error.causes.last());
            let reason = cause.map(String::as_str).or(last).unwrap_or(error);
            (Verdict::Fail, Some(reason.trim().to_owned()))
        }
        Outcome::Cancelled | Outcome::NotRun { .. } | Outcome::Pending { .. } => {
            (Verdict::Interrupted, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::engine::event::Resource;
    use crate::engine::graph::Graph;
    use crate::engine::options::{RunOptions, Slots};
    use crate::engine::run::run;
    use crate::host::fake::containers::FakeContainers;
    use crate::host::fake::empty;
    use crate::host::{Containers, Host};
    use crate::model::command::Output;
    use crate::render::testing;

    const CHECKS: &str = "
service: heat
summary: x
containers:
  heat_engine: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
verify:
  - {name: good, title: it works, container: heat_engine, script: 'true'}
  - {name: bad, title: it does not, container: heat_engine, script: 'fail'}
  - {name: late, title: it ends, container: heat_engine, script: 'late'}
  - {name: far, title: elsewhere, needs: [nova], script: 'true'}
";

    /// The checks, run in a container that is a fake.
    async fn verified(containers: FakeContainers) -> Verified {
        let profiles = testing::profiles_with_heat(CHECKS);
        let cloud = testing::cloud(&profiles);
        let engine = cloud.containers.last().unwrap();
        containers.define(engine).await.unwrap();
        containers.start(&engine.name).await.unwrap();
        let renderer = testing::renderer(&cloud, &profiles);
        let services = select(&profiles, &cloud, &["heat".to_owned()]).unwrap();
        let planned = plan::checks(&cloud, &renderer, &services, 1).unwrap();
        let (described, steps) = described(planned);
        assert!(steps.iter().all(|step| step.resource == Resource::Load));
        let options = RunOptions {
            command: "verify".to_owned(),
            told_by_command: true,
            slots: Slots { package: 1, download: 1, start: 1, load: 2 },
            ..RunOptions::default()
        };
        let host = Arc::new(Host { containers: Arc::new(containers), ..empty() });
        let report = run(&Graph::new(steps).unwrap(), host, options, Vec::new()).await;
        let checks = checked(described, &report);
        Verified {
            cloud: "aio1".to_owned(),
            release: "2025.1".to_owned(),
            seconds: Duration::ZERO,
            checks,
        }
    }

    #[tokio::test]
    async fn one_that_fails_stops_no_other_and_says_its_last_line() {
        let containers = FakeContainers::default();
        containers.answer(|_, command| {
            assert_eq!(command.argv[..4], ["bash", "-euo", "pipefail", "-c"]);
            (command.argv[4] == "fail").then(|| Output {
                status: 3,
                stdout: b"asking\n".to_vec(),
                stderr: b"no answer\n".to_vec(),
            })
        });
        let verified = verified(containers).await;
        let seen: Vec<(&str, Verdict, Option<&str>)> = verified
            .checks
            .iter()
            .map(|check| (check.check.as_str(), check.result, check.reason.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                ("good", Verdict::Pass, None),
                ("bad", Verdict::Fail, Some("no answer")),
                ("late", Verdict::Pass, None),
                ("far", Verdict::LeftOut, Some("it needs nova, which this cloud does not have")),
            ]
        );
        assert_eq!(verified.checks[1].output.as_deref(), Some("asking\nno answer"));
        let error = verified.error().unwrap();
        assert_eq!(error.kind, ErrorKind::Failed);
        assert!(error.to_string().ends_with("1 of 3 checks failed"), "{error}");
    }

    #[tokio::test]
    async fn nothing_failed_is_no_error_and_a_lost_container_is_one() {
        assert!(verified(FakeContainers::default()).await.error().is_none());
        let containers = FakeContainers::default();
        containers.fail("run", 2, "it took more than 120 s");
        let verified = verified(containers).await;
        assert_eq!(verified.count(Verdict::Fail), 1);
        let failed = verified.checks.iter().find(|check| check.result == Verdict::Fail).unwrap();
        assert_eq!(failed.reason.as_deref(), Some("it took more than 120 s"));
    }

    #[test]
    fn services_are_named_and_wrong_names_get_the_nearest() {
        let profiles = testing::profiles_with_heat(CHECKS);
        let cloud = testing::cloud(&profiles);
        let select = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            select(&profiles, &cloud, &names)
        };
        let names = |services: Vec<&ServiceProfile>| -> Vec<String> {
            services.iter().map(|service| service.service.clone()).collect()
        };
        assert_eq!(names(select(&[]).unwrap()), ["galera", "heat"]);
        assert_eq!(names(select(&["heat"]).unwrap()), ["heat"]);
        let error = select(&["haet"]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(error.hints, ["did you mean `heat`?"]);
        let error = select(&["nova"]).unwrap_err();
        assert!(error.to_string().contains("this cloud does not have it"), "{error}");
        assert!(error.hints[0].contains("--with nova"), "{error:?}");
        let error = select(&["galera"]).unwrap_err();
        assert!(error.to_string().contains("no `verify` section"), "{error}");
    }
}
