//! What a unit's process really runs, as seen from the host.

use std::net::SocketAddrV4;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::ending;
use super::work::Work;
use crate::config::profile::PATIENCE_SECS;
use crate::engine::step::StepContext;
use crate::engine::wait::pause;
use crate::error::{Error, Result};
use crate::host::{ContainerState, Host};
use crate::lxc::process::Stat;
use crate::model::command::Command;
use crate::model::swap::Swap;
use crate::steps::probe::unhealthy;
use crate::steps::units;

/// How often a unit that has just started is looked at.
const POLL: Duration = Duration::from_millis(150);
/// How often what it says is read meanwhile.
const LISTENING: Duration = Duration::from_secs(1);
/// How many looks in a row find the process of a unit asleep that has settled.
const ASLEEP: u32 = 7;

/// What a swapped unit is seen to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "runs", rename_all = "snake_case")]
pub enum Observed {
    Checkout {
        /// Process id on the host.
        pid: u32,
    },
    /// What the package brought: the container was restarted, or the swap was not finished.
    Package {
        /// Process id on the host.
        pid: u32,
    },
    /// Nothing: the unit does not run.
    Nothing,
    /// Nothing: the container does not run.
    Stopped,
}

/// Looks at the processes of a swapped unit. `shared` is the place of what is published in its
/// container.
pub async fn observe(host: &Host, shared: &Path, swap: &Swap) -> Result<Observed> {
    let ContainerState::Running { .. } = host.containers.state(&swap.container).await? else {
        return Ok(Observed::Stopped);
    };
    let Some(pid) = host.containers.main_process(&swap.container, &swap.unit).await? else {
        return Ok(Observed::Nothing);
    };
    let mark = published(shared, swap).join(swap.mark());
    Ok(if has_open(pid, &mark) { Observed::Checkout { pid } } else { Observed::Package { pid } })
}

/// Whether a process is there and waits for something.
fn is_asleep(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state == 'S')
}

/// Whether a process has this very file open. Its environment would not tell: services that set
/// their process's title write over it.
fn has_open(pid: u32, file: &Path) -> bool {
    let Ok(wanted) = file.metadata() else { return false };
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let is = |found: std::fs::Metadata| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino());
    entries.flatten().any(|entry| std::fs::metadata(entry.path()).is_ok_and(is))
}

/// The directory, on the host, of what a swap published.
fn published(shared: &Path, swap: &Swap) -> std::path::PathBuf {
    shared.join("shared").join(&swap.unit)
}

/// Whether what a swap published is still there: it goes when the container restarts.
pub fn is_published(shared: &Path, swap: &Swap) -> bool {
    published(shared, swap).is_dir()
}

impl Work {
    pub(super) async fn systemctl(&self, context: &StepContext, script: &str) -> Result<()> {
        let swap = self.swap().await;
        let script = format!("unit={}\n{script}", swap.unit);
        let output = context.host.containers.run(&swap.container, Command::shell(script)).await?;
        if output.success() {
            return Ok(());
        }
        let failed = Error::failed(format!("restart {} in `{}`", swap.label(), swap.container));
        let failed = match output.tail(3).lines().find(|line| !line.trim().is_empty()) {
            Some(line) => failed.because(line),
            None => failed,
        };
        Err(failed.output(self.last_words(context).await))
    }

    /// Starts or restarts the unit (`verb`), with what systemd is to read anew.
    pub(super) async fn start_unit(&self, context: &StepContext, verb: &str) -> Result<()> {
        let script = format!(
            "systemctl daemon-reload\n\
             systemctl reset-failed $unit 2>/dev/null || true\n\
             systemctl {verb} $unit"
        );
        self.systemctl(context, &script).await
    }

    /// Waits until the unit is healthy. A process that ends meanwhile is an error at once: systemd
    /// would start it again and again.
    pub(super) async fn wait_healthy(&self, context: &StepContext) -> Result<()> {
        let probes = self.site.cloud.probes(&self.container);
        let look = || unhealthy(context, &self.site, &self.container, probes);
        self.wait_until(context, "is healthy", look).await?;
        if self.settles().await {
            self.wait_until(context, "has started", || self.restless(context)).await?;
        }
        Ok(())
    }

    /// Whether the unit's own process must tell that it has started.
    async fn settles(&self) -> bool {
        let unit = self.swap().await.unit;
        let services = &self.site.cloud.services;
        let mut declared = services.iter().filter_map(|it| it.dev.as_ref()?.units.get(&unit));
        declared.any(|unit| unit.settles)
    }

    /// Returns why the unit's process cannot be taken for one that waits for work.
    async fn restless(&self, context: &StepContext) -> Result<Option<String>> {
        let swap = self.swap().await;
        let process = context.host.containers.main_process(&swap.container, &swap.unit).await?;
        let Some(pid) = process else { return Ok(Some("it has no process".to_owned())) };
        for _ in 0..ASLEEP {
            tokio::time::sleep(POLL).await;
            if !is_asleep(pid) {
                return Ok(Some(format!("its process {pid} computes")));
            }
        }
        Ok(None)
    }

