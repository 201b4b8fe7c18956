//! The tables of `aio status` and `aio ls`.

use console::style;

use crate::model::health::{CloudHealth, ContainerHealth, Health};
use crate::model::topology::label;
use crate::ui::table::Table;

/// The word for a health, coloured.
fn health(health: Health) -> String {
    let word = health.word();
    match health {
        Health::Healthy => style(word).green(),
        Health::Degraded => style(word).yellow(),
        Health::Down => style(word).red(),
    }
    .to_string()
}

/// Returns why it is not healthy, and whether it needs more memory than it has.
fn remark(container: &ContainerHealth) -> String {
    let killed = match container.memory_kills {
        0 => None,
        1 => Some("1 process was killed".to_owned()),
        more => Some(format!("{more} processes were killed")),
    };
    let limit = container.memory_limit_mib;
    let killed = killed.map(|killed| format!("{killed} at its memory limit of {limit} MiB"));
    container.reason.iter().cloned().chain(killed).collect::<Vec<_>>().join("; ")
}

/// Containers with their units, then clusters, then what the load balancer sees.
pub fn status(cloud: &CloudHealth) -> String {
    let outside = cloud.outside.as_ref().map(|url| format!(", from outside at {url}"));
    let outside = outside.unwrap_or_default();
    let (state, release) = (health(cloud.state), &cloud.release);
    let behind: String = cloud
        .behind
        .iter()
        .map(|(release, kinds)| {
            let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
            format!(" ({} of {release})", kinds.join(", "))
        })
        .collect();
    let mut text =
        format!("cloud {}: {state}, OpenStack {release}{behind}{outside}\n", cloud.cloud);
    let built: Vec<String> =
        cloud.built.iter().map(|it| format!("{} {:.9}", it.name, it.commit)).collect();
    if !built.is_empty() {
        text.push_str(&format!("of git: {}\n", built.join(", ")));
    }
    text.push('\n');
    let mut table = Table::new(["container", "state", "health", "address", "units", "reason"]);
    for container in &cloud.containers {
        let active = container.units.values().filter(|active| **active).count();
        let address = container.addresses.get("management").or(container.addresses.get("nat"));
        table.row([
            label(&container.kind, container.member),
            container.state.to_owned(),
            health(container.health),
            address.map(ToString::to_string).unwrap_or_default(),
            format!("{active}/{}", container.units.len()),
            remark(container),
        ]);
    }
    text.push_str(&table.render());
    if !cloud.clusters.is_empty() {
        let mut table = Table::new(["cluster", "members", "health"]);
        for (kind, cluster) in &cloud.clusters {
            let (size, state) = match cluster.size {
                None => ("?".to_owned(), "not asked".to_owned()),
                Some(size) => (size.to_string(), health(cluster_health(size, cluster.expected))),
            };
            table.row([kind.clone(), format!("{size}/{}", cluster.expected), state]);
        }
        text.push('\n');
        text.push_str(&table.render());
    }
    text.push('\n');
    text.push_str(&backends(cloud));
    text
}

fn cluster_health(size: usize, expected: usize) -> Health {
    match size {
        0 => Health::Down,
        size if size == expected => Health::Healthy,
        _ => Health::Degraded,
    }
}

fn backends(cloud: &CloudHealth) -> String {
    if cloud.backends.is_empty() {
        return "the load balancer does not answer\n".to_owned();
    }
    let mut table = Table::new(["frontend", "server", "seen as", "role", "sessions"]).right(4);
    for server in &cloud.backends {
        let member = cloud.containers.iter().find(|it| it.name == server.server);
        let seen = match server.status.as_str() {
            "UP" | "no check" => style(&server.status).green(),
            _ => style(&server.status).red(),
        };
        table.row([
            server.frontend.clone(),
            member.map(|it| label(&it.kind, it.member)).unwrap_or_default(),
            seen.to_string(),
            if server.backup { "backup" } else { "active" }.to_owned(),
            server.sessions.to_string(),
        ]);
    }
    table.render()
}

/// The columns of `lxc-ls -f`, with service and health.
pub fn list(cloud: &CloudHealth) -> String {
    let mut table = Table::new([
        "name",
        "state",
        "autostart",
        "groups",
        "ipv4",
        "ipv6",
        "unprivileged",
        "service",
        "health",
    ]);
    for container in &cloud.containers {
        let addresses: Vec<String> =
            container.addresses.values().map(ToString::to_string).collect();
        table.row([
            container.name.clone(),
            container.state.to_uppercase(),
            "1".to_owned(),
            "openstack".to_owned(),
            addresses.join(", "),
            String::new(),
            container.unprivileged.to_string(),
            container.service.clone(),
            health(container.health),
        ]);
    }
    table.render()
}
