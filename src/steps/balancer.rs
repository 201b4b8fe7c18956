//! HAProxy's runtime socket: taking members out of service and back, and how they are seen.
//!
//! A server is named by its container, so no table maps one to the other. Changes at run time need
//! no reload: a reload ends everybody's long-lived sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::profile::Drain;
use crate::engine::step::StepContext;
use crate::engine::wait::until_well;
use crate::error::{Error, Result};
use crate::model::cloud::Cloud;
use crate::model::health::ServerState;
use crate::model::topology::Container;

/// How long sessions may take to end after a drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long the last sessions of a server may take to end before it is made again.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);
/// How long a server that was made again may take to pass its checks.
const CHECK_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// One frontend of one container kind.
#[derive(Clone, Debug)]
struct Backend {
    frontend: String,
    kind: String,
    drain: Drain,
    /// Port on the members.
    port: u16,
    options: String,
}

/// The cloud's load balancer, if it has one.
#[derive(Clone, Debug, Default)]
pub struct Balancer {
    /// Full names of its containers.
    containers: Vec<String>,
    socket: String,
    backends: Vec<Backend>,
    members: BTreeMap<String, u32>,
}

impl Balancer {
    pub fn new(cloud: &Cloud) -> Self {
        let Some(definition) = cloud.load_balancer() else { return Self::default() };
        let backends = cloud
            .frontends()
            .map(|(_, frontend)| Backend {
                frontend: frontend.name.clone(),
                kind: frontend.backend.clone(),
                drain: frontend.drain,
                port: frontend.backend_port.unwrap_or(frontend.port),
                options: format!(
                    "{} {} {}",
                    definition.server_defaults.of(frontend.mode),
                    frontend.server_options,
                    if cloud.inside.is_some() { &*frontend.tls_server_options } else { "" }
                ),
            })
            .collect();
        Self {
            containers: cloud.balancers().map(|container| container.name.clone()).collect(),
            socket: definition.socket.clone(),
            backends,
            members: cloud.count_members(),
        }
    }

    fn backends_of<'a>(&'a self, container: &'a Container) -> impl Iterator<Item = &'a Backend> {
        self.backends.iter().filter(move |backend| backend.kind == container.kind)
    }

    /// What a balancer answers; `None` when it is down: then there is nothing to be told.
    async fn ask(&self, context: &StepContext, name: &str, request: &str) -> Option<String> {
        context.host.containers.socket(name, &self.socket, &format!("{request}\n")).await.ok()
    }

    /// Sends commands to every balancer that is up.
    async fn tell(&self, context: &StepContext, commands: &str) -> Result<()> {
        for name in &self.containers {
            let Some(answer) = self.ask(context, name, commands).await else { continue };
            // A server that a stale configuration does not know yet is not in service either.
            let refused = answer.lines().find(|line| {
                !line.trim().is_empty() && !line.contains("No such server") && !is_harmless(line)
            });
            if let Some(line) = refused {
                return Err(Error::failed(format!("tell the load balancer `{commands}`"))
                    .because(line.to_owned()));
            }
        }
        Ok(())
    }

    /// Sets the state of a member behind each of its frontends. Returns whether there was anything to
    /// tell: a kind with one member is left alone, for nobody could take over.
    async fn set_state(
        &self,
        context: &StepContext,
        container: &Container,
        state: impl Fn(&Backend) -> &'static str + Send,
    ) -> Result<bool> {
        if self.members.get(&container.kind).copied().unwrap_or(0) < 2 {
            return Ok(false);
        }
        let command = |backend: &Backend| {
            format!("set server {}/{} state {}", backend.frontend, container.name, state(backend))
        };
        let commands: Vec<String> = self.backends_of(container).map(command).collect();
        if commands.is_empty() {
            return Ok(false);
        }
        self.tell(context, &commands.join(";")).await?;
        Ok(true)
    }

    /// Takes a member out of service and waits until its sessions have ended. A kind with one
    /// member is left alone: nobody could take over.
    pub async fn take_out(&self, context: &StepContext, container: &Container) -> Result<()> {
        let state = |backend: &Backend| match backend.drain {
            Drain::Drain => "drain",
            Drain::Maintenance => "maint",
        };
        if !self.set_state(context, container, state).await? {
            return Ok(());
        }
        let limit = context.host.patiently(DRAIN_LIMIT);
        // Whoever has not ended by then is cut off.
        until_well(context, limit, POLL, || async {
            let servers = self.servers(context).await;
            let busy = servers.iter().find(|it| it.server == container.name && it.sessions > 0);
            Ok(busy.map(|it| format!("{} sessions", it.sessions)))
        })
        .await
        .map(drop)
    }