    /// Waits until the process listens there, as [`Self::wait_healthy`] does. A connection would be
    /// taken for the debugger.
    pub(super) async fn wait_listening(
        &self,
        context: &StepContext,
        address: SocketAddrV4,
    ) -> Result<()> {
        let script = format!("ss -Hltn 'src = {address}' | grep -q .");
        let look = || async {
            let looked = Command::shell(script.as_str());
            let output = context.host.containers.run(&self.container.name, looked).await?;
            Ok((!output.success()).then(|| format!("nothing listens on {address}")))
        };
        self.wait_until(context, "waits for a debugger", look).await
    }

    /// Waits until `look` finds nothing wrong. [`until_well`](crate::engine::wait::until_well) takes
    /// what fails for what is not right yet: here a process that has ended is the end.
    async fn wait_until<F, R>(&self, context: &StepContext, state: &str, look: F) -> Result<()>
    where
        F: Fn() -> R,
        R: Future<Output = Result<Option<String>>>,
    {
        let swap = self.swap().await;
        let definition = self.site.cloud.kind(&swap.kind);
        let unit =
            definition.and_then(|(_, kind)| kind.units.iter().find(|unit| unit.name == swap.unit));
        let usual = unit.map_or(PATIENCE_SECS, |unit| unit.timeout_secs);
        let limit = context.host.patiently(Duration::from_secs(usual));
        let deadline = Instant::now() + limit;
        let failed = || Error::failed(format!("wait until {} {state}", swap.label()));
        let started = Instant::now();
        let mut listened = started;
        let mut looked_at = None;
        loop {
            // Whoever has the same process as before has not ended.
            let process = context.host.containers.main_process(&swap.container, &swap.unit).await?;
            if process.is_none() || process != looked_at {
                self.refuse_ended(context).await?;
                looked_at = process;
            }
            if listened.elapsed() > LISTENING {
                listened = Instant::now();
                self.refuse_ending(context).await?;
            }
            let Some(reason) = look().await? else { return Ok(()) };
            if context.cancel.is_cancelled() {
                return Err(failed());
            }
            if self.hopeless.is_cancelled() {
                return Err(failed().because("another one that was to start with it did not"));
            }
            if Instant::now() > deadline {
                return Err(failed()
                    .because(format!("after {} s: {reason}", limit.as_secs()))
                    .output(self.last_words(context).await));
            }
            tokio::time::sleep(pause(POLL, started.elapsed())).await;
        }
    }

    async fn refuse_ended(&self, context: &StepContext) -> Result<()> {
        let Some(reason) = self.ended(context).await? else { return Ok(()) };
        Err(Error::failed(format!("start {}", self.swap().await.label()))
            .because(reason)
            .output(self.words_of_ended(context).await))
    }

    /// Gives up what can never serve.
    async fn refuse_ending(&self, context: &StepContext) -> Result<()> {
        let swap = self.swap().await;
        let script = Command::shell(ending::script(&swap.unit));
        // Without it the limit is waited for.
        let Ok(printed) = context.host.containers.run(&swap.container, script).await else {
            return Ok(());
        };
        let Some(line) = ending::last_words_of_ended(&printed.text()) else { return Ok(()) };
        Err(Error::failed(format!("start {}", swap.label()))
            .because(format!("its processes end again and again: {line}"))
            .output(self.words_of_ended(context).await))
    }

    /// Returns how the unit's process ended, if it did since it was started.
    async fn ended(&self, context: &StepContext) -> Result<Option<String>> {
        let swap = self.swap().await;
        let show = "systemctl show -p NRestarts -p ActiveState -p Result";
        let script = Command::shell(format!("{show} {}", swap.unit));
        let output = context.host.containers.run(&swap.container, script).await?;
        let text = output.text();
        let value = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
        };
        let restarted = value("NRestarts").parse::<u32>().is_ok_and(|count| count > 0);
        let ended = restarted || matches!(value("ActiveState"), "failed" | "inactive");
        Ok(ended.then(|| match value("Result") {
            "success" => "its process ended".to_owned(),
            result => format!("its process ended: {result}"),
        }))
    }

    /// What the unit said last.
    pub(super) async fn last_words(&self, context: &StepContext) -> String {
        let swap = self.swap().await;
        units::last_words(context, &swap.container, std::slice::from_ref(&swap.unit)).await
    }

    /// What those of its processes said last that have ended: systemd may have started others since.
    async fn words_of_ended(&self, context: &StepContext) -> String {
        let swap = self.swap().await;
        let script = Command::shell(ending::script_of_last(&swap.unit));
        let printed = context.host.containers.run(&swap.container, script).await;
        if let Some(words) = printed.ok().and_then(|it| ending::words_of_ended(&it.text())) {
            return words;
        }
        self.last_words(context).await
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// What a look at the process of a shell command says after a while.
    fn looked_at(script: &str) -> bool {
        let mut child: Child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let asleep = is_asleep(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        asleep
    }

    #[test]
    fn who_computes_or_has_ended_does_not_sleep() {
        assert!(looked_at("exec sleep 9"));
        assert!(!looked_at("while :; do :; done"));
        assert!(!looked_at("exit 1"));
    }
}
