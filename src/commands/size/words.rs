//! What `aio size` prints for people.

use std::fmt::Write;
use std::time::Duration;

use console::style;

use crate::model::decide::Decision;
use crate::model::facts::{Ability, Answer, CgroupLayout, HostFacts};
use crate::model::sizing::limits::Whose;
use crate::ui::format;
use crate::ui::table::Table;

pub fn report(facts: &HostFacts, decision: &Decision) -> String {
    let mut text = heading("This host").trim_start().to_owned();
    text.push_str(&host(facts));
    text.push_str(&heading("What would be built"));
    text.push_str(&cloud(decision));
    text.push_str(&containers(decision));
    text.push_str(&networks(decision));
    text.push_str(&heading("What the kernel counts"));
    text.push_str(&limits(decision));
    let notes: Vec<&String> = decision.notes.iter().chain(&decision.obstacles).collect();
    if !notes.is_empty() {
        text.push_str(&heading("Good to know"));
        for note in notes {
            let _ = writeln!(text, "- {note}");
        }
    }
    text.push_str(&verdict(decision));
    text
}

fn heading(title: &str) -> String {
    format!("\n{}\n\n", style(title).bold())
}

/// Names and values in two columns.
fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

fn host(facts: &HostFacts) -> String {
    let yes_no = |it: bool| if it { "yes" } else { "no" };
    let storage = &facts.storage;
    let inodes =
        storage.free_inodes.map_or_else(|| "as needed".to_owned(), |free| format!("{free} free"));
    let kernel = &facts.kernel;
    let groups = match kernel.cgroup {
        CgroupLayout::Unified => "version 2",
        CgroupLayout::Hybrid => "version 1 and 2",
        CgroupLayout::Legacy => "version 1",
        CgroupLayout::Absent => "not mounted",
    };
    let mut rows = vec![
        ("system", format!("{}, kernel {}", facts.distribution.name, kernel.release)),
        ("cores", facts.cores.to_string()),
        ("memory", format!("{} MiB, {} free", facts.memory.total_mib, facts.memory.available_mib)),
        (
            "disk",
            format!(
                "{} MiB free under {} ({}), inodes {inodes}",
                storage.free_mib, storage.path, storage.filesystem
            ),
        ),
        (
            "control groups",
            format!(
                "{groups}; systemd {}, AppArmor {}",
                yes_no(kernel.systemd),
                yes_no(kernel.apparmor)
            ),
        ),
        ("LXC", facts.liblxc.clone().unwrap_or_else(|| "not installed".to_owned())),
    ];
    for ability in Ability::ALL {
        if let Some(presence) = facts.abilities.get(&ability) {
            let answer = match presence.is {
                Answer::Yes => "yes",
                Answer::No => "no",
                Answer::Unknown => "unknown",
            };
            rows.push((ability.title(), format!("{answer} ({})", presence.because)));
        }
    }
    if let Some(uri) = &facts.package_index.uri {
        let answer = match facts.package_index.reachable {
            Some(true) => "answers",
            Some(false) => "does not answer",
            None => "not asked",
        };
        rows.push(("package index", format!("{answer}: {uri}")));
    }
    if !facts.read_as_root {
        rows.push((
            "",
            "Read without root: some facts are derived, firewalls not seen.".to_owned(),
        ));
    }
    pairs(&rows)
}

fn cloud(decision: &Decision) -> String {
    let sizing = &decision.sizing;
    let scenario = if decision.reason.is_empty() {
        decision.scenario.scenario.clone()
    } else {
        format!("{} ({})", decision.scenario.scenario, decision.reason)
    };
    let containers: u32 = decision.members.values().sum();
    pairs(&[
        ("cloud", format!("{}, OpenStack {}", decision.cloud, decision.release.release)),
        ("scenario", scenario),
        ("reached", decision.reached.clone()),
        ("containers", containers.to_string()),
        ("memory", format!("{} MiB when idle", sizing.predicted_memory_mib)),
        ("disk", format!("{} MiB", sizing.predicted_disk_mib)),
        (
            "time",
            format!(
                "{} the first time, {} from cached layers",
                duration(sizing.predicted_cold_secs),
                duration(sizing.predicted_warm_secs)
            ),
        ),
        (
            "workers",
            format!("{} per API, {} per RPC service", sizing.api_workers, sizing.rpc_workers),
        ),
        (
            "at a time",
            format!(
                "{} layers built, {} containers started, {} services loaded",
                sizing.parallel_packages, sizing.parallel_starts, sizing.parallel_loads
            ),
        ),
    ])
}

fn duration(seconds: u64) -> String {
    format::duration(Duration::from_secs(seconds))
}

