//! `aio upgrade`: what is asked for, and the two runs that do it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::members::{Members, Patience};
use super::order::{Stretch, present, stretches};
use super::pairs;
use super::plan::Plan;
use super::probe::{Answers, Probe};
use super::restore_point::Take;
use super::standing::Standing;
use super::upgraded::{Upgraded, UpgradedService};
use crate::cloud::desired::{self, Desired};
use crate::cloud::open::Access;
use crate::cloud::opened::Stage;
use crate::cloud::run::{self, Options, Run};
use crate::cloud::{Session, recorded, require_root};
use crate::commands::{bootstrap, dev};
use crate::config::cloud::CloudOptions;
use crate::config::load::Profiles;
use crate::config::profile::ServiceProfile;
use crate::config::release::{Behind, Release};
use crate::engine::event::{Phase, Resource};
use crate::engine::key::{ContainerStep, StepKey};
use crate::engine::report::Report;
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::lock::Lock;
use crate::model::swap::Swap;
use crate::plan::bootstrap::steps as bootstrap_steps;
use crate::plan::change::{self, only_among};
use crate::state::swaps;
use crate::state::upgrade::{self, Progress, Upgrade};
use crate::steps::site::Site;
use crate::ui;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The release; none to go on with what was begun.
    pub to: Option<String>,
    /// Kinds that stay of the former release.
    pub leave: Vec<String>,
}

/// All that is known before anything is done.
struct Prepared {
    session: Session,
    desired: Desired,
    former: Cloud,
    leave: BTreeSet<String>,
    /// What comes along, in order.
    stretches: Vec<Stretch>,
    /// Members that will be replaced and run, by whether they serve.
    members: Members,
    /// What was begun before.
    record: Option<Upgrade>,
}

/// Upgrades the cloud, or goes on with it.
///
/// # Errors
/// When it cannot be (nothing was changed), or a step failed: running it again goes on.
pub async fn upgrade(options: &Options, wanted: &Wanted) -> Result<Upgraded> {
    require_root("upgrade")?;
    let began = Instant::now();
    dev::settle(options).await?;
    recorded::load(&options.paths)?;
    // Nobody else changes from here on what the plan follows from.
    let _lock = run::lock(options, "upgrade")?;
    let prepared = prepare(options, wanted, Patience::Waits).await?;
    prepared.refuse_unwell()?;
    let Prepared { session, desired, .. } = &prepared;
    let first = prepared.first_steps(options)?;
    Run::new(options, session, "upgrade").once().go(first).await.map_err(|error| {
        let to = &session.site.cloud.release.release;
        match prepared.record {
            Some(_) => error.hint("`aio upgrade` goes on from here."),
            None => error.hint(format!(
                "Nothing of the cloud was changed; `aio upgrade --to {to}` tries it again."
            )),
        }
    })?;
    desired.write_files(options)?;
    prepared.note(options, Progress::Going)?;
    let probe = Probe::start(&session.host, &session.site.cloud);
    let ran = Run::new(options, session, "upgrade").once().go(prepared.steps(options)?).await;
    let answers = probe.end().await;
    let record = upgrade::find(&options.paths)?;
    let report = ran.map_err(|error| {
        let error = error.hint("`aio upgrade` goes on from here.");
        match &record {
            Some(record) => error.hint(format!(
                "`aio upgrade --back` brings the cloud back to {} as it was.",
                record.from
            )),
            None => error,
        }
    })?;
    recorded::save(&options.paths, &session.site.cloud)?;
    desired.remember_secrets(options).await?;
    prepared.note(options, Progress::Done)?;
    let of = |service: &str| answers.get(service).copied().unwrap_or_default();
    Ok(prepared.upgraded(&report, began.elapsed(), of))
}

/// What `upgrade` would do, as the steps of it that are not done yet.
pub async fn plan(options: &Options, wanted: &Wanted) -> Result<(Upgraded, Report)> {
    require_root("upgrade")?;
    let prepared = prepare(options, wanted, Patience::Looks).await?;
    prepared.refuse_unwell()?;
    let mut steps = prepared.first_steps(options)?;
    let more = prepared.steps(options)?;
    steps.retain(|step| !more.iter().any(|other| other.key == step.key));
    steps.extend(more);
    let report = Run::new(options, &prepared.session, "upgrade").look(only_among(steps)).await?;
    Ok((prepared.upgraded(&report, Duration::ZERO, |_| Answers::default()), report))
}

