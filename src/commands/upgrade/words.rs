//! What `aio upgrade` prints.

use super::upgraded::{Upgraded, UpgradedService};
use crate::engine::event::Outcome;
use crate::engine::report::Report;
use crate::ui::format;
use crate::ui::table::Table;

fn what(service: &UpgradedService) -> [String; 4] {
    let UpgradedService { service, kinds, from, to, .. } = service;
    [service.clone(), kinds.join(", "), from.clone(), to.clone()]
}

/// A table of what came along, and what can be done now.
pub fn render(upgraded: &Upgraded) -> String {
    let headers =
        ["service", "containers", "from", "to", "seconds", "requests", "refused", "longest wait"];
    let mut table = Table::new(headers).right(4).right(5).right(6).right(7);
    for service in &upgraded.services {
        let numbers = match service.requests {
            0 => [String::new(), String::new(), String::new()],
            requests => [
                requests.to_string(),
                service.refused.to_string(),
                format!("{:.1} s", service.longest_seconds.as_secs_f64()),
            ],
        };
        let seconds = format!("{:.1}", service.seconds.as_secs_f64());
        table.row(what(service).into_iter().chain([seconds]).chain(numbers));
    }
    let Upgraded { cloud, from, to, .. } = upgraded;
    let mut text = format!(
        "cloud {cloud}: from OpenStack {from} to {to} in {}\n\n{}\n",
        format::duration(upgraded.seconds),
        table.render()
    );
    text.push_str(&left(upgraded));
    text.push_str(&format!(
        "Not accepted yet: `aio upgrade --back` brings {from} back as it was, without what was made \
         since; `aio upgrade --accept` ends that.\n"
    ));
    text
}

fn left(upgraded: &Upgraded) -> String {
    let left: Vec<&str> = upgraded.left.iter().map(String::as_str).collect();
    if left.is_empty() {
        return String::new();
    }
    let from = &upgraded.from;
    format!("Left as it was, of {from}: {}. `aio upgrade` brings it along.\n", left.join(", "))
}

/// What would be done, in order.
pub fn plan((upgraded, report): &(Upgraded, Report)) -> String {
    let mut table = Table::new(["service", "containers", "from", "to"]);
    for service in &upgraded.services {
        table.row(what(service));
    }
    let pending = |prefix: &str| -> Vec<String> {
        let steps = report.steps.iter().filter(|step| {
            matches!(step.outcome, Outcome::Pending { .. })
                && step.key.to_string().starts_with(prefix)
        });
        steps.map(|step| step.title.clone()).collect()
    };
    let layers = pending("layer/").len();
    let Upgraded { cloud, from, to, .. } = upgraded;
    let mut text = format!("cloud {cloud}: from OpenStack {from} to {to}\n\n{}\n", table.render());
    text.push_str(&left(upgraded));
    let layers = match layers {
        0 => String::new(),
        1 => "one image layer is built, ".to_owned(),
        more => format!("{more} image layers are built, "),
    };
    text.push_str(&format!(
        "First {layers}the services' own checks are made and all databases are copied; then one service after another, each of its members when the one before serves.\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_table_then_what_was_left_and_what_can_be_done() {
        let service = |service: &str, requests, refused| UpgradedService {
            service: service.to_owned(),
            kinds: vec![service.to_owned(), "x".to_owned()],
            from: "1.0.0".to_owned(),
            to: "2.0.0".to_owned(),
            seconds: Duration::from_millis(12_340),
            requests,
            refused,
            longest_seconds: Duration::from_millis(2500),
        };
        let upgraded = Upgraded {
            cloud: "aio1".to_owned(),
            from: "2026.1".to_owned(),
            to: "2026.2".to_owned(),
            seconds: Duration::from_secs(80),
            services: vec![service("heat", 40, 9), service("quiet", 0, 0)],
            left: BTreeSet::from(["nova_compute".to_owned()]),
        };
        assert_eq!(
            render(&upgraded),
            "\
cloud aio1: from OpenStack 2026.1 to 2026.2 in 1 min 20 s

SERVICE  CONTAINERS  FROM   TO     SECONDS  REQUESTS  REFUSED  LONGEST WAIT
heat     heat, x     1.0.0  2.0.0     12.3        40        9         2.5 s
quiet    quiet, x    1.0.0  2.0.0     12.3         -        -             -

Left as it was, of 2026.1: nova_compute. `aio upgrade` brings it along.
Not accepted yet: `aio upgrade --back` brings 2026.1 back as it was, without what was made since; `aio upgrade --accept` ends that.
"
        );
    }
}
