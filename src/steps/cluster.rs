//! Kinds whose members form one cluster: first start, recovery, return of a lost member. What becomes
//! of one whose data was dropped stands in [`super::dropped_data`].
//!
//! What the field does by hand after a power cut happens here in general words: start all members
//! together and give them time to find one another; only if that fails, ask each stopped member how
//! advanced its data is, start the most advanced as the first, and the others after it.

mod speech;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::pending::Pending;
use super::probe::unhealthy;
use super::site::{Site, json, run_script};
use super::units::{last_words, start_units};
use crate::config::profile::{Cluster, ClusterSize, Unit, UnitStart};
use crate::engine::step::{Action, Observation, StepContext};
use crate::engine::wait::until_well;
use crate::error::{Error, Result};
use crate::host::{ContainerState, Request};
use crate::model::command::Command;
use crate::model::topology::Container;
use crate::steps::pending::DesiredFile;

/// How often the size of a forming cluster is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Files that only a cluster which never ran gets.
pub struct Seed {
    /// Full names of the members with the files of each.
    pub members: Vec<(String, Vec<DesiredFile>)>,
}

#[async_trait]
impl Action for Seed {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        for (name, files) in &self.members {
            if context.host.containers.state(name).await? == ContainerState::Absent {
                continue;
            }
            for desired in files {
                if context.host.containers.read_file(name, &desired.file.path).await?.is_some() {
                    return Ok(Observation::Right);
                }
            }
        }
        Ok(Observation::Wrong("the cluster has never run".to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        for (name, files) in &self.members {
            let files: Vec<_> = files.iter().map(|desired| desired.file.clone()).collect();
            context.host.containers.write_files(name, &files).await?;
        }
        Ok(())
    }
}

/// The cluster with all its members.
#[derive(Clone)]
pub struct Form {
    pub members: Vec<Container>,
    pub cluster: Cluster,
    pub unit: Unit,
    pub site: Arc<Site>,
}

impl Form {
    /// Returns how the members of a deployed kind form their cluster; `None` when they form none.
    pub fn of(site: &Arc<Site>, kind: &str) -> Result<Option<Self>> {
        let definition = site.cloud.kind(kind).map(|(_, definition)| definition);
        let Some((definition, cluster)) =
            definition.and_then(|it| Some((it, it.cluster.as_ref()?)))
        else {
            return Ok(None);
        };
        let unit = definition.units.iter().find(|unit| unit.name == cluster.unit).cloned();
        let unit = unit.ok_or_else(|| {
            Error::failed(format!("find the unit `{}` of `{kind}`", cluster.unit))
        })?;
        Ok(Some(Self {
            members: site.cloud.members(kind).cloned().collect(),
            cluster: cluster.clone(),
            unit,
            site: Arc::clone(site),
        }))
    }

    fn unit_list(&self) -> Vec<String> {
        vec![self.cluster.unit.clone()]
    }

    /// Units that are enabled besides being started.
    fn enable_list(&self) -> Vec<String> {
        match self.unit.start {
            UnitStart::Boot => self.unit_list(),
            UnitStart::Cluster => Vec::new(),
        }
    }

    async fn inactive(&self, context: &StepContext) -> Result<Vec<Container>> {
        let mut inactive = Vec::new();
        for member in &self.members {
            if !self.runs(context, member).await? {
                inactive.push(member.clone());
            }
        }
        Ok(inactive)
    }

    async fn runs(&self, context: &StepContext, member: &Container) -> Result<bool> {
        let containers = &context.host.containers;
        let running =
            matches!(containers.state(&member.name).await?, ContainerState::Running { .. });
        Ok(running && containers.active_units(&member.name, &self.unit_list()).await? == [true])
    }

    /// What one member lacks to be in a cluster that is whole.
    pub(super) async fn lacks(
        &self,
        context: &StepContext,
        member: &Container,
    ) -> Result<Option<String>> {
        if !self.runs(context, member).await? {
            let unit = &self.cluster.unit;
            return Ok(Some(format!("{unit} does not run in {}", member.name)));
        }
        self.incomplete(context).await
    }

