//! `aio bootstrap` and `aio plan`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::cloud::desired;
use crate::cloud::desired::Desired;
use crate::cloud::open::Access;
use crate::cloud::run;
use crate::cloud::run::{Options, Run};
use crate::cloud::{Session, recorded, require_root, tls};
use crate::commands::dev;
use crate::config::cloud::CloudOptions;
use crate::config::profile::Speech;
use crate::engine::report::Report;
use crate::engine::step::{Step, StepContext};
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::departed::{Departed, labels};
use crate::model::health::Health;
use crate::model::topology::Container;
use crate::plan::leave::{self, Question};
use crate::plan::{bootstrap, change, rolling};
use crate::state::{files, upgrade};
use crate::steps::cluster::Form;
use crate::steps::departed;
use crate::steps::health::{self};
use crate::steps::site::Site;
use crate::ui;

#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub choices: &'a CloudOptions,
    /// Stop after the files in the configuration directory are written.
    pub prepare_only: bool,
    /// Do not ask before containers are removed.
    pub yes: bool,
    /// Remove them even if something still needs them.
    pub force: bool,
}

/// What `bootstrap` would do now, and with which cloud.
#[derive(Debug, Serialize)]
pub struct Planned {
    /// The cloud's name.
    pub cloud: String,
    /// Its release of OpenStack.
    pub release: String,
    /// Its scenario.
    pub scenario: String,
    /// What would be done.
    #[serde(flatten)]
    pub report: Report,
}

/// Builds the cloud, or brings it back to what it should be. `None` when it stopped after
/// preparing.
///
/// # Errors
/// When the host or a file is not fit (nothing was changed), or a step failed (running it again
/// goes on).
pub async fn bootstrap(options: &Options, wanted: Wanted<'_>) -> Result<Option<Report>> {
    require_root("bootstrap")?;
    upgrade::refuse_going(&options.paths)?;
    dev::settle(options).await?;
    let desired = desired::load(options, wanted.choices).await?;
    for note in &desired.notes {
        ui::out::note(note);
    }
    // Everything is rendered before anything is written: a mistake in a template changes nothing.
    let site = desired.site();
    let steps = bootstrap::steps(&site, &desired.renderer)?;
    let surplus = surplus(&desired);
    if !surplus.is_empty() {
        let labels: Vec<String> = surplus.iter().map(Container::label).collect();
        let question = format!(
            "Remove containers that are no longer wanted, with their data: {}?",
            labels.join(", ")
        );
        ui::prompt::confirm(&question, wanted.yes)?;
        if !wanted.force {
            refuse_needed(options, &desired, &surplus).await?;
        }
    }
    if wanted.prepare_only {
        desired.write_files(options)?;
        let directory = options.paths.config_dir.display();
        ui::out::note(&format!(
            "Wrote cloud.yml and user_secrets.yml in {directory}. Edit what you like, then run `aio bootstrap`."
        ));
        return Ok(None);
    }
    files::prepare(&options.paths)?;
    let _lock = run::lock(options, "bootstrap")?;
    // Where ids for more members are missing the user's files stay as they are.
    let session = Session::open(&options.paths, site, Access::Change).await?;
    desired.write_files(options)?;
    if !surplus.is_empty() {
        // Before the record forgets them: a run killed here finds them again.
        departed::add(&*session.host.records, surplus.iter().map(Into::into).collect()).await?;
        Run::new(options, &session, "bootstrap").go(removal(&desired, &surplus)).await?;
    }
    recorded::save(&options.paths, &session.site.cloud)?;
    let replaced = replaced(&session, &desired).await;
    let mut steps = rolling::one_at_a_time(steps, &session.site, &replaced)?;
    let gone = departed::load(&*session.host.records).await?;
    let gone = departed::still_gone(gone, &desired.cloud);
    steps.extend(leave::steps(&session.site, &desired.renderer, &gone)?);
    let report = Run::new(options, &session, "bootstrap").go(steps).await?;
    desired.remember_secrets(options).await?;
    if let Some(sentence) = tls::told(&options.paths, &desired.cloud) {
        ui::out::note(&sentence);
    }
    Ok(Some(report))
}

/// What `bootstrap` would do now. Changes nothing, needs no root for a new cloud.
pub async fn plan(options: &Options, choices: &CloudOptions) -> Result<Planned> {
    let desired = desired::load(options, choices).await?;
    for note in &desired.notes {
        ui::out::note(note);
    }
    let session = Session::open(&options.paths, desired.site(), Access::Look).await?;
    look(options, &session, &desired).await
}

