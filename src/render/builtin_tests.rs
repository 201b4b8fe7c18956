//! The built-in profiles: every text of every scenario can be rendered and explained.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use super::Renderer;
use super::testing::{builtin_cloud, interface};
use crate::commands::verify::plan;
use crate::config::load::Profiles;
use crate::config::overrides::Overrides;
use crate::config::profile::{Done, File, Merge, Probe, ServiceProfile};
use crate::config::scenario::Scenario;
use crate::model::cloud::{Cloud, Inside, Outside};
use crate::model::departed::Departed;
use crate::model::topology::Container;
use crate::secrets::spec::SecretSpec;
use crate::secrets::tls::inside::pem_name;
use crate::secrets::tls::outside::OUTSIDE_PEM;

pub fn profiles() -> Profiles {
    Profiles::load(Path::new("/nonexistent")).unwrap()
}

/// What that secret is, hard to quote.
pub fn secret_value(name: &str) -> String {
    format!("s3cret'\"$\\/{name}")
}

/// A value for each secret that the deployed services need.
fn secrets(cloud: &Cloud) -> BTreeMap<String, SecretString> {
    secrets_by(cloud, secret_value)
}

/// The same, each what `value` makes of its name.
pub fn secrets_by(cloud: &Cloud, value: fn(&str) -> String) -> BTreeMap<String, SecretString> {
    let spec = SecretSpec::embedded().unwrap();
    let services: Vec<String> =
        cloud.services.iter().map(|service| service.service.clone()).collect();
    spec.needed_by(&services)
        .map(|(name, _)| (name.to_owned(), SecretString::from(value(name))))
        .collect()
}

/// All files of a container, those included that it gets once.
pub fn files<'a>(cloud: &'a Cloud, container: &Container) -> Vec<&'a File> {
    let (_, kind) = cloud.kind(&container.kind).unwrap();
    let seed = kind.cluster.iter().flat_map(|cluster| &cluster.seed);
    cloud.release.files.iter().chain(&kind.files).chain(seed).collect()
}

/// Calls `test` with every scenario's cloud and a renderer for it.
pub fn each_scenario(mut test: impl FnMut(&Cloud, &Renderer)) {
    let profiles = profiles();
    for scenario in profiles.scenarios.values() {
        with_scenario(&profiles, scenario, &mut test);
    }
}

/// Calls `test` with the cloud of the scenario `default`, reached from outside in that way.
pub fn exposed(outside: Option<Outside>, test: impl FnOnce(&Cloud, &Renderer)) {
    let profiles = profiles();
    let mut cloud = builtin_cloud(&profiles, &profiles.scenarios["default"]);
    expose(&mut cloud, outside);
    let mut secrets = secrets(&cloud);
    secrets.insert(OUTSIDE_PEM.to_owned(), "the certificate with its key".into());
    let renderer = Renderer::new(&cloud, &secrets, &profiles, &Overrides::default());
    test(&cloud, &renderer.unwrap());
}

/// Gives the load balancer its way out.
pub fn expose(cloud: &mut Cloud, outside: Option<Outside>) {
    let balancer = cloud.containers.iter_mut().find(|it| it.kind == "haproxy").unwrap();
    balancer.interfaces.push(interface("nat", 7));
    cloud.networks.exposed_address = outside.as_ref().map(|_| [192, 0, 2, 7].into());
    cloud.outside = outside;
}

/// Calls `test` with the cloud of every scenario, where everything speaks TLS.
pub fn each_everywhere(mut test: impl FnMut(&Cloud, &Renderer)) {
    let profiles = profiles();
    for scenario in profiles.scenarios.values() {
        let mut cloud = builtin_cloud(&profiles, scenario);
        let mut secrets = secrets(&cloud);
        certify(&mut cloud, &mut secrets, secret_value);
        let renderer = Renderer::new(&cloud, &secrets, &profiles, &Overrides::default());
        test(&cloud, &renderer.unwrap());
    }
}

/// Lets everything speak TLS.
pub fn certify(
    cloud: &mut Cloud,
    secrets: &mut BTreeMap<String, SecretString>,
    value: fn(&str) -> String,
) {
    let mut certificates = BTreeMap::new();
    for name in cloud.certified().into_keys() {
        secrets.insert(pem_name(&name), value(&format!("pem of {name}")).into());
        certificates.insert(name, "a certificate".to_owned());
    }
    cloud.inside = Some(Inside {
        authority: "the authority\nof two lines\n".to_owned(),
        authority_key: "7".to_owned(),
        certificates,
    });
}

/// Calls `test` with the cloud of the scenario `control` as `change` makes it.
pub fn changed_scenario(change: impl FnOnce(&mut Scenario), test: impl FnOnce(&Cloud, &Renderer)) {
    let profiles = profiles();
    let mut scenario = profiles.scenarios["control"].clone();
    change(&mut scenario);
    with_scenario(&profiles, &scenario, test);
}

fn with_scenario(profiles: &Profiles, scenario: &Scenario, test: impl FnOnce(&Cloud, &Renderer)) {
    let cloud = builtin_cloud(profiles, scenario);
    let renderer = Renderer::new(&cloud, &secrets(&cloud), profiles, &Overrides::default());
    test(&cloud, &renderer.unwrap());
}

#[test]
fn the_profiles_fit_together() {
    let spec = SecretSpec::embedded().unwrap();
    let checked = profiles().check(&|name| spec.known(name));
    if let Err(error) = checked {
        panic!("{}\n{}", error.message, error.causes.join("\n"));
    }
}