    /// Brings one member back into a cluster that runs, and waits until it is whole.
    pub(super) async fn join(&self, context: &StepContext, member: &Container) -> Result<()> {
        if !self.runs(context, member).await? {
            self.start(context, std::slice::from_ref(member)).await?;
        }
        self.expect_complete(context).await
    }

    /// Returns why the cluster is not whole; `None` when every member is healthy and sees all others.
    async fn incomplete(&self, context: &StepContext) -> Result<Option<String>> {
        for member in &self.members {
            let probes = self.site.cloud.probes(member);
            if let Some(reason) = unhealthy(context, &self.site, member, probes).await? {
                return Ok(Some(format!("member {}: {reason}", member.member)));
            }
            let size = size(context, &self.site, member, &self.cluster.size).await;
            match size {
                // Its health must do: how many it sees cannot be asked.
                Ok(None) => {}
                Ok(Some(size)) if size == self.members.len() => {}
                Ok(Some(size)) => {
                    let wanted = self.members.len();
                    return Ok(Some(format!(
                        "member {} sees {size} of {wanted} members",
                        member.member
                    )));
                }
                Err(_) => return Ok(Some(format!("member {} does not answer", member.member))),
            }
        }
        Ok(None)
    }

    async fn wait_complete(
        &self,
        context: &StepContext,
        limit: Duration,
    ) -> Result<Option<String>> {
        until_well(context, limit, POLL, || self.incomplete(context)).await
    }

    /// Runs a command on several members at the same time; the first error counts.
    async fn on_all<F>(members: &[Container], command: impl Fn(Container) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let mut running: JoinSet<Result<()>> = members.iter().cloned().map(command).collect();
        let mut first_error = Ok(());
        while let Some(result) = running.join_next().await {
            let result =
                result.unwrap_or_else(|error| Err(Error::failed("ask a member").because(error)));
            first_error = first_error.and(result);
        }
        first_error
    }

    /// Starts the unit in several members at the same time.
    async fn start(&self, context: &StepContext, members: &[Container]) -> Result<()> {
        Self::on_all(members, |member| {
            let context = context.clone();
            let (units, enable) = (self.unit_list(), self.enable_list());
            async move { start_units(&context, &member.name, "start", &units, &enable).await }
        })
        .await
    }

    /// Stops the unit in all members at the same time.
    async fn stop_all(&self, context: &StepContext) -> Result<()> {
        Self::on_all(&self.members, |member| {
            let context = context.clone();
            let stop = Command::shell(format!("systemctl stop {}", self.cluster.unit));
            async move { run_script(&context, &member.name, "stop a member", stop).await.map(drop) }
        })
        .await
    }

    /// What a script prints in every member, all at the same time.
    async fn ask_all(
        &self,
        context: &StepContext,
        doing: &'static str,
        script: &str,
    ) -> Result<Vec<String>> {
        let mut running = JoinSet::new();
        for (index, member) in self.members.iter().enumerate() {
            let (context, name, script) =
                (context.clone(), member.name.clone(), Command::shell(script));
            running.spawn(async move { (index, run_script(&context, &name, doing, script).await) });
        }
        let mut printed = vec![String::new(); self.members.len()];
        while let Some(done) = running.join_next().await {
            let (index, text) = done.map_err(|error| Error::failed(doing).because(error))?;
            printed[index] = text?;
        }
        Ok(printed)
    }

    /// Whether the members stopped in the same state of the cluster.
    async fn were_together(&self, context: &StepContext) -> Result<bool> {
        let Some(view) = &self.cluster.view else { return Ok(true) };
        let views = self.ask_all(context, "read whom a member was together with", view).await?;
        Ok(views.windows(2).all(|pair| pair[0] == pair[1]))
    }

