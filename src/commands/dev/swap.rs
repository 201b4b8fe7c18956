//! A swap from its beginning to its end, and what is left of others.

use std::path::Path;
use std::sync::Arc;

use super::asked::{Asked, Debug, Mode};
use super::prepare::{self, Source};
use super::python::Delta;
use super::python::debug::{Mapping, Target as DebugTarget};
use super::steps::{SwapIn, is_published};
use super::target::{self, Target};
use super::tunnel::Entrance;
use super::watch::{self, Watch};
use super::{foreground, holder, plan, terminal};
use crate::cloud::open::Access;
use crate::cloud::run::{self, Options, Run};
use crate::cloud::{Session, require_root};
use crate::error::{Error, ErrorKind, Result};
use crate::gateway::names::user_name;
use crate::host::ContainerState;
use crate::model::cloud::Cloud;
use crate::model::paths::Paths;
use crate::model::swap::{Stage, Swap};
use crate::model::topology;
use crate::state::swaps;
use crate::state::topology::Topology;
use crate::ui;

/// # Errors
/// When the checkout is not fit, or does not serve: then the package serves again.
pub async fn swap(options: &Options, asked: &Asked) -> Result<()> {
    require_root("dev")?;
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let target = target::find(&session.site.cloud, &asked.unit, asked.member)?;
    let name = &target.container.name;
    if session.host.containers.state(name).await? == ContainerState::Stopped {
        return Err(Error::new(ErrorKind::NotFound, format!("swap {}", target.label()))
            .because(format!("container `{name}` is not running"))
            .hint(format!("`aio start {name}` starts it.")));
    }
    // Before anything is fetched, and again when nobody else can change it any more.
    alone(options, &session.site.cloud, &target)?;
    free(options, &target, asked.take_over)?;
    if asked.mode == Mode::Watch {
        watch::refuse_small_limits(Path::new(&asked.from))?;
    }
    // Taken before anything is changed.
    let entrance = match asked.debug {
        Some(debug) if asked.mode != Mode::Detached => Some(Entrance::open(debug.port).await?),
        _ => None,
    };
    let sources = prepare::sources(&session, asked, &target)?;
    let lock = run::lock(options, "dev")?;
    alone(options, &session.site.cloud, &target)?;
    if let Some(former) = free(options, &target, asked.take_over)? {
        leftover(options, &session, former).await?;
    }
    let into = Arc::new(prepare::into(&session, asked, &target, &sources)?);
    // What is saved while it starts is not lost.
    let watch = match asked.mode {
        Mode::Watch => Some(Watch::start(&into.work.swap().await)?),
        _ => None,
    };
    let steps = plan::into(target.label(), &into);
    if let Err(error) = Run::new(options, &session, "dev").once().go(steps).await {
        return Err(undo_failed(options, &session, &into, error).await);
    }
    drop(lock);
    let _tunnel = entrance.map(|it| it.lead_to(&target.container)).transpose()?;
    report(&session, asked, &target, &sources, &into).await?;
    let swap = into.work.swap().await;
    let ended = match asked.mode {
        Mode::Detached => return Ok(()),
        Mode::Foreground | Mode::Watch => {
            foreground::follow(options, &session, &into.work, watch).await
        }
        Mode::Terminal => terminal::run(options, &target, &swap).await,
    };
    // However it ended.
    bring_back(options, &session, &swap).await.and(ended)
}

/// Undoes a swap if it is still the one that is recorded: nobody undid it or took it over.
async fn bring_back(options: &Options, session: &Session, swap: &Swap) -> Result<()> {
    let _lock = run::lock(options, "dev --restore")?;
    if !swaps::is_recorded(&options.paths, swap)? {
        return Ok(());
    }
    undo(options, session, swap, false).await
}

/// Undoes swaps: that of one unit, or all.
pub async fn restore(
    options: &Options,
    unit: Option<&str>,
    member: Option<u32>,
    database: bool,
) -> Result<()> {
    require_root("dev")?;
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let _lock = run::lock(options, "dev --restore")?;
    let mut swaps = swaps::load(&options.paths)?;
    if let Some(unit) = unit {
        let target = target::find(&session.site.cloud, unit, member)?;
        let (kind, unit) = (&target.container.kind, &target.unit);
        swaps.retain(|swap| {
            let is_member = member.is_none_or(|member| swap.member == member);
            swap.unit == *unit && swap.kind == *kind && is_member
        });
        if swaps.is_empty()
            && database
            && prepare::dump(&session, &target.service.service).is_some()
        {
            // It was undone before, without its database.
            swaps.push(prepare::packaged(&target));
        }
        if swaps.is_empty() {
            ui::out::note(&format!("{} runs as packaged.", target.label()));
        }
    } else if swaps.is_empty() {
        ui::out::note("Everything runs as packaged.");
    }
    for swap in swaps {
        undo(options, &session, &swap, database).await?;
    }
    Ok(())
}