/// Accepts the upgrade: there is no way back any more.
pub async fn accept(options: &Options) -> Result<()> {
    require_root("upgrade")?;
    refuse_none(options)?;
    let _lock = run::lock(options, "upgrade --accept")?;
    let record = refuse_none(options)?;
    if record.progress != Progress::Done {
        return Err(Error::new(ErrorKind::Busy, format!("accept the upgrade to {}", record.to))
            .because("it has not come to its end")
            .hints(Standing::from(&record).ways()));
    }
    upgrade::forget(&options.paths)?;
    ui::out::note(&format!(
        "Accepted: nothing leads back to {} any more. `aio image prune` frees its layers.",
        record.from
    ));
    Ok(())
}

/// The upgrade that was begun or is not accepted yet.
pub fn refuse_none(options: &Options) -> Result<Upgrade> {
    let cloud = recorded::load(&options.paths)?;
    upgrade::find(&options.paths)?.ok_or_else(|| {
        let doing = format!("find the upgrade of the cloud `{}`", cloud.name);
        Error::new(ErrorKind::NotFound, doing)
            .because("there is none, or it was accepted")
            .hint("`aio upgrade --to RELEASE` begins one.")
    })
}

async fn prepare(options: &Options, wanted: &Wanted, patience: Patience) -> Result<Prepared> {
    let paths = &options.paths;
    let former = recorded::load(paths)?;
    let record = upgrade::find(paths)?;
    let profiles = Profiles::load(&paths.config_dir)?;
    let to = target(&profiles, &former, record.as_ref(), wanted.to.as_deref())?;
    let mut leave: BTreeSet<String> = wanted.leave.iter().cloned().collect();
    for kind in &leave {
        refuse_needed(&former, &profiles, kind)?;
    }
    if let Some(record) = record.as_ref().filter(|record| record.progress == Progress::Going)
        && leave.is_empty()
    {
        leave.clone_from(&record.leave);
    }
    refuse_swaps(options, &former)?;
    let choices = CloudOptions {
        name: former.name.clone(),
        set: vec![("release".to_owned(), to.clone())],
        ..CloudOptions::default()
    };
    let behind = Behind { release: present(&former, &to).clone(), kinds: leave.clone() };
    let stage = Stage { behind: (!leave.is_empty()).then_some(behind) };
    let desired = desired::load_stage(options, &choices, &stage).await?;
    refuse_other_containers(&former, &desired.cloud)?;
    let session = Session::open(paths, desired.site(), Access::Change).await?;
    let serving = bootstrap::run::replaced(&session, &desired).await;
    let members = match &record {
        Some(record) => {
            let as_before = [&former, &record.former]
                .map(|cloud| Arc::new(Site::new(cloud.clone(), session.site.secrets.clone())));
            Members::of(&session.context(), &session.site, &as_before, serving, patience).await
        }
        None => Members { serving, unwell: Vec::new() },
    };
    let stretches = stretches(&former, &desired.cloud, members.all());
    Ok(Prepared { session, desired, former, leave, stretches, members, record })
}