#[test]
fn every_file_is_rendered_the_same_each_time() {
    let all = || {
        let mut texts = Vec::new();
        each_scenario(|cloud, renderer| {
            for container in &cloud.containers {
                for file in files(cloud, container) {
                    let rendered = renderer.render_file(container, file).unwrap();
                    let text = String::from_utf8(rendered.content).unwrap();
                    let nothing = text.trim().is_empty() && !file.extends_image;
                    assert!(!nothing, "{} is empty", rendered.path);
                    texts.push(text);
                }
            }
        });
        texts
    };
    assert_eq!(all(), all());
}

#[test]
fn every_other_text_of_a_profile_is_rendered() {
    each_scenario(|cloud, renderer| {
        for container in &cloud.containers {
            let (service, kind) = cloud.kind(&container.kind).unwrap();
            let mut texts: Vec<&str> = Vec::new();
            texts.extend(service.frontends.iter().map(|frontend| frontend.options.as_str()));
            texts.extend(service.sql_server.iter().map(|server| server.access.as_str()));
            let environment = service.setup.iter().flat_map(|setup| setup.environment.values());
            texts.extend(environment.map(String::as_str));
            texts.extend(kind.health.iter().filter_map(|probe| match probe {
                Probe::Run { script } => Some(script.as_str()),
                _ => None,
            }));
            if let Some(cluster) = &kind.cluster {
                let scripts = [&cluster.position, &cluster.promote, &cluster.forget, &cluster.grow];
                texts.extend(scripts.into_iter().flatten().map(String::as_str));
            }
            let extra = serde_json::json!({"departing": {
                "hostname": "x", "name": "x", "address": "x", "member": 1, "kind": "x"}});
            for text in texts {
                renderer.render_text_with(container, text, &extra).unwrap();
            }
        }
    });
}

/// What a shell would say to a script, if it cannot read it.
fn complaint(script: &str) -> Option<String> {
    let bash = std::process::Command::new("bash").args(["-n", "-c", script]).output().unwrap();
    (!bash.status.success()).then(|| String::from_utf8_lossy(&bash.stderr).into_owned())
}

#[test]
fn every_check_and_suite_is_a_script_that_a_shell_reads() {
    each_scenario(|cloud, renderer| {
        let services: Vec<&ServiceProfile> = cloud.services.iter().collect();
        // Rendering is part of it.
        plan::checks(cloud, renderer, &services, 1).unwrap();
        for service in services {
            let container = cloud.members("utility").next().unwrap();
            let parts = service.verify.iter().flat_map(|it| it.then.iter().map(|it| &it.script));
            let scripts = service.verify.iter().map(|it| &it.script).chain(parts);
            for script in scripts.chain(service.suites.iter().map(|it| &it.script)) {
                let script = renderer.render_text(container, script).unwrap();
                assert_eq!(complaint(&script), None, "{}: {script}", service.service);
            }
            for suite in &service.suites {
                for value in suite.environment.values() {
                    renderer.render_text(container, value).unwrap();
                }
            }
        }
    });
}

#[test]
fn what_forgets_those_who_went_is_a_script_that_a_shell_reads() {
    each_scenario(|cloud, renderer| {
        let departed: Vec<Departed> =
            cloud.containers.iter().filter(|it| it.member == 1).map(Into::into).collect();
        let extra = serde_json::json!({ "departed": departed });
        for command in cloud.services.iter().flat_map(|service| &service.leave.forget) {
            let Some(place) = cloud.members(&command.container).next() else { continue };
            let text = |text: &str| renderer.render_text_with(place, text, &extra).unwrap();
            let mut scripts = vec![text(&command.script)];
            match &command.done {
                Done::Run { script } => scripts.push(text(script)),
                Done::Sql { query } => drop(text(query)),
                Done::AdminToken => {}
            }
            for script in scripts {
                assert_eq!(complaint(&script), None, "{}: {script}", command.name);
            }
        }
    });
}

#[test]
fn every_line_is_explained_and_no_secret_shown() {
    each_scenario(|cloud, renderer| {
        for container in cloud.containers.iter().filter(|container| container.member == 1) {
            for file in files(cloud, container) {
                let lines = renderer.explain(container, file).unwrap();
                let rendered = renderer.render_file(container, file).unwrap();
                let text = String::from_utf8(rendered.content).unwrap();
                assert_eq!(lines.len(), text.lines().count(), "{}", rendered.path);
                for line in lines {
                    assert!(!line.text.contains("s3cret"), "{}: {}", rendered.path, line.text);
                    assert!(!line.reasons.is_empty(), "{}: {}", rendered.path, line.text);
                    let with_line = line.reasons[0].to_string();
                    let number = with_line.rsplit(':').next().unwrap();
                    assert!(number.parse::<usize>().is_ok(), "{}: {with_line}", rendered.path);
                }
            }
        }
    });
}

#[test]
fn files_that_take_overrides_are_found_by_their_service() {
    let profiles = profiles();
    for service in profiles.services.values() {
        for kind in service.containers.values() {
            for file in kind.files.iter().filter(|file| file.merge == Merge::Ini) {
                let name = file.path.rsplit('/').next().unwrap();
                assert!(name.contains('.'), "{} cannot be named in overrides/", file.path);
            }
        }
    }
}