/// What `bootstrap` would do to bring the session's cloud to what is desired.
pub async fn look(options: &Options, session: &Session, desired: &Desired) -> Result<Planned> {
    let surplus = surplus(desired);
    let mut gone = departed::load(&*session.host.records).await?;
    gone.extend(surplus.iter().map(Into::into));
    let mut steps = removal(desired, &surplus);
    let wanted = bootstrap::steps(&session.site, &desired.renderer)?;
    let replaced = replaced(session, desired).await;
    steps.extend(rolling::one_at_a_time(wanted, &session.site, &replaced)?);
    let gone = departed::still_gone(gone, &desired.cloud);
    steps.extend(leave::steps(&session.site, &desired.renderer, &gone)?);
    let report = Run::new(options, session, "plan").look(steps).await?;
    let Cloud { name, release, scenario, .. } = &desired.cloud;
    Ok(Planned {
        cloud: name.clone(),
        release: release.release.clone(),
        scenario: scenario.clone(),
        report,
    })
}

/// Refuses to remove what something still needs, or of which that cannot be asked. Nothing was changed.
async fn refuse_needed(options: &Options, desired: &Desired, surplus: &[Container]) -> Result<()> {
    let Some(former) = &desired.former else { return Ok(()) };
    let departing: Vec<Departed> = surplus.iter().map(Into::into).collect();
    // As the profiles say now: the last `bootstrap` may have known no reason yet.
    let mut asked = former.clone();
    for service in &mut asked.services {
        let now = desired.cloud.services.iter().find(|it| it.service == service.service);
        service.leave = now.map_or_else(|| service.leave.clone(), |now| now.leave.clone());
    }
    let questions = leave::questions(&asked, &desired.renderer, &departing)?;
    let former = Arc::new(Site::new(asked, desired.site().secrets.clone()));
    let session = Session::open(&options.paths, former, Access::Look).await?;
    let context = session.context();
    for Question { departing, because, hint, ask } in questions {
        let error = Error::new(ErrorKind::Refused, format!("remove {}", labels(&departing)));
        match departed::needed(&context, &session.site, &departing, &ask).await {
            Ok(found) if found.is_empty() => {}
            Ok(found) => {
                return Err(error
                    .because(because)
                    .because(found.join(", "))
                    .hint(hint)
                    .hint("Or add `--force`, and lose them."));
            }
            Err(cause) => {
                return Err(error
                    .because(format!("whether {because} cannot be asked"))
                    .because(cause)
                    .hint("`aio start` brings up what does not run, `aio status` shows it.")
                    .hint("Or add `--force` to remove it all the same."));
            }
        }
    }
    Ok(())
}

/// Containers that the cloud had and should have no longer.
fn surplus(desired: &Desired) -> Vec<Container> {
    let former = desired.former.iter().flat_map(|former| &former.containers);
    former.filter(|it| desired.cloud.container(&it.name).is_none()).cloned().collect()
}

/// The steps that remove them, out of the cloud as it was. Nobody logs in for that.
fn removal(desired: &Desired, surplus: &[Container]) -> Vec<Step> {
    let Some(former) = &desired.former else { return Vec::new() };
    let former = Arc::new(Site::new(former.clone(), BTreeMap::new()));
    change::remove(&former, surplus)
}

/// Whether a container's kind is a cluster of which a member runs that speaks to the others otherwise than
/// is desired: one at a time they would not find one another. What cannot be looked at does not run.
async fn speaks_otherwise(
    context: &StepContext,
    session: &Session,
    desired: &Desired,
    container: &Container,
) -> bool {
    let Ok(Some(form)) = Form::of(&session.site, &container.kind) else { return false };
    let kind = session.site.cloud.kind(&container.kind);
    let (Some(speech), Some((_, kind))) = (&form.cluster.speech, kind) else { return false };
    let file = kind.files.iter().find(|file| file.path == speech.file);
    let Some(Ok(file)) = file.map(|file| desired.renderer.render_file(container, file)) else {
        return false;
    };
    form.speaks_otherwise(context, speech, &Speech::said(&file.content)).await.unwrap_or(false)
}

/// Containers that serve and will be defined anew, one after another. Whether one serves is asked as the last
/// `bootstrap` left it: it may lack what is new. What cannot be looked at is not among them: its own
/// step looks again and says why.
pub async fn replaced(session: &Session, desired: &Desired) -> Vec<Container> {
    let Some(former) = &desired.former else { return Vec::new() };
    let context = session.context();
    let former = Site::new(former.clone(), session.site.secrets.clone());
    let mut replaced = Vec::new();
    for container in &session.site.cloud.containers {
        let Some(before) = former.cloud.container(&container.name) else { continue };
        let differs = context.host.containers.definition_differs(container).await;
        if !matches!(differs, Ok(Some(_))) {
            continue;
        }
        if speaks_otherwise(&context, session, desired, container).await {
            continue;
        }
        let look = health::look(&context, &former, before).await;
        if look.is_ok_and(|found| found.health == Health::Healthy) {
            replaced.push(container.clone());
        }
    }
    replaced
}