/// The release to which it goes.
fn target(
    profiles: &Profiles,
    former: &Cloud,
    record: Option<&Upgrade>,
    to: Option<&str>,
) -> Result<String> {
    let has = &former.release.release;
    let doing = |to: &str| format!("upgrade the cloud `{}` to {to}", former.name);
    if let Some(record) = record {
        let ways = || Standing::from(record).ways();
        let to = to.unwrap_or(&record.to);
        let busy = |why: String| Error::new(ErrorKind::Busy, doing(to)).because(why);
        if record.progress == Progress::Returning {
            return Err(busy(format!("it is on its way back to {}", record.from)).hints(ways()));
        }
        if to != record.to {
            return Err(
                busy(format!("its upgrade to {} is not accepted yet", record.to)).hints(ways())
            );
        }
        if record.progress == Progress::Done && former.behind.is_none() {
            return Err(busy("all of it is of that release".to_owned()).hints(ways()));
        }
        return Ok(to.to_owned());
    }
    if let Some(behind) = &former.behind {
        return match to {
            Some(to) if to != has => Err(Error::new(ErrorKind::Refused, doing(to))
                .because(format!("{} is of {}", list(&behind.kinds), behind.release.release))
                .hint(format!("First the rest of it: aio upgrade --to {has}"))),
            _ => Ok(has.clone()),
        };
    }
    let Some(to) = to else {
        return Err(Error::new(ErrorKind::Usage, format!("upgrade the cloud `{}`", former.name))
            .because("no upgrade was begun")
            .hint("Name the release: aio upgrade --to RELEASE")
            .hint(pairs::next(profiles, &former.release)));
    };
    pairs::permitted(profiles, &former.name, &former.release, to)?;
    Ok(to.to_owned())
}