    /// Starts the most advanced member as the first, the others after it.
    async fn recover(&self, context: &StepContext) -> Result<()> {
        let (Some(position), Some(promote)) = (&self.cluster.position, &self.cluster.promote)
        else {
            return Err(Error::failed(format!("form the cluster of {}", self.cluster.unit))
                .because("its members did not find one another"));
        };
        let mut best: Option<(i64, &Container)> = None;
        self.stop_all(context).await?;
        let printed = self.ask_all(context, "read how advanced a member is", position).await?;
        for (member, text) in self.members.iter().zip(printed) {
            let last = text.lines().last().unwrap_or_default().trim();
            let advanced: i64 = last.parse().map_err(|_| {
                Error::failed(format!("read how advanced `{}` is", member.name))
                    .because(format!("it printed `{last}`"))
            })?;
            context.output(format!("{} stands at {advanced}", member.name));
            if best.is_none_or(|(found, _)| advanced > found) {
                best = Some((advanced, member));
            }
        }
        let Some((_, first)) = best else { return Ok(()) };
        let doing = format!("start `{}` as the first member", first.name);
        run_script(context, &first.name, &doing, Command::shell(promote.clone())).await?;
        let others: Vec<Container> =
            self.members.iter().filter(|member| member.name != first.name).cloned().collect();
        self.start(context, &others).await
    }

    /// Restarts members whose files changed, one at a time, out of service meanwhile.
    async fn restart_pending(&self, context: &StepContext) -> Result<()> {
        for member in &self.members {
            let pending = Pending::load(context, &member.name).await?;
            if !pending.restarts.contains(&self.cluster.unit) {
                continue;
            }
            let balancer = &self.site.balancer;
            balancer.take_out(context, member).await?;
            start_units(context, &member.name, "restart", &self.unit_list(), &[]).await?;
            self.expect_complete(context).await?;
            balancer.put_back(context, member).await?;
            self.forget_restart(context, member).await?;
        }
        Ok(())
    }

    /// The unit of that member has read its files.
    async fn forget_restart(&self, context: &StepContext, member: &Container) -> Result<()> {
        let mut pending = Pending::load(context, &member.name).await?;
        pending.restarts.retain(|unit| *unit != self.cluster.unit);
        pending.save(context, &member.name).await
    }

    /// Stops all members: one that spoke otherwise than the rest would find nobody who understands it.
    async fn stop_to_speak_otherwise(&self, context: &StepContext) -> Result<()> {
        context.output("its members are stopped together, to speak to one another in another way");
        self.stop_all(context).await?;
        for member in &self.members {
            self.forget_restart(context, member).await?;
        }
        Ok(())
    }

    /// How long members may take to find one another.
    fn limit(&self, context: &StepContext) -> Duration {
        context.host.patiently(Duration::from_secs(self.cluster.form_timeout_secs))
    }

    /// Starts members, for as long as they may take to find one another.
    async fn start_within(&self, context: &StepContext, members: &[Container]) -> Result<()> {
        let limit = self.limit(context);
        match tokio::time::timeout(limit, self.start(context, members)).await {
            Ok(started) => started,
            Err(_) => Err(Error::failed(format!("form the cluster of {}", self.cluster.unit))
                .because(format!("its members did not start in {} s", limit.as_secs()))),
        }
    }

    /// Starts all members, which are stopped; `ordered` says that they were stopped in order.
    async fn form(&self, context: &StepContext, ordered: bool) -> Result<()> {
        // Whoever was stopped in order waits for the one that stopped last, which is none of them.
        let alone = ordered && self.cluster.promote.is_some();
        let formed = !alone
            && self.were_together(context).await?
            && self.start_within(context, &self.members).await.is_ok()
            && self.wait_complete(context, self.limit(context)).await?.is_none();
        if formed || context.cancel.is_cancelled() { Ok(()) } else { self.recover(context).await }
    }

