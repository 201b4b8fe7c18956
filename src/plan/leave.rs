//! What is asked before members go for good, and what clears their records when they went.

use std::sync::Arc;

use serde_json::json;

use crate::config::profile::{Ask, ForgetCommand, Refusal, ServiceProfile};
use crate::engine::event::{Phase, Resource};
use crate::engine::key::StepKey;
use crate::engine::step::Step;
use crate::error::Result;
use crate::model::cloud::Cloud;
use crate::model::command::Command;
use crate::model::departed::{Departed, labels};
use crate::model::topology::Container;
use crate::plan::bootstrap::{catalog_key, ready_key, rendered_done};
use crate::render::Renderer;
use crate::steps::departed::Forgotten;
use crate::steps::setup::Setup;
use crate::steps::site::{ATTEMPTS, Site};

/// One question whose answer may keep members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub departing: Vec<Departed>,
    /// Why they may not.
    pub because: String,
    pub hint: String,
    pub ask: Ask,
}

/// Returns those whose kind is among `kinds`; all where none is named.
fn concerned(kinds: &[String], departed: &[Departed]) -> Vec<Departed> {
    let of = |it: &&Departed| kinds.is_empty() || kinds.contains(&it.kind);
    departed.iter().filter(of).cloned().collect()
}

/// What is asked of a cloud before some of its members go.
pub fn questions(
    cloud: &Cloud,
    renderer: &Renderer,
    departing: &[Departed],
) -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    for Refusal { of, because, hint, ask } in
        cloud.services.iter().flat_map(|service| &service.leave.refuse)
    {
        let departing = concerned(of, departing);
        let first = departing.first().and_then(|it| cloud.container(&it.name));
        let Some(place) = first else { continue };
        let extra = json!({ "departed": departing });
        let ask = match ask {
            Ask::Sql { query } => {
                Ask::Sql { query: renderer.render_text_with(place, query, &extra)? }
            }
            Ask::Run { script } => Ask::Run { script: script.clone() },
        };
        questions.push(Question { departing, because: because.clone(), hint: hint.clone(), ask });
    }
    Ok(questions)
}

/// The steps that clear the records of members that went; none when nobody did.
pub fn steps(site: &Arc<Site>, renderer: &Renderer, departed: &[Departed]) -> Result<Vec<Step>> {
    if departed.is_empty() {
        return Ok(Vec::new());
    }
    let mut steps = Vec::new();
    for service in &site.cloud.services {
        // Commands of one service run in the order in which the profile lists them.
        let mut before: Option<StepKey> = None;
        for command in &service.leave.forget {
            let departed = concerned(&command.of, departed);
            let place = site.cloud.members(&command.container).next();
            if let (Some(place), false) = (place, departed.is_empty()) {
                let mut step = forget(site, renderer, (service, command), place, &departed)?;
                step.needs.extend(before.replace(step.key.clone()));
                steps.push(step);
            }
        }
    }
    steps.push(Step {
        key: StepKey::new("leave/forgotten"),
        title: format!("nothing is left of {}", labels(departed)),
        phase: Phase::Verify,
        resource: Resource::Light,
        needs: steps.iter().map(|step| step.key.clone()).collect(),
        estimate_ms: 10,
        action: Arc::new(Forgotten { departed: departed.to_vec() }),
    });
    Ok(steps)
}

/// All services in service, with their catalog: records are cleared by asking them.
fn whole_cloud(site: &Site) -> Vec<StepKey> {
    let services = &site.cloud.services;
    let ready = services.iter().map(|service| ready_key(&service.service));
    ready.chain(site.cloud.identity_server().map(|_| catalog_key())).collect()
}

fn forget(
    site: &Arc<Site>,
    renderer: &Renderer,
    (service, command): (&ServiceProfile, &ForgetCommand),
    place: &Container,
    departed: &[Departed],
) -> Result<Step> {
    let extra = json!({ "departed": departed });
    let text = |text: &str| renderer.render_text_with(place, text, &extra);
    let action = Setup {
        title: command.title.clone(),
        record: format!("leave/{}/{}", service.service, command.name),
        container: place.clone(),
        command: Command {
            environment: renderer.render_environment(place, &command.environment)?,
            ..Command::shell(text(&command.script)?)
        },
        done: rendered_done(&command.done, text)?,
        fills: Vec::new(),
        keepsake: None,
        upgrades: false,
        attempts: ATTEMPTS,
        site: Arc::clone(site),
    };
    Ok(Step {
        key: StepKey::new(format!("leave/{}/{}", service.service, command.name)),
        title: command.title.clone(),
        phase: Phase::Services,
        resource: Resource::Load,
        needs: whole_cloud(site),
        estimate_ms: 2_000,
        action: Arc::new(action),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::graph::Graph;
    use crate::plan::bootstrap;
    use crate::render::builtin_tests::each_scenario;

    #[test]
    fn who_goes_is_asked_after_and_then_forgotten_by_all_that_know_them() {
        let mut seen = 0;
        each_scenario(|cloud, renderer| {
            let site = Arc::new(Site::new(cloud.clone(), Default::default()));
            assert!(steps(&site, renderer, &[]).unwrap().is_empty());
            for container in &cloud.containers {
                let gone = Departed { member: 9, ..Departed::from(container) };
                let mut all = bootstrap::steps(&site, renderer).unwrap();
                all.extend(steps(&site, renderer, std::slice::from_ref(&gone)).unwrap());
                let graph = Graph::new(all).unwrap();
                let keys = graph.steps().iter().map(|step| step.key.to_string());
                let keys: Vec<String> = keys.filter(|key| key.starts_with("leave/")).collect();
                assert_eq!(keys.last().map(String::as_str), Some("leave/forgotten"));
                assert!(keys.iter().any(|key| key == "leave/rabbitmq/queues"), "of whatever kind");
                let computes = keys.iter().any(|key| key == "leave/nova/computes");
                assert_eq!(computes, container.kind == "nova_compute");
                for question in questions(cloud, renderer, &[Departed::from(container)]).unwrap() {
                    if let Ask::Sql { query } = question.ask {
                        assert!(query.contains(&container.hostname), "{query}");
                        seen += 1;
                    }
                }
            }
        });
        assert!(seen > 1);
    }
}