fn list(kinds: &BTreeSet<String>) -> String {
    kinds.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Only what others work with while it is behind may be left.
fn refuse_needed(former: &Cloud, profiles: &Profiles, kind: &str) -> Result<()> {
    let may = |kind: &str| profiles.kind(kind).is_some_and(|(_, it)| it.upgraded_last);
    if may(kind) && former.members(kind).next().is_some() {
        return Ok(());
    }
    let all: BTreeSet<String> =
        former.containers.iter().map(|it| it.kind.clone()).filter(|kind| may(kind)).collect();
    let hint = if all.is_empty() {
        "This cloud has nothing that can be left.".to_owned()
    } else {
        format!("What can be left: {}.", list(&all))
    };
    Err(Error::new(ErrorKind::Usage, format!("leave `{kind}` as it is"))
        .because("the others do not work with it, or it is not there")
        .hint(hint))
}

/// A checkout is of one release.
pub fn refuse_swaps(options: &Options, former: &Cloud) -> Result<()> {
    let swaps = swaps::load(&options.paths)?;
    if swaps.is_empty() {
        return Ok(());
    }
    let labels: Vec<&str> = swaps.iter().map(Swap::label).collect();
    Err(Error::new(ErrorKind::Busy, format!("change the release of the cloud `{}`", former.name))
        .because(format!("{} runs from a checkout", labels.join(", ")))
        .hint("Bring the packages back: aio dev --restore --all"))
}

/// One change at a time.
pub fn refuse_other_containers(former: &Cloud, wanted: &Cloud) -> Result<()> {
    let names = |cloud: &Cloud| -> BTreeSet<String> {
        cloud.containers.iter().map(|container| container.name.clone()).collect()
    };
    if names(former) == names(wanted) {
        return Ok(());
    }
    let doing = format!("change the release of the cloud `{}`", former.name);
    Err(Error::new(ErrorKind::Refused, doing)
        .because("its files ask for other containers than it had, which is another change")
        .hint("Before an upgrade: `aio bootstrap`, which makes them so.")
        .hint(
            "Before `aio upgrade --back`: `aio bootstrap` with the services and members of before.",
        ))
}

impl Prepared {
    /// Writes down how far it is.
    fn note(&self, options: &Options, progress: Progress) -> Result<()> {
        let Some(record) = upgrade::find(&options.paths)? else { return Ok(()) };
        let leave = self.leave.clone();
        upgrade::save(&options.paths, &Upgrade { progress, leave, ..record })
    }

    /// A cloud that is not well is not a ground for an upgrade; one that was begun goes on all the same.
    fn refuse_unwell(&self) -> Result<()> {
        if self.record.is_some() {
            return Ok(());
        }
        let kinds: Vec<&String> = self.stretches.iter().flat_map(|it| &it.kinds).collect();
        let mut members = self.session.site.cloud.containers.iter();
        let unwell =
            members.find(|it| kinds.contains(&&it.kind) && !self.members.serving.contains(it));
        let Some(member) = unwell else { return Ok(()) };
        Err(Error::failed(format!("upgrade the cloud `{}`", self.former.name))
            .because(format!("{} is not healthy", member.label()))
            .hint("`aio status` says why, `aio bootstrap` mends what it can."))
    }

    fn plan<'a>(&'a self, options: &'a Options) -> Plan<'a> {
        Plan {
            paths: &options.paths,
            site: &self.session.site,
            renderer: &self.desired.renderer,
            former: &self.former,
            stretches: &self.stretches,
            leave: &self.leave,
            serving: &self.members.serving,
            unwell: &self.members.unwell,
        }
    }

    /// What changes nothing of the cloud: layers, checks, and what leads back.
    fn first_steps(&self, options: &Options) -> Result<Vec<Step>> {
        let site = &self.session.site;
        let mut steps = bootstrap_steps(site, &self.desired.renderer)?;
        steps.retain(change::is_of_layers);
        if self.record.is_none() {
            let layers: Vec<StepKey> = steps.iter().map(|step| step.key.clone()).collect();
            steps.extend(self.plan(options).checks(&layers)?);
        }
        let action = Take {
            paths: options.paths.clone(),
            site: Arc::clone(site),
            former: self.former.clone(),
            from: present(&self.former, &site.cloud.release.release).release.clone(),
            to: site.cloud.release.release.clone(),
            leave: self.leave.clone(),
        };
        steps.push(Step {
            key: StepKey::new("upgrade/restore-point"),
            title: "all databases as they are, for the way back".to_owned(),
            phase: Phase::Services,
            resource: Resource::Light,
            needs: steps.iter().map(|step| step.key.clone()).collect(),
            estimate_ms: 3_000,
            action: Arc::new(action),
        });
        Ok(only_among(steps))
    }

    fn steps(&self, options: &Options) -> Result<Vec<Step>> {
        let steps = bootstrap_steps(&self.session.site, &self.desired.renderer)?;
        self.plan(options).steps(steps)
    }

    /// What came along, with what clients noticed of it.
    fn upgraded(
        &self,
        report: &Report,
        seconds: Duration,
        of: impl Fn(&str) -> Answers,
    ) -> Upgraded {
        let cloud = &self.session.site.cloud;
        let before = present(&self.former, &cloud.release.release);
        let services = self.stretches.iter().filter_map(|stretch| {
            let service = cloud.services.iter().find(|it| it.service == stretch.service)?;
            let answers = of(&stretch.service);
            Some(UpgradedService {
                service: stretch.service.clone(),
                kinds: stretch.kinds.clone(),
                from: version(before, service),
                to: version(&cloud.release, service),
                seconds: length(report, stretch),
                requests: answers.requests,
                refused: answers.refused,
                longest_seconds: answers.longest,
            })
        });
        Upgraded {
            cloud: cloud.name.clone(),
            // Nothing may be of it any more, where it goes on.
            from: self.record.as_ref().map_or(&before.release, |record| &record.from).clone(),
            to: cloud.release.release.clone(),
            seconds,
            services: services.collect(),
            left: self.leave.clone(),
        }
    }
}

/// The version of a service's project in a release; the release where its lock does not tell.
fn version(release: &Release, service: &ServiceProfile) -> String {
    let lock = Lock::of(release);
    let projects = service.dev.iter().flat_map(|dev| &dev.projects).chain([&service.service]);
    let found = lock.and_then(|lock| {
        let mut found = projects.filter_map(|project| lock.distribution(project));
        found.next().map(|it| it.version.clone())
    });
    found.unwrap_or_else(|| release.release.clone())
}

/// How long the members of a stretch took, from the first that was stopped to the last that served.
fn length(report: &Report, stretch: &Stretch) -> Duration {
    let of = |key: &StepKey| match key {
        StepKey::Container { kind, step, .. } => {
            stretch.kinds.contains(kind) && *step != ContainerStep::Grow
        }
        _ => false,
    };
    let acted: Vec<_> =
        report.steps.iter().filter(|step| of(&step.key)).filter_map(|step| step.acted).collect();
    let from = acted.iter().map(|span| span.from).min().unwrap_or_default();
    let to = acted.iter().map(|span| span.to).max().unwrap_or_default();
    to.saturating_sub(from)
}