fn containers(decision: &Decision) -> String {
    let mut table = Table::new(["kind", "members", "memory limit"]).right(1).right(2);
    for (kind, members) in &decision.members {
        let limit = decision.sizing.memory_limit_mib.get(kind).copied().unwrap_or_default();
        table.row([kind.clone(), members.to_string(), format!("{limit} MiB")]);
    }
    format!("\n{}", table.render())
}

fn networks(decision: &Decision) -> String {
    let mut table = Table::new(["network", "range", "bridge", "note"]);
    for network in &decision.networks.networks {
        let note = decision.network_reasons.get(&network.role).cloned().unwrap_or_default();
        let range = network.range.to_string();
        table.row([network.role.name().to_owned(), range, network.bridge.clone(), note]);
    }
    format!("\n{}", table.render())
}

fn limits(decision: &Decision) -> String {
    let mut table = Table::new(["limit", "for", "there is", "in use", "needed", "so"])
        .right(2)
        .right(3)
        .right(4);
    let number = |it: Option<u64>| it.map_or_else(|| "?".to_owned(), |number| number.to_string());
    for count in decision.limits.iter().filter(|count| count.most.is_some()) {
        let whose = match count.whose {
            Whose::Container => "each container",
            Whose::Root => "all containers",
            Whose::Host => "the host",
        };
        let then = match (count.advice, count.raised) {
            (Some(_), _) => "not enough".to_owned(),
            (None, Some(raised)) => format!("bootstrap raises {} to {raised}", count.name),
            (None, None) => "enough".to_owned(),
        };
        table.row([
            count.title.to_owned(),
            whose.to_owned(),
            number(count.most),
            number(count.used),
            count.needed.to_string(),
            then,
        ]);
    }
    table.render()
}

fn verdict(decision: &Decision) -> String {
    if decision.refusals.is_empty() {
        return format!("\n{}\n", style("It fits.").green());
    }
    let mut text = heading("It does not fit");
    for refusal in &decision.refusals {
        let _ = writeln!(
            text,
            "- {}: found {}, needed {}. {}",
            refusal.what, refusal.found, refusal.needed, refusal.advice
        );
    }
    for sentence in &decision.instead {
        let _ = writeln!(text, "- {sentence}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::cloud::{CloudFile, CloudOptions};
    use crate::config::load::Profiles;
    use crate::model::decide::{Premises, decide};

    fn text(host: &str, cloud: &str, obstacles: &[String]) -> String {
        console::set_colors_enabled(false);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts").join(host);
        let facts: HostFacts =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let profiles = Profiles::load(Path::new("/nonexistent")).unwrap();
        let cloud = CloudFile::parse(cloud, "cloud.yml").unwrap();
        let premises = Premises {
            name: "aio1",
            facts: &facts,
            profiles: &profiles,
            file: &cloud,
            former: None,
            upgrades: false,
        };
        let mut decision = decide(&premises, &CloudOptions::default()).unwrap();
        decision.obstacles = obstacles.to_vec();
        report(&facts, &decision)
    }

    #[test]
    fn a_users_host() {
        let text = text("trixie-systemd-16g.json", "", &[]);
        for line in [
            "system                              Debian GNU/Linux 13 (trixie), kernel 6.12.48+deb13-amd64",
            "control groups                      version 2; systemd yes, AppArmor yes",
            "scenario    control (`default` does not fit: memory 15872 MiB found, 20576 MiB needed)",
            "workers     3 per API, 3 per RPC service",
            "nat         10.0.4.0/24      aio1-nat   10.0.4.0/24 in place of 10.0.3.0/24: \
             lxcbr0 has 10.0.3.1/24",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\nIt fits.\n"));
        assert!(!text.contains("Good to know"));
    }

    #[test]
    fn what_the_kernel_counts_is_told_with_what_becomes_of_it() {
        let text = text("reference-24g.json", "scenario: default\n", &[]);
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(squeezed).collect();
        for line in [
            "kernel keys each container 200 220 2000 bootstrap raises kernel.keys.maxkeys to 2220",
            "process ids the host 32768 1318 4100 enough",
            "ranges of 65536 subordinate ids the host 1024 ? 41 enough",
        ] {
            assert!(lines.iter().any(|there| there == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_small_host_is_told_what_is_missing() {
        let text = text("small-4g.json", "scenario: control\n", &["Docker is.".to_owned()]);
        assert!(text.contains("Good to know\n\n- Docker is.\n"), "{text}");
        assert!(text.contains("It does not fit\n\n- memory: found 3915 MiB, needed 5"), "{text}");
        assert!(text.contains("Read without root"), "{text}");
    }
}