    /// Whether a member is healthy. Where none is, one that runs may have come to nothing, of a disk that
    /// was full when it started, and the others wait for it.
    async fn somebody_serves(&self, context: &StepContext) -> Result<bool> {
        for member in &self.members {
            let probes = self.site.cloud.probes(member);
            if unhealthy(context, &self.site, member, probes).await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn expect_complete(&self, context: &StepContext) -> Result<()> {
        let limit = context.host.patiently(Duration::from_secs(self.unit.timeout_secs));
        let Some(reason) = self.wait_complete(context, limit).await? else { return Ok(()) };
        let mut error = Error::failed(format!("form the cluster of {}", self.cluster.unit))
            .because(format!("after {} s: {reason}", limit.as_secs()));
        if let Some(member) = self.members.first() {
            error = error
                .hint(format!("run `aio logs {}` for all that its members said", member.kind))
                .output(last_words(context, &member.name, &self.unit_list()).await);
        }
        Err(error)
    }
}

#[async_trait]
impl Action for Form {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        let inactive = self.inactive(context).await?;
        if let Some(member) = inactive.first() {
            return Ok(Observation::Wrong(format!(
                "{} does not run in {} of {} members, {} among them",
                self.cluster.unit,
                inactive.len(),
                self.members.len(),
                member.name
            )));
        }
        for member in &self.members {
            let pending = Pending::load(context, &member.name).await?;
            if pending.restarts.contains(&self.cluster.unit) {
                return Ok(Observation::Wrong(format!("files of {} changed", member.name)));
            }
        }
        if self.must_speak_otherwise(context).await? {
            return Ok(Observation::Wrong("its members are to speak otherwise".to_owned()));
        }
        Ok(self.incomplete(context).await?.into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let mut inactive = self.inactive(context).await?;
        let stop = self.must_speak_otherwise(context).await?;
        if stop {
            self.stop_to_speak_otherwise(context).await?;
            inactive.clone_from(&self.members);
        }
        if inactive.len() < self.members.len() {
            let started = self.start_within(context, &inactive).await;
            let whole = started.is_ok()
                && self.wait_complete(context, self.limit(context)).await?.is_none();
            if whole || context.cancel.is_cancelled() || self.somebody_serves(context).await? {
                started?;
            } else {
                context
                    .output("no member serves: those that run are stopped, and all start together");
                self.stop_all(context).await?;
                self.form(context, false).await?;
            }
        } else {
            self.form(context, stop).await?;
        }
        self.expect_complete(context).await?;
        self.restart_pending(context).await
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.unit.timeout_secs)
    }
}

/// How many members one member sees; `None` when the password for the question was edited and the
/// cloud does not use it yet.
pub async fn size(
    context: &StepContext,
    site: &Site,
    member: &Container,
    how: &ClusterSize,
) -> Result<Option<usize>> {
    let unreadable = |text: &str| {
        Error::failed(format!("read the cluster size of `{}`", member.name))
            .because(format!("it says `{text}`"))
    };
    match how {
        ClusterSize::Sql { query } => {
            let text = site.member_sql(context, member, query).await?.unwrap_or_default();
            text.parse().map(Some).map_err(|_| unreadable(&text))
        }
        ClusterSize::Http { secret, .. } if site.unapplied.contains(secret) => Ok(None),
        ClusterSize::Http { port, path, user, secret, filter } => {
            use base64::Engine as _;
            let credentials = format!("{user}:{}", site.password(secret)?);
            let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
            let request = Request {
                method: "GET".to_owned(),
                url: format!("http://{}:{port}{path}", member.daemon_address()?),
                headers: vec![("Authorization".to_owned(), format!("Basic {encoded}"))],
                timeout: Some(Duration::from_secs(5)),
                ..Request::default()
            };
            let response = context.host.http.send(request).await?;
            let body = json(&response.body, || format!("read `{path}` of `{}`", member.name))?;
            let elements =
                body.as_array().ok_or_else(|| unreadable(&response.status.to_string()))?;
            let counts = |element: &&serde_json::Value| {
                filter.iter().all(|(field, value)| element.get(field) == Some(value))
            };
            Ok(Some(elements.iter().filter(counts).count()))
        }
    }
}

#[cfg(test)]
mod tests;
