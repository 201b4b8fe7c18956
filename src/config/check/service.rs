//! One service.

use std::collections::BTreeSet;

use super::kind;
use super::mistakes::FileCheck;
use crate::config::profile::{
    Ask, Done, Frontend, Identity, Leave, ServiceDev, ServiceProfile, SetupPhase, Variable,
};
use crate::config::variables::type_of;

pub fn check(file: &mut FileCheck<'_, '_>, service: &ServiceProfile) {
    for needed in &service.needs {
        file.known_service(needed);
    }
    for (name, variable) in &service.variables {
        check_variable(file, name, variable);
    }
    for (name, definition) in &service.containers {
        kind::check(file, name, definition);
    }
    check_stores(file, service);
    check_identity(file, &service.identity);
    for frontend in &service.frontends {
        check_frontend(file, frontend);
    }
    for frontend in &service.guests_reach {
        file.known_frontend(frontend);
    }
    check_setup(file, service);
    check_leave(file, &service.leave);
    check_roles(file, service);
    check_verify(file, service);
    if let Some(dev) = &service.dev {
        check_dev(file, service, dev);
    }
    if let Some(upgrade) = &service.upgrade {
        let setup = service.setup.iter().map(|command| command.name.as_str());
        file.known("set-up command", &upgrade.setup, setup);
    }
}

fn check_dev(file: &mut FileCheck<'_, '_>, service: &ServiceProfile, dev: &ServiceDev) {
    if let Some(schema) = &dev.schema {
        let setup = service.setup.iter().map(|command| command.name.as_str());
        file.known("set-up command", &schema.setup, setup);
    }
    // It may run in another service's container.
    let kinds = file.profiles().services.values().flat_map(|service| service.containers.values());
    let units: Vec<&str> =
        kinds.flat_map(|kind| &kind.units).map(|unit| unit.name.as_str()).collect();
    for (unit, dev) in &dev.units {
        file.known("unit", unit, units.iter().copied());
        file.expect(!dev.foreground.is_empty(), unit, || {
            format!("how `{unit}` runs in a terminal does not follow from what it runs: it needs `foreground`")
        });
    }
}

fn check_variable(file: &mut FileCheck<'_, '_>, name: &str, variable: &Variable) {
    let word = name;
    file.expect(!variable.default.is_null(), word, || {
        format!("the default of variable `{name}` is its type, so it cannot be null")
    });
    for choice in &variable.choices {
        file.expect(type_of(choice) == type_of(&variable.default), word, || {
            format!("the choice {choice} of variable `{name}` is of another type than its default")
        });
    }
    let among = variable.choices.is_empty() || variable.choices.contains(&variable.default);
    file.expect(among, word, || {
        format!("the default of variable `{name}` is not among its choices")
    });
}

fn check_stores(file: &mut FileCheck<'_, '_>, service: &ServiceProfile) {
    for database in &service.databases {
        file.known_secret(&database.secret);
        for kind in &database.direct_from {
            file.known_kind(kind);
        }
    }
    for queue in &service.queues {
        file.known_secret(&queue.secret);
        file.expect(queue.vhost.starts_with('/'), &queue.vhost, || {
            format!("the virtual host `{}` must begin with a slash", queue.vhost)
        });
        for limited in &queue.limited {
            file.known_secret(&limited.secret);
            let topics = limited.topics.iter().flat_map(|topic| [&topic.write, &topic.read]);
            for pattern in
                [&limited.configure, &limited.write, &limited.read].into_iter().chain(topics)
            {
                // RabbitMQ takes one that is found anywhere in a name.
                let anchored = pattern.starts_with('^') && pattern.ends_with('$');
                file.expect(anchored, pattern, || {
                    format!(
                        "what `{}` may do, `{pattern}`, must begin with `^` and end with `$`",
                        limited.user
                    )
                });
            }
        }
    }
}

fn check_identity(file: &mut FileCheck<'_, '_>, identity: &Identity) {
    let profiles = file.profiles();
    let all = || profiles.services.values();
    let domains = all().flat_map(|service| &service.identity.domains).map(|it| it.name.as_str());
    let domains: Vec<&str> = domains.chain(["Default"]).collect();
    let declared = all().flat_map(|service| &service.identity.projects).map(|it| it.name.as_str());
    let own = all().filter_map(|service| service.identity_server.as_ref());
    let roles = all().flat_map(|service| &service.identity.roles);
    let made = own.clone().flat_map(|server| &server.roles);
    let roles: Vec<&str> = roles.chain(made).map(String::as_str).collect();
    let projects: Vec<&str> = declared.chain(own.map(|server| server.project.as_str())).collect();
    for project in &identity.projects {
        file.known("domain", &project.domain, domains.iter().copied());
    }
    for user in &identity.users {
        file.known("domain", &user.domain, domains.iter().copied());
        file.known_secret(&user.secret);
        for assignment in &user.roles {
            file.known("role", &assignment.role, roles.iter().copied());
            match (&assignment.project, &assignment.domain) {
                (Some(project), None) => file.known("project", project, projects.iter().copied()),
                (None, Some(domain)) => file.known("domain", domain, domains.iter().copied()),
                _ => file.mistake(
                    &user.name,
                    format!(
                        "the role `{}` of user `{}` needs either `project` or `domain`",
                        assignment.role, user.name
                    ),
                ),
            }
        }
    }
    for entry in &identity.services {
        file.known_frontend(&entry.frontend);
    }
}

