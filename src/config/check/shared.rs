//! What may stand once among all services.

use std::collections::BTreeMap;

use super::mistakes::Check;
use crate::config::profile::ServiceProfile;

pub fn check(check: &mut Check<'_>) {
    unique(check, "container kind", |service| names(service.containers.keys()));
    unique(check, "variable", |service| names(service.variables.keys()));
    unique(check, "frontend", |service| names(service.frontends.iter().map(|it| &it.name)));
    unique(check, "frontend port", |service| {
        service.frontends.iter().map(|frontend| frontend.port.to_string()).collect()
    });
    unique(check, "port for TLS", |service| {
        service.frontends.iter().map(|frontend| frontend.port_by(true).to_string()).collect()
    });
    unique(check, "database", |service| names(service.databases.iter().map(|it| &it.name)));
    unique(check, "virtual host", |service| names(service.queues.iter().map(|it| &it.vhost)));
    unique(check, "test suite", |service| names(service.suites.iter().map(|it| &it.name)));
    single(check, "virtual_address", |service| {
        service.containers.values().any(|kind| kind.virtual_address)
    });
    single(check, "sql_server", |service| service.sql_server.is_some());
    single(check, "load_balancer", |service| service.load_balancer.is_some());
    single(check, "identity_server", |service| service.identity_server.is_some());
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}

/// Each of the names that `of` gives may stand once.
fn unique(check: &mut Check<'_>, what: &str, of: impl Fn(&ServiceProfile) -> Vec<String>) {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for service in check.profiles.services.values() {
        for name in of(service) {
            match owners.get(&name) {
                Some(owner) => check.of(format!("services/{}.yml", service.service)).mistake(
                    &name,
                    format!("the {what} `{name}` is already one of service `{owner}`"),
                ),
                None => {
                    owners.insert(name, &service.service);
                }
            }
        }
    }
}

/// One service at most may have `key`.
fn single(check: &mut Check<'_>, key: &str, has: impl Fn(&ServiceProfile) -> bool) {
    let mut with = check.profiles.services.values().filter(|service| has(service));
    let Some(first) = with.next() else { return };
    for other in with {
        check
            .of(format!("services/{}.yml", other.service))
            .mistake(key, format!("service `{}` has `{key}` already", first.service));
    }
}