/// Undoes what is left of swaps that ended by themselves: their container was restarted, or the
/// `aio` that made them was killed half-way.
pub async fn settle(options: &Options) -> Result<()> {
    if swaps::load(&options.paths)?.is_empty() {
        return Ok(());
    }
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let _lock = run::lock(options, "dev --restore")?;
    // Again: someone who was making one held the lock.
    for swap in swaps::load(&options.paths)? {
        if session.site.cloud.container(&swap.container).is_none() {
            swaps::forget(&options.paths, &swap)?;
        } else {
            leftover(options, &session, swap).await?;
        }
    }
    Ok(())
}

/// Before something ends swaps on these containers: says so and asks; then undoes those that do not
/// outlive a restart.
pub async fn release(options: &Options, names: &[String], doing: &str, yes: bool) -> Result<()> {
    let mut swaps = swaps::load(&options.paths)?;
    if swaps.is_empty() {
        return Ok(());
    }
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let containers = session.select(names)?;
    let concerned = |swap: &Swap| containers.iter().any(|it| it.name == swap.container);
    swaps.retain(|swap| !swap.keep && concerned(swap));
    if swaps.is_empty() {
        return Ok(());
    }
    let described: Vec<String> = swaps
        .iter()
        .map(|swap| {
            let path = swap.own().map(|own| own.path.display().to_string()).unwrap_or_default();
            format!("{} runs from {path}", swap.label())
        })
        .collect();
    let question = format!("{}: {doing} brings it back as packaged. Go on?", described.join(", "));
    ui::prompt::confirm(&question, yes)?;
    let _lock = run::lock(options, "dev --restore")?;
    for swap in swaps {
        if swaps::is_recorded(&options.paths, &swap)? {
            undo(options, &session, &swap, false).await?;
        }
    }
    Ok(())
}

/// One member of those that a frontend balances serves alone: two cannot.
fn alone(options: &Options, cloud: &Cloud, target: &Target) -> Result<()> {
    let kind = &target.container.kind;
    let swaps = swaps::load(&options.paths)?;
    let other = swaps.iter().find(|swap| {
        swap.kind == *kind && swap.unit == target.unit && swap.container != target.container.name
    });
    let Some(other) = other.filter(|_| cloud.is_balanced(kind)) else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Busy,
        format!("swap {} of {}", target.label(), target.container.label()),
    )
    .because(format!(
        "{} runs from a checkout and serves alone",
        topology::label(kind, other.member)
    ))
    .hint(format!("`aio dev {} --restore` brings its package back.", other.full_name())))
}

/// The swap of the unit that there is, if it may be replaced: one in force is left alone unless it is
/// to be taken over.
fn free(options: &Options, target: &Target, take_over: bool) -> Result<Option<Swap>> {
    let paths = &options.paths;
    let found = swaps::find(paths, &target.container.name, &target.unit)?;
    let Some(swap) = found.as_ref().filter(|swap| !take_over && is_alive(paths, swap)) else {
        return Ok(found);
    };
    let path = swap.own().map(|own| own.path.display().to_string()).unwrap_or_default();
    let held = match swap.holder {
        Some(holder) => {
            format!("it runs from {path}, held by the `aio dev` with pid {}", holder.pid)
        }
        None => format!("it runs from {path} until it is restored"),
    };
    Err(Error::new(ErrorKind::Busy, format!("swap {}", swap.label())).because(held).hint(format!(
        "`aio dev {} --restore` undoes that; `--take-over` puts this checkout in its place.",
        swap.full_name()
    )))
}

/// Whether a swap is in force or being made, and not what a killed process left.
fn is_alive(paths: &Paths, swap: &Swap) -> bool {
    let held = swap.holder.is_some_and(holder::is_alive);
    held || (swap.stage == Stage::Serving
        && swap.holder.is_none()
        && is_published(&paths.shared_dir(&swap.container), swap))
}

