//! Scenarios and releases.

use super::kind;
use super::mistakes::FileCheck;
use crate::config::release::Release;
use crate::config::scenario::Scenario;
use crate::config::variables::mismatch;

pub fn check(file: &mut FileCheck<'_, '_>, scenario: &Scenario) {
    let profiles = file.profiles();
    for kind in scenario.members.keys() {
        file.known_kind(kind);
    }
    let deployed = |service: &str| {
        profiles.services.get(service).is_none_or(|service| {
            let mut kinds = service.containers.keys();
            kinds.any(|kind| scenario.members.get(kind).is_some_and(|members| *members > 0))
        })
    };
    for service in profiles.services.values().filter(|service| deployed(&service.service)) {
        for needed in service.needs.iter().filter(|needed| !deployed(needed)) {
            file.mistake(
                "members",
                format!("service `{}` needs `{needed}`, which has no member here", service.service),
            );
        }
    }
    for (name, value) in &scenario.variables {
        let variables = profiles.services.values().flat_map(|service| &service.variables);
        match variables.clone().find(|(known, _)| *known == name) {
            Some((_, variable)) => {
                if let Some(reason) = mismatch(variable, value) {
                    file.mistake(name, format!("variable `{name}` {reason}"));
                }
            }
            None => file.known("variable", name, variables.map(|(known, _)| known.as_str())),
        }
    }
}

pub fn check_release(file: &mut FileCheck<'_, '_>, release: &Release) {
    // Units to restart are not checked here: those of the base system are not listed anywhere.
    for rendered in &release.files {
        kind::check_file(file, rendered);
    }
}