    pub async fn put_back(&self, context: &StepContext, container: &Container) -> Result<()> {
        self.set_state(context, container, |_| "ready").await.map(drop)
    }

    /// Makes a member a backup of its siblings (`standby`), or one that serves like them again. A
    /// server's role cannot be changed while it lives, so it is taken out, deleted and made again
    /// under its own name: no reload, which would end everybody's long-lived sessions. What a later
    /// reload keeps stands in the configuration file. It serves when it has passed its checks
    /// ([`Self::wait_up`]).
    pub async fn set_standby(
        &self,
        context: &StepContext,
        member: &Container,
        standby: bool,
    ) -> Result<()> {
        let address = member.daemon_address()?;
        self.take_out(context, member).await?;
        for Backend { frontend, port, options, .. } in self.backends_of(member) {
            let server = format!("{frontend}/{}", member.name);
            let role = if standby { " backup" } else { "" };
            for name in &self.containers {
                let servers = match self.ask(context, name, "show stat -1 4 -1").await {
                    Some(answer) => parse_statistics(&answer),
                    None => continue,
                };
                let is = |it: &ServerState| it.frontend == *frontend && it.server == member.name;
                if servers.iter().any(|it| is(it) && it.backup == standby) {
                    continue;
                }
                for command in [
                    format!("set server {server} state maint"),
                    format!("wait {} srv-removable {server}", REMOVAL_LIMIT.as_millis()),
                    format!("del server {server}"),
                    format!("add server {server} {address}:{port} {options}{role}"),
                    format!("enable health {server}"),
                ] {
                    self.tell(context, &command).await?;
                }
            }
        }
        self.put_back(context, member).await
    }

    /// Waits until a member has passed its checks: whoever is taken out next needs it.
    pub async fn wait_up(&self, context: &StepContext, member: &Container) -> Result<()> {
        let limit = context.host.patiently(CHECK_LIMIT);
        let reason = until_well(context, limit, POLL, || async {
            let servers = self.servers(context).await;
            let down =
                servers.iter().find(|it| it.server == member.name && !it.status.starts_with("UP"));
            Ok(down.map(|down| format!("behind `{}` it is {}", down.frontend, down.status)))
        });
        let Some(reason) = reason.await? else { return Ok(()) };
        Err(Error::failed(format!("put `{}` back into service", member.name))
            .because(reason)
            .hint(format!("`aio status` and `aio logs {}` say more.", member.name)))
    }

    /// Every server of every frontend, as the first balancer that is up sees it; empty when none is.
    pub async fn servers(&self, context: &StepContext) -> Vec<ServerState> {
        for name in &self.containers {
            if let Some(answer) = self.ask(context, name, "show stat -1 4 -1").await {
                return parse_statistics(&answer);
            }
        }
        Vec::new()
    }
}

/// Lines that HAProxy prints for information alone.
fn is_harmless(line: &str) -> bool {
    let done = ["New server registered", "Server deleted", "Done"];
    line.contains("are already")
        || line.starts_with("Warning")
        || done.iter().any(|word| line.starts_with(word))
}

/// Parses `show stat` (CSV with a header line that begins with `# `).
fn parse_statistics(text: &str) -> Vec<ServerState> {
    let mut lines = text.lines();
    let Some(header) = lines.next() else { return Vec::new() };
    let columns: Vec<&str> = header.trim_start_matches("# ").split(',').collect();
    let column = |name: &str| columns.iter().position(|found| *found == name);
    let (Some(frontend), Some(server), Some(status), Some(sessions), Some(backup)) =
        (column("pxname"), column("svname"), column("status"), column("scur"), column("bck"))
    else {
        return Vec::new();
    };
    lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            Some(ServerState {
                frontend: (*fields.get(frontend)?).to_owned(),
                server: (*fields.get(server)?).to_owned(),
                status: (*fields.get(status)?).to_owned(),
                sessions: fields.get(sessions)?.parse().unwrap_or(0),
                backup: *fields.get(backup)? == "1",
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_by_column_name() {
        let text = "# pxname,svname,qcur,scur,status,bck,\n\
                    galera,aio1_galera_container-1,0,7,UP,0,\n\
                    galera,aio1_galera_container-2,0,0,UP 1/2,1,\n\n";
        let servers = parse_statistics(text);
        assert_eq!(servers.len(), 2);
        assert_eq!(servers[0].sessions, 7);
        assert_eq!(servers[1].status, "UP 1/2");
        assert!(servers[1].backup && !servers[0].backup);
    }
}
