//! The checks of services and their test suites as steps. They need nothing of one another.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::check::{Check, LeftOut};
use crate::commands::tempest::step::Suite;
use crate::commands::tempest::tap::Tap;
use crate::config::profile::{Check as Definition, ServiceProfile, Suite as SuiteDefinition};
use crate::engine::event::{Phase, Resource};
use crate::engine::key::StepKey;
use crate::engine::step::{Action, Step};
use crate::error::Result;
use crate::model::cloud::Cloud;
use crate::model::command::Command;
use crate::model::hash::sha256_hex;
use crate::model::topology::Container;
use crate::render::Renderer;

/// What a check takes before one was measured, in milliseconds.
const ESTIMATE_MS: u64 = 5_000;

/// A check of a service as it is done: once, or in one of the members in which it is done.
pub struct Planned<'a> {
    pub service: &'a str,
    /// `token`, or `row/2` in a second member.
    pub name: String,
    /// What it proves.
    pub title: &'a str,
    pub step: Step,
}

/// All checks of these services. `id` marks the run.
pub fn checks<'a>(
    cloud: &Cloud,
    renderer: &Renderer,
    services: &[&'a ServiceProfile],
    id: u32,
) -> Result<Vec<Planned<'a>>> {
    let mut planned: Vec<Planned<'a>> = Vec::new();
    for service in services {
        for check in service.verify.iter().filter(|check| !of_absent_extra(cloud, service, check)) {
            let mut add = |member: Option<u32>, action: Arc<dyn Action>| {
                let member = member.map(|member| format!("/{member}")).unwrap_or_default();
                let name = format!("{}{member}", check.name);
                let step = Step {
                    key: StepKey::new(format!("verify/{}/{name}", service.service)),
                    title: format!("{} {name}: {}", service.service, check.title),
                    phase: Phase::Verify,
                    resource: Resource::Load,
                    needs: Vec::new(),
                    estimate_ms: ESTIMATE_MS,
                    action,
                };
                planned.push(Planned {
                    service: &service.service,
                    name,
                    title: &check.title,
                    step,
                });
            };
            let places = match places(cloud, check) {
                Ok(places) => places,
                Err(reason) => {
                    add(None, Arc::new(LeftOut(reason)));
                    continue;
                }
            };
            for container in &places {
                let member = (places.len() > 1).then_some(container.member);
                let parts = parts(cloud, renderer, check, container, id)?;
                add(member, Arc::new(Check { timeout_secs: check.timeout_secs, parts }));
            }
        }
    }
    Ok(planned)
}

/// Whether it is of a kind of the service that must be asked for by its own name, and was not.
fn of_absent_extra(cloud: &Cloud, service: &ServiceProfile, check: &Definition) -> bool {
    let kind = service.containers.get(&check.container);
    kind.is_some_and(|kind| kind.members == 0) && cloud.members(&check.container).next().is_none()
}

/// Returns where a check begins, or why it cannot be done in this cloud.
fn places<'a>(cloud: &'a Cloud, check: &'a Definition) -> Result<Vec<&'a Container>, String> {
    place(cloud, &check.container, &check.needs)?;
    for part in &check.then {
        place(cloud, &part.container, &[])?;
    }
    let limit = if check.everywhere { usize::MAX } else { 1 };
    Ok(cloud.members(&check.container).take(limit).collect())
}

/// Returns the container in which something runs that needs these services, or why it cannot in this
/// cloud.
pub fn place<'a>(cloud: &'a Cloud, kind: &str, needs: &[String]) -> Result<&'a Container, String> {
    let deployed = |name: &&String| cloud.services.iter().any(|it| it.service == **name);
    if let Some(missing) = needs.iter().find(|name| !deployed(name)) {
        return Err(format!("it needs {missing}, which this cloud does not have"));
    }
    let mut members = cloud.containers.iter().filter(|it| it.kind == kind);
    members.next().ok_or_else(|| format!("it runs in {kind}, which this cloud does not have"))
}

/// The scripts of a check with the names of the containers in which they run.
fn parts(
    cloud: &Cloud,
    renderer: &Renderer,
    check: &Definition,
    container: &Container,
    id: u32,
) -> Result<Vec<(String, Command)>> {
    // Checks and members differ as well, so that none finds what another made.
    let of = sha256_hex(format!("{} {} {id}", check.name, container.name));
    let id: String = of.chars().take(8).collect();
    let elsewhere = check.then.iter().filter_map(|part| {
        cloud.members(&part.container).next().map(|container| (container, &part.script))
    });
    let all = std::iter::once((container, &check.script)).chain(elsewhere);
    all.map(|(container, script)| {
        let mut command = command(renderer, container, &check.environment, script)?;
        command.environment.insert("VERIFY_ID".to_owned(), id.clone());
        Ok((container.name.clone(), command))
    })
    .collect()
}

