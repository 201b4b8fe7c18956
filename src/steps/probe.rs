//! Asks a member whether it works.

use std::time::Duration;

use super::site::Site;
use crate::config::profile::Probe;
use crate::engine::step::StepContext;
use crate::engine::wait::until_well;
use crate::error::Result;
use crate::host::Request;
use crate::model::command::Command;
use crate::model::topology::Container;

/// How long one probe may take: a member that needs longer is not healthy.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a member that is not healthy yet is asked.
pub(super) const POLL: Duration = Duration::from_millis(150);

/// Returns why a member is not healthy; `None` when every probe is content.
pub async fn unhealthy(
    context: &StepContext,
    site: &Site,
    member: &Container,
    probes: &[Probe],
) -> Result<Option<String>> {
    for probe in probes {
        if let Some(reason) = ask(context, site, member, probe).await? {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

async fn ask(
    context: &StepContext,
    site: &Site,
    member: &Container,
    probe: &Probe,
) -> Result<Option<String>> {
    let address = member.daemon_address()?;
    match probe {
        Probe::Http { port, path, status } => {
            let request = Request {
                method: "GET".to_owned(),
                url: format!("http://{address}:{port}{path}"),
                timeout: Some(PROBE_TIMEOUT),
                ..Request::default()
            };
            Ok(match context.host.http.send(request).await {
                Ok(response) if status.contains(&response.status) => None,
                Ok(response) => Some(format!("{path} on port {port} says {}", response.status)),
                Err(_) => Some(format!("port {port} does not answer")),
            })
        }
        Probe::Tcp { port } => Ok(match context.host.http.connect(address, *port).await {
            Ok(()) => None,
            Err(_) => Some(format!("port {port} is closed")),
        }),
        Probe::Sql { query, expect } => Ok(match site.member_sql(context, member, query).await {
            Ok(Some(value)) if value == *expect => None,
            Ok(value) => Some(format!(
                "`{query}` says {}, not {expect}",
                value.as_deref().unwrap_or("nothing")
            )),
            Err(_) => Some("the database does not answer".to_owned()),
        }),
        Probe::Run { script } => {
            let command =
                Command { timeout: Some(PROBE_TIMEOUT), ..Command::shell(script.clone()) };
            let output = match context.host.containers.run(&member.name, command).await {
                Ok(output) => output,
                // It took too long, say: asked again, it may be in time.
                Err(error) => {
                    return Ok(Some(error.causes.last().unwrap_or(&error.message).clone()));
                }
            };
            if output.success() {
                return Ok(None);
            }
            let last = output.tail(1);
            Ok(Some(if last.is_empty() {
                format!("its check exited with {}", output.status)
            } else {
                last
            }))
        }
    }
}

/// Waits until a member is healthy. Returns the last reason when it is not after `limit`.
pub async fn wait_healthy(
    context: &StepContext,
    site: &Site,
    member: &Container,
    probes: &[Probe],
    limit: Duration,
) -> Result<Option<String>> {
    until_well(context, limit, POLL, || unhealthy(context, site, member, probes)).await
}
