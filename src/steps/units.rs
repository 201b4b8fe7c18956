//! The units of one container: enabled, running, with their present files, healthy.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::pending::Pending;
use super::probe::{POLL, unhealthy};
use super::site::{ATTEMPTS, Site, run_script};
use super::unfinished;
use crate::config::profile::{PATIENCE_SECS, Probe, Unit};
use crate::engine::step::{Action, Observation, StepContext};
use crate::engine::wait::until_well;
use crate::error::{Error, Result};
use crate::host::ContainerState;
use crate::model::command::Command;
use crate::model::topology::Container;

/// Between two attempts to start units.
const PAUSE: Duration = Duration::from_secs(2);

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

/// How many lines of the journal an error shows.
const LAST_WORDS_LINES: usize = 40;

/// The last lines of what units wrote to the journal: a traceback and what came before it.
pub async fn last_words(context: &StepContext, container: &str, units: &[String]) -> String {
    let selection: String = units.iter().map(|unit| format!(" -u {unit}")).collect();
    let script = format!("journalctl --no-pager --quiet -o cat -n {LAST_WORDS_LINES}{selection}");
    match context.host.containers.run(container, Command::shell(script)).await {
        Ok(output) => output.tail(LAST_WORDS_LINES),
        Err(_) => String::new(),
    }
}

/// All units of a container but the one that forms a cluster.
pub struct Units {
    pub container: Container,
    pub units: Vec<Unit>,
    /// When it is healthy; empty where the cluster's step asks.
    pub probes: Vec<Probe>,
    pub site: Arc<Site>,
    /// Held while a member is out of service: one member of a kind at a time.
    pub rolling: Arc<Mutex<()>>,
}

impl Units {
    fn names(&self) -> Vec<String> {
        self.units.iter().map(|unit| unit.name.clone()).collect()
    }

    /// Returns the units that do not run.
    async fn inactive(&self, context: &StepContext) -> Result<Vec<String>> {
        let names = self.names();
        let active = context.host.containers.active_units(&self.container.name, &names).await?;
        let pairs = names.into_iter().zip(active);
        Ok(pairs.filter(|(_, active)| !active).map(|(name, _)| name).collect())
    }

    /// Returns the units that systemd would not start with the container.
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

    /// Starts and enables what is not. On a host that stands still for seconds a unit may fail once, and
    /// those that need it with it: that is tried again.
    async fn start(&self, context: &StepContext) -> Result<()> {
        let mut left = ATTEMPTS;
        loop {
            let inactive = self.inactive(context).await?;
            let disabled = self.disabled(context).await?;
            if inactive.is_empty() && disabled.is_empty() {
                return Ok(());
            }
            let name = &self.container.name;
            let started = start_units(context, name, "start", &inactive, &disabled).await;
            left -= 1;
            let Err(error) = started else { return Ok(()) };
            if left == 0 || context.cancel.is_cancelled() {
                return Err(error);
            }
            context.output(format!("{error}; once more in {} s", PAUSE.as_secs()));
            sleep(PAUSE).await;
        }
    }

    fn limit(&self) -> Duration {
        let longest = self.units.iter().map(|unit| unit.timeout_secs).max();
        Duration::from_secs(longest.unwrap_or(PATIENCE_SECS))
    }

    /// What does not run, or why it does not work.
    async fn unwell(&self, context: &StepContext) -> Result<Option<String>> {
        let inactive = self.inactive(context).await?;
        if !inactive.is_empty() {
            return Ok(Some(format!("{} does not run", inactive.join(", "))));
        }
        unhealthy(context, &self.site, &self.container, &self.probes).await
    }

    async fn wait(&self, context: &StepContext) -> Result<()> {
        let limit = context.host.patiently(self.limit());
        let reason = until_well(context, limit, POLL, || self.unwell(context)).await?;
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
        let balancer = &self.site.balancer;
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
        let reason = unhealthy(context, &self.site, &self.container, &self.probes).await?;
        Ok(reason.into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let name = &self.container.name;
        self.start(context).await?;
        let (pending, others) = self.pending(context).await?;
        if !pending.is_empty() {
            self.apply_pending(context, &pending).await?;
            others.save(context, name).await?;
        }
        self.wait(context).await?;
        unfinished::clear(context, name).await
    }

    fn patience(&self) -> Duration {
        self.limit()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;

    use super::*;
    use crate::config::profile::UnitStart;
    use crate::host::fake::containers::FakeContainers;
    use crate::host::fake::empty;
    use crate::host::{Containers, Host};
    use crate::model::command::Output;
    use crate::model::topology::tests::container;
    use crate::render::testing;

    /// The unit `a.service` in the container c/1, which runs.
    async fn units() -> (Units, StepContext, Arc<FakeContainers>) {
        let containers = Arc::new(FakeContainers::default());
        let container = Container { units: vec!["a.service".to_owned()], ..container("c/1") };
        containers.define(&container).await.unwrap();
        containers.start(&container.name).await.unwrap();
        let host = Host { containers: Arc::clone(&containers) as Arc<_>, ..empty() };
        let name = "a.service".to_owned();
        let unit = Unit {
            name,
            only: None,
            since: None,
            until: None,
            start: UnitStart::Boot,
            timeout_secs: 10,
            runs: None,
        };
        let cloud = testing::cloud(&testing::profiles(&[]));
        let units = Units {
            container,
            units: vec![unit],
            probes: Vec::new(),
            site: Arc::new(Site::new(cloud, testing::secrets())),
            rolling: Arc::default(),
        };
        (units, StepContext::silent(Arc::new(host)), containers)
    }

    /// Whether a command starts units.
    fn starts(command: &Command) -> bool {
        command.argv.last().is_some_and(|script| script.contains("systemctl start"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_runs_a_moment_later_is_waited_for() {
        let (units, context, containers) = units().await;
        containers.answer(|_, command| starts(command).then(Output::default));
        let (late, name) = (Arc::clone(&containers), units.container.name.clone());
        tokio::spawn(async move {
            sleep(Duration::from_secs(3)).await;
            late.set_active(&name, "a.service", true);
        });
        let begun = Instant::now();
        units.act(&context).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_never_runs_is_an_error_with_the_reason() {
        let (units, context, containers) = units().await;
        containers.answer(|_, command| starts(command).then(Output::default));
        let error = units.act(&context).await.unwrap_err();
        assert!(error.to_string().ends_with("after 10 s: a.service does not run"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_fails_once_is_tried_again() {
        for (failures, ends_well) in [(2, true), (9, false)] {
            let (units, context, containers) = units().await;
            let left = AtomicU32::new(failures);
            containers.answer(move |_, command| {
                let again = |left: u32| left.checked_sub(1);
                let fails = starts(command)
                    && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, again).is_ok();
                fails.then(|| Output { status: 1, ..Output::default() })
            });
            assert_eq!(units.act(&context).await.is_ok(), ends_well);
        }
    }

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
