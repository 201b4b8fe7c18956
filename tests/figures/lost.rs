//! What a user sees when a member is lost hard under load.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::cloud::Cloud;
use crate::support::faults::{self, Fault};
use crate::support::load;
use crate::support::openstack::Client;
use crate::table::{Table, Target};

const RUNS: usize = 5;

/// Each member, lost in each way.
pub fn measure(cloud: &Cloud, table: &mut Table) {
    for fault in [Fault::CutThenKilled, Fault::Killed] {
        for (kind, slowest_secs, failed_percent) in [("keystone", 4.0, 2.0), ("galera", 5.0, 5.0)] {
            let what = format!("{kind} {}", fault.word());
            for _ in 0..table.times(&what, RUNS) {
                under_load(cloud, table, fault, kind, &what, (slowest_secs, failed_percent));
            }
        }
        let what = format!("rabbit_mq {}: a stack made then", fault.word());
        for number in 0..table.times(&what, RUNS) {
            with_a_stack(cloud, table, fault, &what, number);
        }
    }
}

fn under_load(
    cloud: &Cloud,
    table: &mut Table,
    fault: Fault,
    kind: &str,
    what: &str,
    (slowest_secs, failed_percent): (f64, f64),
) {
    let user = load::prepare(cloud, &Client::administrator(cloud));
    let victim = faults::victim(cloud, kind);
    let seen = load::run(&user, Duration::from_secs(15), Duration::from_secs(5), || {
        fault.strike(&victim);
    });
    let requests: Vec<_> = seen
        .samples
        .iter()
        .map(|sample| json!([sample.at_secs, sample.took_secs, sample.status]))
        .collect();
    table.note(what, &json!({"victim": victim, "requests": requests}));
    println!("{what}: {}", seen.line());
    let slowest = format!("{what}: slowest request");
    table.number(&slowest, Target::AtMost(slowest_secs), "s", seen.slowest_secs());
    let failed = format!("{what}: failed requests");
    table.number(&failed, Target::AtMost(failed_percent), "%", seen.failed_percent());
    come_back(cloud, &victim);
}

fn with_a_stack(cloud: &Cloud, table: &mut Table, fault: Fault, what: &str, number: usize) {
    let administrator = Client::administrator(cloud);
    let (token, project) = administrator.token();
    let victim = faults::victim(cloud, "rabbit_mq");
    let name = format!("bench-{}-{number}", fault.word().replace(' ', "-"));
    fault.strike(&victim);
    let (took, status) = administrator.make_stack(&token, &project, &name);
    table.note(what, &json!({"victim": victim, "status": status}));
    // One that failed never became complete.
    let took = if status == "CREATE_COMPLETE" { took } else { Duration::from_secs(999) };
    table.seconds(what, Target::AtMost(12.0), took);
    administrator.delete_stack(&token, &project, &name);
    come_back(cloud, &victim);
}

fn come_back(cloud: &Cloud, name: &str) {
    cloud.ok(&["start", name]);
    cloud.healthy_within(Duration::from_secs(90));
    // Caches and connections settle, so that one run does not weigh on the next.
    thread::sleep(Duration::from_secs(3));
}
