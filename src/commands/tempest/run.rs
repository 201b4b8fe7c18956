//! Test suites that come with the deployed software (`aio tempest`).
//!
//! A suite is data: a profile says where it runs, the script that runs it and the settings it needs,
//! and the layers of that container hold it. What it prints is the Test Anything Protocol
//! ([`crate::commands::tempest::tap`]), for which the profile's script translates: so nothing here knows a
//! suite's own output, and one of another kind needs no line of Rust but its command's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::tap::{Results, Tap, Verdict};
use crate::cloud::open::Access;
use crate::cloud::run::{Options, Run};
use crate::cloud::{Session, opened, require_root};
use crate::commands::verify::plan;
use crate::config::load::Profiles;
use crate::config::profile::Suite;
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::topology::Container;

#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Only the basic ones.
    pub smoke: bool,
    /// Only those that this regular expression fits.
    pub regex: Option<String>,
}

/// # Errors
/// When there is no such cloud or suite. Tests that fail are part of the answer.
pub async fn run(options: &Options, name: &str, asked: &Asked) -> Result<Results> {
    require_root(name)?;
    let session = Session::recorded(&options.paths, Access::Look).await?;
    let (profiles, renderer) = opened::renderer(&session, &session.site.cloud)?;
    let (suite, container) = find(&profiles, &session.site.cloud, name)?;
    let results = Arc::new(Mutex::new(Tap::default()));
    let step = plan::suite(suite, &renderer, container, variables(asked), &results)?;
    let report = Run::new(options, &session, name).check(vec![step], None).await?;
    let tap = std::mem::take(&mut *results.lock().await);
    Ok(Results {
        suite: name.to_owned(),
        passed: tap.count(Verdict::Passed),
        failed: tap.count(Verdict::Failed),
        skipped: tap.count(Verdict::Skipped),
        seconds: report.summary.elapsed,
        error: report.error(),
        tests: tap.tests,
    })
}

/// What the script is told.
fn variables(asked: &Asked) -> BTreeMap<String, String> {
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    [
        ("SUITE_JOBS", jobs.to_string()),
        ("SUITE_REGEX", asked.regex.clone().unwrap_or_default()),
        ("SUITE_SMOKE", if asked.smoke { "1" } else { "" }.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// A suite of a deployed service, and where it runs.
fn find<'a>(
    profiles: &'a Profiles,
    cloud: &'a Cloud,
    name: &str,
) -> Result<(&'a Suite, &'a Container)> {
    let error = || Error::new(ErrorKind::NotFound, format!("find the test suite `{name}`"));
    let deployed = |service: &str| cloud.services.iter().any(|it| it.service == service);
    let mut found = profiles
        .services
        .values()
        .flat_map(|service| service.suites.iter().map(move |suite| (service, suite)))
        .filter(|(_, suite)| suite.name == name);
    let Some((service, suite)) = found.next() else {
        return Err(error().because("no profile has it in its `suites`"));
    };
    if !deployed(&service.service) {
        let service = &service.service;
        return Err(error().because(format!("it comes with {service}, which this cloud lacks")));
    }
    let container = cloud.members(&suite.container).next().ok_or_else(|| {
        let kind = &suite.container;
        error()
            .because(format!("it runs in {kind}, which this cloud does not have"))
            .hint(format!("`aio bootstrap --set {kind}.members=1` adds it."))
    })?;
    Ok((suite, container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::graph::Graph;
    use crate::engine::options::{RunOptions, Slots};
    use crate::engine::run::run;
    use crate::host::fake::containers::FakeContainers;
    use crate::host::fake::empty;
    use crate::host::{Containers, Host};
    use crate::model::command::Output;
    use crate::render::testing;

    const SUITE: &str = "
service: heat
summary: x
containers:
  heat_engine: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
suites:
  - {name: trial, title: trial of heat, container: heat_engine, script: try}
  - {name: far, title: elsewhere, script: try}
";

    /// The error with which the suite ends when its script leaves this.
    async fn tried(status: i32, printed: &'static str) -> (Tap, Option<Error>) {
        let profiles = testing::profiles_with_heat(SUITE);
        let cloud = testing::cloud(&profiles);
        let (suite, container) = find(&profiles, &cloud, "trial").unwrap();
        let containers = FakeContainers::default();
        containers.define(container).await.unwrap();
        containers.start(&container.name).await.unwrap();
        containers.answer(move |_, command| {
            assert_eq!(command.environment["SUITE_REGEX"], "heat");
            assert_eq!(command.environment["SUITE_SMOKE"], "1");
            let (stdout, stderr) = (printed.as_bytes().to_vec(), b"loading\n".to_vec());
            Some(Output { status, stdout, stderr })
        });
        let renderer = testing::renderer(&cloud, &profiles);
        let results = Arc::new(Mutex::new(Tap::default()));
        let asked = variables(&Asked { smoke: true, regex: Some("heat".to_owned()) });
        let step = plan::suite(suite, &renderer, container, asked, &results).unwrap();
        let options = RunOptions {
            command: "trial".to_owned(),
            told_by_command: true,
            slots: Slots { package: 1, download: 1, start: 1, load: 1 },
            ..RunOptions::default()
        };
        let host = Arc::new(Host { containers: Arc::new(containers), ..empty() });
        let report = run(&Graph::new(vec![step]).unwrap(), host, options, Vec::new()).await;
        (std::mem::take(&mut *results.lock().await), report.error())
    }

    #[tokio::test]
    async fn it_ends_well_only_when_tests_were_run_and_none_failed() {
        let (tap, error) = tried(0, "1..1\nok 1 - a # time=1.5\n").await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(tap.tests.len(), 1);
        let (tap, error) = tried(1, "1..2\nok 1 - a\nnot ok 2 - b\n  ---\n  why\n  ...\n").await;
        assert_eq!(tap.tests[1].details, "why\n");
        assert!(error.unwrap().to_string().ends_with("1 of 2 tests failed"));
        let (_, error) = tried(2, "no such option\n").await;
        let error = error.unwrap();
        assert!(error.to_string().contains("it exited with 2"), "{error}");
        assert!(error.output.unwrap().contains("no such option"));
        let (_, error) = tried(0, "1..0\n").await;
        assert!(error.unwrap().to_string().ends_with("no test was run"));
        let (_, error) = tried(0, "ok 1 - a\nBail out! no image\n").await;
        assert!(error.unwrap().to_string().ends_with("it gave up: no image"));
    }

    #[test]
    fn a_suite_is_found_where_it_can_run() {
        let profiles = testing::profiles_with_heat(SUITE);
        let cloud = testing::cloud(&profiles);
        let why = |name: &str| find(&profiles, &cloud, name).unwrap_err().to_string();
        assert!(find(&profiles, &cloud, "trial").is_ok());
        assert!(why("other").contains("no profile has it"));
        assert!(why("far").contains("it runs in utility"));
        let mut without = cloud.clone();
        without.services.retain(|service| service.service != "heat");
        let error = find(&profiles, &without, "trial").unwrap_err();
        assert!(error.to_string().contains("which this cloud lacks"), "{error}");
    }
}
