//! `aio upgrade --back`: the cloud as it was before.
//!
//! Whatever may use the databases stops first, those that were not upgraded yet too; then all databases
//! are made anew as they were; then containers are made of the former release's layers, which were kept.

use std::sync::Arc;

use super::restore_point::{self, PutBack};
use super::run::{refuse_none, refuse_other_containers, refuse_swaps};
use crate::cloud::desired;
use crate::cloud::open::Access;
use crate::cloud::opened::Stage;
use crate::cloud::run::{self, Options, Run};
use crate::cloud::{Session, recorded, require_root};
use crate::commands::dev;
use crate::config::cloud::CloudOptions;
use crate::engine::event::{Phase, Resource};
use crate::engine::key::{ContainerStep, StepKey};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::topology::Container;
use crate::plan::bootstrap::{container_key, steps as bootstrap_steps};
use crate::plan::change;
use crate::state::upgrade::{self, Progress, Upgrade};
use crate::steps::site::Site;
use crate::ui;

/// # Errors
/// When there is no upgrade, the user says no, or a step failed: running it again goes on.
pub async fn back(options: &Options, yes: bool) -> Result<()> {
    require_root("upgrade")?;
    dev::settle(options).await?;
    let record = refuse_none(options)?;
    let question = format!(
        "Bring the cloud `{}` back to {}? What was made in it since the upgrade began is lost.",
        record.former.name, record.from
    );
    ui::prompt::confirm(&question, yes)?;
    let choices = CloudOptions {
        name: record.former.name.clone(),
        set: vec![("release".to_owned(), record.former.release.release.clone())],
        ..CloudOptions::default()
    };
    let stage = Stage { behind: record.former.behind.clone() };
    let _lock = run::lock(options, "upgrade --back")?;
    if refuse_none(options)?.began != record.began {
        return Err(Error::new(ErrorKind::Busy, "bring the cloud back")
            .because("another upgrade was begun meanwhile"));
    }
    let present = recorded::load(&options.paths)?;
    refuse_swaps(options, &present)?;
    let mut desired = desired::load_stage(options, &choices, &stage).await?;
    for other in [&present, &record.former] {
        refuse_other_containers(other, &desired.cloud)?;
    }
    make_of_what_it_was(&mut desired.cloud, &record.former);
    let session = Session::open(&options.paths, desired.site(), Access::Change).await?;
    let steps = bootstrap_steps(&session.site, &desired.renderer)?;
    // They stop once: a run that was cut off may have started some since.
    let is_back = restore_point::is_back(&*session.host.records, &record).await?;
    if !is_back {
        restore_point::refuse_lost(&options.paths)?;
    }
    let returning = Upgrade { progress: Progress::Returning, ..record.clone() };
    upgrade::save(&options.paths, &returning)?;
    let users = if is_back { Vec::new() } else { users(&session.site) };
    let steps = put_back(options, &session.site, steps, &users, &record);
    desired.write_files(options)?;
    recorded::save(&options.paths, &session.site.cloud)?;
    Run::new(options, &session, "upgrade --back").go(steps).await?;
    desired.remember_secrets(options).await?;
    upgrade::forget(&options.paths)?;
    ui::out::note(&format!(
        "The cloud `{}` is of {} again, as it was before the upgrade.",
        record.former.name, record.from
    ));
    Ok(())
}

/// The layers of before were kept; profiles or package sources may say others by now.
fn make_of_what_it_was(cloud: &mut Cloud, former: &Cloud) {
    for container in &mut cloud.containers {
        if let Some(before) = former.container(&container.name) {
            container.layers.clone_from(&before.layers);
            container.renewed.clone_from(&before.renewed);
        }
    }
    cloud.layers.clone_from(&former.layers);
}

/// Containers of services that have databases.
fn users(site: &Site) -> Vec<Container> {
    let with_databases = |container: &Container| {
        let mut services = site.cloud.services.iter();
        services.any(|it| it.service == container.service && !it.databases.is_empty())
    };
    let all = site.cloud.containers.iter();
    all.filter(|it| with_databases(it)).cloned().collect()
}

/// Those stop, databases are put back, and only then are they made as they were.
fn put_back(
    options: &Options,
    site: &Arc<Site>,
    mut steps: Vec<Step>,
    users: &[Container],
    record: &Upgrade,
) -> Vec<Step> {
    // Nobody takes over from one another: all stop.
    let mut stops = change::stop(site, users, true);
    // Not before all that they are to be made of is there.
    let layers = steps.iter().filter(|step| change::is_of_layers(step));
    let layers: Vec<StepKey> = layers.map(|step| step.key.clone()).collect();
    for stop in &mut stops {
        stop.needs.extend(layers.iter().cloned());
    }
    let key = StepKey::new("upgrade/databases");
    for step in &mut steps {
        let StepKey::Container { step: ContainerStep::Define, .. } = &step.key else { continue };
        if users.iter().any(|user| step.key == container_key(user, ContainerStep::Define)) {
            step.needs.push(key.clone());
        }
    }
    steps.push(Step {
        key,
        title: "all databases as they were".to_owned(),
        phase: Phase::Services,
        resource: Resource::Light,
        needs: stops.iter().map(|step| step.key.clone()).collect(),
        estimate_ms: 5_000,
        action: Arc::new(PutBack {
            paths: options.paths.clone(),
            site: Arc::clone(site),
            upgrade: record.clone(),
        }),
    });
    steps.extend(stops);
    change::only_among(steps)
}