/// Undoes what a killed process or a restarted container left of a swap; one that is in force stays.
async fn leftover(options: &Options, session: &Session, swap: Swap) -> Result<()> {
    let published = is_published(&options.paths.shared_dir(&swap.container), &swap);
    if swap.stage == Stage::Serving && (published || swap.keep) {
        return Ok(());
    }
    ui::out::note(&format!("The swap of {} ended by itself: clearing it up.", swap.label()));
    let work = Arc::new(prepare::back(session, &swap, None)?);
    let steps = plan::back(swap.label(), &work, false);
    Run::new(options, session, "dev --restore").go(steps).await.map(drop)
}

/// With the cloud's lock held.
async fn undo(options: &Options, session: &Session, swap: &Swap, database: bool) -> Result<()> {
    let dumped = database && prepare::dump(session, &swap.service).is_some();
    let name = dumped.then(|| prepare::database(session, &swap.service)).flatten();
    let work = Arc::new(prepare::back(session, swap, name)?);
    let steps = plan::back(swap.label(), &work, true);
    Run::new(options, session, "dev --restore").patiently().go(steps).await?;
    if let Some(dump) = prepare::dump(session, &swap.service) {
        ui::out::note(&format!(
            "The schema of {0}'s database is still a checkout's. `aio dev {1} --restore \
             --restore-db` brings back the data of before, from {2}.",
            swap.service,
            swap.full_name(),
            dump.display()
        ));
    }
    Ok(())
}

/// After a swap that failed: the package serves again, and the error says so.
async fn undo_failed(options: &Options, session: &Session, into: &SwapIn, error: Error) -> Error {
    let swap = into.work.swap().await;
    if !swaps::is_recorded(&options.paths, &swap).unwrap_or(true) {
        return error.hint("Nothing was changed.");
    }
    match undo(options, session, &swap, false).await {
        Ok(()) => error.hint(format!("{} serves as packaged again.", swap.label())),
        Err(undoing) => {
            error.because(format!("and it could not be undone: {undoing}")).hint(format!(
                "`aio dev {} --restore` tries again to bring the package back.",
                swap.full_name()
            ))
        }
    }
}

/// What runs now, and what was added for it.
async fn report(
    session: &Session,
    asked: &Asked,
    target: &Target,
    sources: &[Source],
    into: &SwapIn,
) -> Result<()> {
    let swap = into.work.swap().await;
    for (path, state) in prepare::described(sources) {
        ui::out::note(&format!("{} runs from {} ({state})", target.label(), path.display()));
    }
    if let Some(delta) = into.delta.lock().await.as_ref() {
        ui::out::note(&format!("Beside the packaged ones: {}", packages(delta)));
    }
    if let Some(dump) = prepare::dump(session, &swap.service) {
        ui::out::note(&format!(
            "The schema of {}'s database is the checkout's; its data of before are in {}",
            swap.service,
            dump.display()
        ));
    }
    let cloud = &session.site.cloud;
    if !cloud.is_balanced(&swap.kind) {
        for sibling in cloud.members(&swap.kind).filter(|it| it.name != swap.container) {
            let name = sibling.label();
            ui::out::note(&format!(
                "{name} works beside it, as packaged; `aio stop {name}` leaves all to the checkout."
            ));
        }
    }
    match asked.debug {
        Some(debug) => ui::out::text(&debugger(session, asked, target, &swap, debug)?.explain()?),
        None => Ok(()),
    }
}

fn packages(delta: &Delta) -> String {
    let all = delta.manifest.distributions.iter();
    let all: Vec<String> = all.map(|it| format!("{} {}", it.name, it.version)).collect();
    let cached = if delta.cached { " (fetched before)" } else { "" };
    format!("{}{cached}", all.join(", "))
}

fn debugger(
    session: &Session,
    asked: &Asked,
    target: &Target,
    swap: &Swap,
    debug: Debug,
) -> Result<DebugTarget> {
    // Nobody stays to lead the way.
    let detached = asked.mode == Mode::Detached;
    let user = || -> Result<String> {
        let topology = Topology::load(&session.paths)?;
        Ok(user_name(&topology, topology.select_one(&target.container.name)?))
    };
    Ok(DebugTarget {
        name: target.label().to_owned(),
        address: prepare::debug_address(debug),
        by_gateway_as: detached.then(user).transpose()?,
        mappings: swap
            .checkouts
            .iter()
            .map(|it| Mapping { local: it.path.clone(), remote: swap.checkout_path(it) })
            .collect(),
        waits: debug.wait,
    })
}