/// One step that runs a test suite and leaves what it says in `results`.
pub fn suite(
    definition: &SuiteDefinition,
    renderer: &Renderer,
    container: &Container,
    asked: BTreeMap<String, String>,
    results: &Arc<Mutex<Tap>>,
) -> Result<Step> {
    let mut command = command(renderer, container, &definition.environment, &definition.script)?;
    command.environment.extend(asked);
    Ok(Step {
        key: StepKey::new(format!("suite/{}", definition.name)),
        title: definition.title.clone(),
        phase: Phase::Verify,
        resource: Resource::Load,
        needs: Vec::new(),
        estimate_ms: 0,
        action: Arc::new(Suite {
            container: container.name.clone(),
            command,
            results: Arc::clone(results),
        }),
    })
}

/// A script with its environment, as it runs in a container.
pub fn command(
    renderer: &Renderer,
    container: &Container,
    variables: &BTreeMap<String, String>,
    script: &str,
) -> Result<Command> {
    let environment = renderer.render_environment(container, variables)?;
    let script = renderer.render_text(container, script)?;
    let argv = ["bash", "-euo", "pipefail", "-c", &script].map(str::to_owned).to_vec();
    Ok(Command { argv, environment, ..Command::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::profile::Part;
    use crate::render::testing;

    fn check(name: &str, container: &str, needs: &[&str]) -> Definition {
        Definition {
            name: name.to_owned(),
            title: "x".to_owned(),
            container: container.to_owned(),
            everywhere: container == "galera",
            timeout_secs: 120,
            needs: needs.iter().map(|name| (*name).to_owned()).collect(),
            environment: BTreeMap::from([(
                "PASSWORD".to_owned(),
                "{{ secrets.heat_service_password }}".to_owned(),
            )]),
            script: "ask {{ container.address }}".to_owned(),
            then: Vec::new(),
        }
    }

    #[test]
    fn what_is_missing_leaves_a_check_out() {
        let cloud = testing::cloud(&testing::profiles(&[]));
        let found = |container: &str, needs: &[&str]| {
            let check = check("stack", container, needs);
            places(&cloud, &check).map(|found| found.iter().map(|it| it.member).collect::<Vec<_>>())
        };
        assert_eq!(found("heat_engine", &["galera"]).unwrap(), [1]);
        assert_eq!(found("galera", &[]).unwrap(), [1, 2, 3]);
        assert!(found("heat_engine", &["nova"]).unwrap_err().starts_with("it needs nova"));
        assert!(found("utility", &[]).unwrap_err().starts_with("it runs in utility"));
    }

    #[test]
    fn secrets_reach_the_environment_alone() {
        let profiles = testing::profiles(&[]);
        let cloud = testing::cloud(&profiles);
        let renderer = testing::renderer(&cloud, &profiles);
        let check = check("stack", "heat_engine", &[]);
        let part = Part { container: "galera".to_owned(), script: "look".to_owned() };
        let check = Definition { then: vec![part], ..check };
        let container = places(&cloud, &check).unwrap()[0];
        let parts = |id| parts(&cloud, &renderer, &check, container, id).unwrap();
        let made = parts(1);
        assert_eq!(made[0].1.argv, ["bash", "-euo", "pipefail", "-c", "ask 172.29.236.211"]);
        assert_eq!(made[1].1.argv[4], "look");
        assert_ne!(made[0].0, made[1].0);
        for (_, command) in &made {
            assert_eq!(command.environment["PASSWORD"], "hunter2/x");
            assert_eq!(command.environment["VERIFY_ID"], made[0].1.environment["VERIFY_ID"]);
            assert_eq!(command.environment["VERIFY_ID"].len(), 8);
        }
        assert_ne!(made[0].1.environment["VERIFY_ID"], parts(2)[0].1.environment["VERIFY_ID"]);
    }

    #[test]
    fn every_check_is_a_step_that_needs_no_other() {
        let profiles = testing::profiles(&[]);
        let cloud = testing::cloud(&profiles);
        let renderer = testing::renderer(&cloud, &profiles);
        let mut heat = profiles.services["heat"].clone();
        heat.verify = vec![check("row", "galera", &[]), check("server", "utility", &["nova"])];
        let services = [&heat, &profiles.services["nova"]];
        let planned = checks(&cloud, &renderer, &services, 1).unwrap();
        let keys: Vec<String> = planned.iter().map(|it| it.step.key.to_string()).collect();
        assert_eq!(
            keys,
            ["verify/heat/row/1", "verify/heat/row/2", "verify/heat/row/3", "verify/heat/server"]
        );
        assert!(planned.iter().all(|it| it.step.needs.is_empty()));
    }
}
