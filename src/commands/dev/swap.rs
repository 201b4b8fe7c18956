//! A swap from its beginning to its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::asked::{Asked, Debug, Mode};
use super::prepare::{self, Source};
use super::python::Delta;
use super::python::debug::{Mapping, Target as DebugTarget};
use super::restore::{bring_back, clear_up, undo_failed};
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
    let entry = prepare::entry(&session, &target, &sources)?;
    let lock = run::lock(options, "dev")?;
    alone(options, &session.site.cloud, &target)?;
    if let Some(former) = free(options, &target, asked.take_over)? {
        clear_up(options, &session, vec![former]).await?;
    }
    let into = Arc::new(prepare::into(&session, asked, &target, &sources, entry)?);
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
    if let Some(kept) = into.work.point.file().filter(|_| into.migrated.load(Ordering::Relaxed)) {
        ui::out::note(&format!(
            "The schema of {}'s databases is the checkout's; those of before are in {}",
            swap.service,
            kept.display()
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
