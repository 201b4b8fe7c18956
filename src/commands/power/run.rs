//! `aio start` and `aio stop`.

use crate::cloud::open::Access;
use crate::cloud::run;
use crate::cloud::run::{Options, Run};
use crate::cloud::{Session, opened, require_root};
use crate::commands::dev;
use crate::error::{Error, Result};
use crate::model::topology::Container;
use crate::plan::{bootstrap, change};
use crate::steps::unfinished;

/// Starts containers, or the whole cloud with everything that a reboot takes away. Containers that
/// were never finished are left alone, and are an error in the end.
pub async fn start(options: &Options, names: &[String]) -> Result<()> {
    require_root("start")?;
    dev::settle(options).await?;
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let (_, renderer) = opened::renderer(&session, &session.site.cloud)?;
    let targets = session.select(names)?;
    let lock = run::lock(options, "start")?;
    let mut steps = bootstrap::steps(&session.site, &renderer)?;
    change::clusters_first(&mut steps, &session.site);
    let whole_cloud = names.is_empty();
    let mut unfinished = Vec::new();
    for target in &targets {
        if unfinished::is_marked(&session.context(), &target.name).await? {
            unfinished.push(target.clone());
        }
    }
    steps.retain(|step| {
        change::is_start(step)
            && !change::waits_for(step, &unfinished)
            && (whole_cloud || change::is_of_host(step) || change::concerns(step, &targets))
    });
    let started = Run::new(options, &session, "start").go(change::only_among(steps)).await;
    drop(lock);
    // What had to wait for the databases, and what does not start for it.
    dev::settle(options).await?;
    started?;
    if unfinished.is_empty() {
        return Ok(());
    }
    let labels: Vec<String> = unfinished.iter().map(Container::label).collect();
    Err(Error::failed(format!("start {}", labels.join(", ")))
        .because("the run that made it was cut off before its end")
        .hint("Finish it: aio bootstrap"))
}

/// Stops containers, those that need others first.
pub async fn stop(options: &Options, names: &[String], yes: bool) -> Result<()> {
    require_root("stop")?;
    dev::release(options, names, "a stop", yes).await?;
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let targets = session.select(names)?;
    let _lock = run::lock(options, "stop")?;
    let steps = change::stop(&session.site, &targets, names.is_empty());
    Run::new(options, &session, "stop").go(steps).await.map(drop)
}
