//! The units of one container: enabled, running, with their present files, healthy.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::pending::Pending;
use super::probe::{unhealthy, wait_healthy};
use super::shared::{Shared, run_script};
use super::unfinished;
use crate::config::profile::{PATIENCE_SECS, Probe, Unit};
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, Result};
use crate::host::{Command, ContainerState};
use crate::model::topology::Container;

/// Where a unit's enablement link stands. One directory for every kind of unit: systemd starts what
/// a target wants, whatever its suffix.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// Links units so that systemd starts them with the container, then (re)starts them.
fn start_script(verb: &str, units: &[String], enable: &[String]) -> String {
    let mut script = format!("mkdir -p {WANTS}\n");
    for unit in enable {
        script.push_str(&format!(
            "path=/etc/systemd/system/{unit}; test -e $path || path=/usr/lib/systemd/system/{unit}\n\
             ln -sfn $path {WANTS}/{unit}\n"
        ));
    }
    if !units.is_empty() {
        let names = units.join(" ");
        if verb == "restart" {
            script.push_str("systemctl daemon-reload\n");
        }
        script.push_str(&format!(
            "systemctl reset-failed {names} 2>/dev/null || true\nsystemctl {verb} {names}\n"
        ));
    }
    script
}

/// Runs [`start_script`]; what the units said last is part of the error.
pub async fn start_units(
    context: &StepContext,
    container: &str,
    verb: &str,
    units: &[String],
    enable: &[String],
) -> Result<()> {
    let script = Command::shell(start_script(verb, units, enable));
    let output = context.host.containers.run(container, script).await?;
    if output.success() {
        return Ok(());
    }
    let mut error = Error::failed(format!("{verb} {} in `{container}`", units.join(", ")))
        .hint(format!("run `aio logs {container}` for all that its units said"));
    if let Some(first) = output.tail(20).lines().find(|line| !line.trim().is_empty()) {
        error = error.because(first);
    }
    Err(error.output(last_words(context, container, units).await))
}

/// The last lines of what units wrote to the journal.
pub async fn last_words(context: &StepContext, container: &str, units: &[String]) -> String {
    let selection: String = units.iter().map(|unit| format!(" -u {unit}")).collect();
    let script = format!("journalctl --no-pager --quiet -o cat -n 20{selection}");
    match context.host.containers.run(container, Command::shell(script)).await {
        Ok(output) => output.tail(20),
        Err(_) => String::new(),
    }
}

/// All units of a container but the one that forms a cluster.
pub struct Units {
    /// Which container.
    pub container: Container,
    /// Which units.
    pub units: Vec<Unit>,
    /// When it is healthy; empty where the cluster's step asks.
    pub probes: Vec<Probe>,
    /// What several steps share.
    pub shared: Arc<Shared>,
    /// Held while a member is out of service: one member of a kind at a time.
    pub rolling: Arc<Mutex<()>>,
}

impl Units {
    fn names(&self) -> Vec<String> {
        self.units.iter().map(|unit| unit.name.clone()).collect()
    }

    /// Those that do not run.
    async fn inactive(&self, context: &StepContext) -> Result<Vec<String>> {
        let names = self.names();
        let active = context.host.containers.active_units(&self.container.name, &names).await?;
        let pairs = names.into_iter().zip(active);
        Ok(pairs.filter(|(_, active)| !active).map(|(name, _)| name).collect())
    }

    /// Those that systemd would not start with the container.
    async fn disabled(&self, context: &StepContext) -> Result<Vec<String>> {
        let mut disabled = Vec::new();
        for name in self.names() {
            let link = format!("{WANTS}/{name}");
            if !context.host.containers.path_exists(&self.container.name, &link).await? {
                disabled.push(name);
            }
        }
        Ok(disabled)
    }

