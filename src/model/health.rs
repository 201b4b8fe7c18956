//! How well a cloud is: what `aio status` and `aio ls` show.

use crate::model::lock::Built;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::Serialize;
use time::Date;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All that was promised.
    Healthy,
    /// It serves, but something that should be there is not.
    Degraded,
    /// It does not serve.
    Down,
}

impl Health {
    /// The word in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct ContainerHealth {
    /// Full name.
    pub name: String,
    pub kind: String,
    pub service: String,
    pub member: u32,
    /// `running`, `stopped`, `absent`.
    pub state: &'static str,
    pub health: Health,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many of its processes the kernel killed since its start, because they reached its memory
    /// limit.
    pub memory_kills: u64,
    pub memory_limit_mib: u64,
    /// Whether its root is an ordinary user on the host.
    pub unprivileged: bool,
    pub addresses: BTreeMap<&'static str, Ipv4Addr>,
    /// Each unit with whether it runs.
    pub units: BTreeMap<String, bool>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ClusterHealth {
    /// Members that see one another; `None` when they cannot be asked.
    pub size: Option<usize>,
    pub expected: usize,
}

/// A server as HAProxy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerState {
    pub frontend: String,
    /// The container's full name.
    pub server: String,
    /// `UP`, `DOWN`, `MAINT`, `DRAIN`, with details: `UP 1/2`.
    pub status: String,
    pub sessions: u64,
    pub backup: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct CloudHealth {
    pub cloud: String,
    /// Its release of OpenStack.
    pub release: String,
    /// Kinds of another release, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<String, BTreeSet<String>>,
    /// What of it was built of git.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub built: Vec<Built>,
    pub state: Health,
    pub containers: Vec<ContainerHealth>,
    /// Clusters by container kind.
    pub clusters: BTreeMap<String, ClusterHealth>,
    /// Servers as the load balancer sees them.
    pub backends: Vec<ServerState>,
    /// Where it is reached from outside, if at all: the address with the scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
    /// The day on which the first of its certificates ends, if it has any: `2027-12-31`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub certificates_end: Option<Date>,
    /// Secrets that were edited and that the cloud does not use yet.
    pub unapplied_secrets: BTreeSet<String>,
}

fn shown<S: serde::Serializer>(
    date: &Option<Date>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&date.map(|date| date.to_string()).unwrap_or_default())
}

/// How well what the load balancer sees is: down when a frontend has no server that serves. One that
/// was taken out (`MAINT`, `DRAIN`) was meant to be.
fn frontends(servers: &[ServerState]) -> Health {
    let mut served: BTreeMap<&str, bool> = BTreeMap::new();
    for server in servers {
        let serves = server.status.starts_with("UP") || server.status == "no check";
        *served.entry(&server.frontend).or_default() |= serves;
    }
    if served.values().any(|served| !served) {
        Health::Down
    } else if servers.iter().any(|server| server.status.starts_with("DOWN")) {
        Health::Degraded
    } else {
        Health::Healthy
    }
}

/// Down when a kind has no healthy member or a frontend no server that serves, degraded when
/// anything is not healthy.
pub fn overall(
    containers: &[ContainerHealth],
    clusters: &BTreeMap<String, ClusterHealth>,
    servers: &[ServerState],
) -> Health {
    let mut best: BTreeMap<&str, Health> = BTreeMap::new();
    for container in containers {
        let known = best.entry(&container.kind).or_insert(Health::Down);
        *known = (*known).min(container.health);
    }
    let whole =
        clusters.values().all(|cluster| cluster.size.is_none_or(|size| size == cluster.expected));
    let own = if best.values().any(|health| *health == Health::Down) {
        Health::Down
    } else if whole && containers.iter().all(|it| it.health == Health::Healthy) {
        Health::Healthy
    } else {
        Health::Degraded
    };
    own.max(frontends(servers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(kind: &str, health: Health) -> ContainerHealth {
        ContainerHealth {
            name: kind.to_owned(),
            kind: kind.to_owned(),
            service: kind.to_owned(),
            member: 1,
            state: "running",
            health,
            reason: None,
            memory_kills: 0,
            memory_limit_mib: 64,
            unprivileged: true,
            addresses: BTreeMap::new(),
            units: BTreeMap::new(),
        }
    }

    #[test]
    fn one_member_of_two_down_is_degraded_and_all_members_down_is_down() {
        let none = BTreeMap::new();
        let pair = [member("a", Health::Healthy), member("a", Health::Down)];
        assert_eq!(overall(&pair, &none, &[]), Health::Degraded);
        let gone = [member("a", Health::Healthy), member("b", Health::Down)];
        assert_eq!(overall(&gone, &none, &[]), Health::Down);
        assert_eq!(overall(&[member("a", Health::Healthy)], &none, &[]), Health::Healthy);
    }

    #[test]
    fn a_cluster_that_lacks_a_member_is_degraded() {
        let state = |size| {
            let clusters = BTreeMap::from([("a".to_owned(), ClusterHealth { size, expected: 3 })]);
            overall(&[member("a", Health::Healthy)], &clusters, &[])
        };
        assert_eq!(state(Some(2)), Health::Degraded);
        assert_eq!(state(Some(3)), Health::Healthy);
        // It could not be asked, which is no ailment of its own.
        assert_eq!(state(None), Health::Healthy);
    }

    #[test]
    fn a_frontend_that_nobody_serves_is_down_and_a_server_that_is_down_degrades() {
        let state = |statuses: &[&str]| {
            let server = |status: &&str| ServerState {
                frontend: "web".to_owned(),
                server: "aio1_web_container-1".to_owned(),
                status: (*status).to_owned(),
                sessions: 0,
                backup: false,
            };
            let servers: Vec<ServerState> = statuses.iter().map(server).collect();
            overall(&[member("a", Health::Healthy)], &BTreeMap::new(), &servers)
        };
        assert_eq!(state(&["UP", "UP 1/2"]), Health::Healthy);
        assert_eq!(state(&["UP", "MAINT"]), Health::Healthy);
        assert_eq!(state(&["no check"]), Health::Healthy);
        assert_eq!(state(&["UP", "DOWN 1/2"]), Health::Degraded);
        assert_eq!(state(&["DOWN"]), Health::Down);
        assert_eq!(state(&["MAINT", "DOWN"]), Health::Down);
    }
}