fn check_frontend(file: &mut FileCheck<'_, '_>, frontend: &Frontend) {
    file.known_kind(&frontend.backend);
    let of_section = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    file.expect(frontend.name.chars().all(of_section), &frontend.name, || {
        format!("the frontend's name `{}` has a character that HAProxy refuses", frontend.name)
    });
}

fn check_setup(file: &mut FileCheck<'_, '_>, service: &ServiceProfile) {
    let mut seen = BTreeSet::new();
    for command in &service.setup {
        if command.before == SetupPhase::Cloud {
            // What uses the cloud as a user does runs where its clients are.
            file.known_kind(&command.container);
        } else {
            let own = service.containers.keys().map(String::as_str);
            file.known("container kind", &command.container, own);
        }
        file.expect(seen.insert(&command.name), &command.name, || {
            format!("there are two set-up commands `{}`", command.name)
        });
        for database in &command.fills {
            let own = service.databases.iter().map(|database| database.name.as_str());
            file.known("database", database, own);
        }
        if let Some(kept) = &command.kept {
            file.expect(!command.fills.is_empty(), &command.name, || {
                format!("of `{}` nothing can be kept: it has no `fills`", command.name)
            });
            for table in &kept.without_rows_of {
                let database =
                    table.split_once('.').map_or(table.as_str(), |(database, _)| database);
                file.known("database", database, command.fills.iter().map(String::as_str));
            }
        }
        file.no_secret_in(&command.script, &command.name);
        if let Done::Run { script } | Done::Sql { query: script } = &command.done {
            file.no_secret_in(script, &command.name);
        }
    }
}

fn check_leave(file: &mut FileCheck<'_, '_>, leave: &Leave) {
    for refusal in &leave.refuse {
        refusal.of.iter().for_each(|kind| file.known_kind(kind));
        let (Ask::Sql { query: text } | Ask::Run { script: text }) = &refusal.ask;
        file.no_secret_in(text, &refusal.because);
    }
    let mut seen = BTreeSet::new();
    for command in &leave.forget {
        command.of.iter().for_each(|kind| file.known_kind(kind));
        file.known_kind(&command.container);
        file.expect(seen.insert(&command.name), &command.name, || {
            format!("there are two commands `{}` of those who leave", command.name)
        });
        file.no_secret_in(&command.script, &command.name);
        if let Done::Run { script } | Done::Sql { query: script } = &command.done {
            file.no_secret_in(script, &command.name);
        }
    }
}

/// What the engine itself talks to.
fn check_roles(file: &mut FileCheck<'_, '_>, service: &ServiceProfile) {
    let own = || service.containers.keys().map(String::as_str);
    if let Some(server) = &service.sql_server {
        file.known("container kind", &server.kind, own());
        file.known_secret(&server.secret);
    }
    if let Some(balancer) = &service.load_balancer {
        file.known("container kind", &balancer.kind, own());
    }
    if let Some(server) = &service.identity_server {
        file.known_frontend(&server.frontend);
        file.known_secret(&server.secret);
    }
}

fn check_verify(file: &mut FileCheck<'_, '_>, service: &ServiceProfile) {
    let mut seen = BTreeSet::new();
    for check in &service.verify {
        file.known_kind(&check.container);
        file.expect(seen.insert(&check.name), &check.name, || {
            format!("there are two checks `{}`", check.name)
        });
        for needed in &check.needs {
            file.known_service(needed);
        }
        file.expect(check.timeout_secs > 0, &check.name, || {
            format!("the check `{}` has no time at all", check.name)
        });
        file.no_secret_in(&check.script, &check.name);
        for part in &check.then {
            file.known_kind(&part.container);
            file.no_secret_in(&part.script, &check.name);
        }
    }
    let mut seen = BTreeSet::new();
    for lasting in &service.lasting {
        file.known_kind(&lasting.container);
        file.expect(seen.insert(&lasting.name), &lasting.name, || {
            format!("two things that last are called `{}`", lasting.name)
        });
        for needed in &lasting.needs {
            file.known_service(needed);
        }
        file.no_secret_in(&lasting.script, &lasting.name);
    }
    for suite in &service.suites {
        file.known_kind(&suite.container);
        file.no_secret_in(&suite.script, &suite.name);
    }
}