    /// What is pending for these units, and what is pending for others.
    async fn pending(&self, context: &StepContext) -> Result<(Pending, Pending)> {
        let mut ours = Pending::load(context, &self.container.name).await?;
        let names = self.names();
        let (restarts, others) =
            std::mem::take(&mut ours.restarts).into_iter().partition(|unit| names.contains(unit));
        ours.restarts = restarts;
        Ok((ours, Pending { restarts: others, scripts: Vec::new() }))
    }

    fn limit(&self) -> Duration {
        let longest = self.units.iter().map(|unit| unit.timeout_secs).max();
        Duration::from_secs(longest.unwrap_or(PATIENCE_SECS))
    }

    async fn wait(&self, context: &StepContext) -> Result<()> {
        let limit = context.host.patiently(self.limit());
        let reason =
            wait_healthy(context, &self.shared, &self.container, &self.probes, limit).await?;
        let Some(reason) = reason else { return Ok(()) };
        let name = &self.container.name;
        Err(Error::failed(format!("wait until `{name}` is healthy"))
            .because(format!("after {} s: {reason}", limit.as_secs()))
            .hint(format!("run `aio logs {name}` for all that its units said"))
            .hint("on a host that is far slower than most, `--set patience=3` triples all time limits")
            .output(last_words(context, name, &self.names()).await))
    }

    /// Restarts and applies what changed files ask for, with the member out of service meanwhile.
    async fn apply_pending(&self, context: &StepContext, pending: &Pending) -> Result<()> {
        let name = &self.container.name;
        for script in &pending.scripts {
            let doing = format!("apply a changed file in `{name}`");
            run_script(context, name, &doing, Command::shell(script.clone())).await?;
        }
        if pending.restarts.is_empty() {
            return Ok(());
        }
        let _one_member_at_a_time = self.rolling.lock().await;
        let balancer = &self.shared.balancer;
        balancer.take_out(context, &self.container).await?;
        start_units(context, name, "restart", &pending.restarts, &[]).await?;
        self.wait(context).await?;
        balancer.put_back(context, &self.container).await
    }
}

#[async_trait]
impl Action for Units {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        let containers = &context.host.containers;
        let ContainerState::Running { .. } = containers.state(&self.container.name).await? else {
            return Ok(Observation::Wrong("the container does not run".to_owned()));
        };
        let inactive = self.inactive(context).await?;
        if !inactive.is_empty() {
            return Ok(Observation::Wrong(format!("{} does not run", inactive.join(", "))));
        }
        let disabled = self.disabled(context).await?;
        if !disabled.is_empty() {
            return Ok(Observation::Wrong(format!("{} is not enabled", disabled.join(", "))));
        }
        let (pending, _) = self.pending(context).await?;
        if !pending.is_empty() {
            return Ok(Observation::Wrong("files changed since the units started".to_owned()));
        }
        if unfinished::is_marked(context, &self.container.name).await? {
            return Ok(Observation::Wrong("they were never all healthy".to_owned()));
        }
        let reason = unhealthy(context, &self.shared, &self.container, &self.probes).await?;
        Ok(reason.map_or(Observation::Right, Observation::Wrong))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let name = &self.container.name;
        let inactive = self.inactive(context).await?;
        let disabled = self.disabled(context).await?;
        if !inactive.is_empty() || !disabled.is_empty() {
            start_units(context, name, "start", &inactive, &disabled).await?;
        }
        let (pending, others) = self.pending(context).await?;
        if !pending.is_empty() {
            self.apply_pending(context, &pending).await?;
            others.save(context, name).await?;
        }
        self.wait(context).await?;
        unfinished::clear(context, name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_enables_before_it_starts() {
        let script = start_script("start", &["a.service".to_owned()], &["a.service".to_owned()]);
        let enable = script.find("ln -sfn").unwrap();
        assert!(enable < script.find("systemctl start a.service").unwrap());
        assert!(!script.contains("daemon-reload"));
    }

    #[test]
    fn nothing_to_start_means_no_systemctl() {
        assert!(!start_script("start", &[], &["a.service".to_owned()]).contains("systemctl"));
    }
}
