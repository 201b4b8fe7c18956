//! Swaps from their beginning to their end.

use std::path::Path;
use std::sync::Arc;

use super::asked::{Asked, Debug, Mode};
use super::python::debug::{Mapping, Target as DebugTarget};
use super::report::report;
use super::restore::{bring_back, undo_failed};
use super::sources::Sources;
use super::steps::{SwapIn, Work};
use super::taken::{make_room, refuse_taken};
use super::target::{self, Target};
use super::tunnel::Entrance;
use super::watch::{self, Watch};
use super::{foreground, plan, prepare, terminal, users};
use crate::cloud::open::Access;
use crate::cloud::run::{self, Options, Run};
use crate::cloud::{Session, require_root};
use crate::error::{Error, ErrorKind, Result};
use crate::gateway::names::user_name;
use crate::model::cloud::Cloud;
use crate::model::swap::Swap;
use crate::state::topology::Topology;
use crate::ui;

/// # Errors
/// When a checkout is not fit, or does not serve: then the packages serve again.
pub async fn swap(options: &Options, asked: &Asked) -> Result<()> {
    require_root("dev")?;
    refuse_unclear(asked)?;
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let cloud = &session.site.cloud;
    // Before anything is fetched, and again when nobody else can change it any more.
    if let Some(name) = &asked.unit {
        refuse_taken(options, &session, asked, &target::named(cloud, name, asked.member)?).await?;
    }
    if asked.mode == Mode::Watch {
        for from in &asked.from {
            watch::refuse_small_limits(Path::new(from))?;
        }
    }
    // Taken before anything is changed.
    let entrance = match asked.debug {
        Some(debug) if asked.mode != Mode::Detached => Some(Entrance::open(debug.port).await?),
        _ => None,
    };
    let sources = Sources::read(&session, asked)?;
    let mut chosen = sources.choose(cloud, asked)?;
    if sources.services.is_empty() && asked.unit.is_none() && asked.inside.is_empty() {
        users::keep(&session, &mut chosen).await?;
    }
    let mut targets: Vec<Target> = chosen.iter().map(|it| it.target.clone()).collect();
    let hands_on = hands_on(cloud, asked, &targets)?;
    let debugged = hands_on.and_then(|index| targets.get(index).cloned());
    if let Some(own) = debugged.filter(|own| cloud.is_balanced(&own.container.kind)) {
        // All requests meet the one that stops at a breakpoint: its siblings stand by.
        let stays = |it: &Target| {
            !it.is_of_kind(&own.container.kind, &own.unit)
                || it.container.name == own.container.name
        };
        chosen.retain(|it| stays(&it.target));
        targets.retain(stays);
    }
    let lock = run::lock(options, "dev")?;
    let former = refuse_taken(options, &session, asked, &targets).await?;
    make_room(options, &session, former, &targets).await?;
    let swaps = prepare::into(&session, asked, &chosen, hands_on)?;
    // What is saved while they start is not lost.
    let watch = match asked.mode {
        Mode::Watch => Some(Watch::start(sources.all().map(|it| it.root()))?),
        _ => None,
    };
    let went = Run::new(options, &session, "dev").once().go(plan::into(&swaps)).await;
    let begun = recorded(&swaps).await;
    if let Err(error) = went {
        return Err(undo_failed(options, &session, begun, error).await);
    }
    drop(lock);
    let hands_on = hands_on.and_then(|index| targets.get(index).zip(begun.get(index)));
    let _tunnel = match (entrance, hands_on) {
        (Some(entrance), Some((target, _))) => Some(entrance.lead_to(&target.container)?),
        _ => None,
    };
    report(&session, &sources, &swaps).await;
    if let (Some(debug), Some((target, swap))) = (asked.debug, hands_on) {
        ui::out::text(&debugger(&session, asked, target, swap, debug)?.explain()?)?;
    }
    let works: Vec<Arc<Work>> = swaps.iter().map(|swap| Arc::clone(&swap.work)).collect();
    let ended = match (asked.mode, hands_on) {
        (Mode::Detached, _) => return Ok(()),
        (Mode::Terminal, Some((target, swap))) => terminal::run(options, target, swap).await,
        _ => foreground::follow(options, &session, &works, watch).await,
    };
    // However it ended.
    bring_back(options, &session, begun).await.and(ended)
}

/// What cannot be meant.
fn refuse_unclear(asked: &Asked) -> Result<()> {
    let refused = |reason: &str, hint: &str| {
        Err(Error::new(ErrorKind::Usage, "swap units").because(reason.to_owned()).hint(hint))
    };
    if asked.unit.is_some() && asked.from.len() > 1 {
        return refused(
            "several checkouts were given for one",
            "Without UNIT, each service runs from its own; `--lib PATH` adds a library.",
        );
    }
    if (asked.reference.is_some() || asked.change.is_some()) && asked.from.len() > 1 {
        return refused(
            "--ref and --change are of one repository",
            "Make work trees of the others, and give these.",
        );
    }
    Ok(())
}

/// The swaps as they are by now, in the order in which they start.
async fn recorded(swaps: &[Arc<SwapIn>]) -> Vec<Swap> {
    let mut recorded = Vec::new();
    for swap in swaps {
        recorded.push(swap.work.swap().await);
    }
    recorded
}

/// Which of the units a debugger or the terminal is for.
fn hands_on(cloud: &Cloud, asked: &Asked, targets: &[Target]) -> Result<Option<usize>> {
    if asked.debug.is_none() && asked.mode != Mode::Terminal {
        return Ok(None);
    }
    let failed = || Error::new(ErrorKind::Usage, "choose the unit to be debugged");
    let Some(name) = &asked.hands_on else {
        let names: Vec<&str> = targets.iter().map(Target::label).collect();
        return match targets {
            [_] => Ok(Some(0)),
            _ => Err(failed().because("several are swapped").hint(format!(
                "Say which: `--debug UNIT` or `--pdb UNIT`; they are {}.",
                names.join(", ")
            ))),
        };
    };
    let wanted = target::find(cloud, name, None)?;
    let is = |it: &Target| it.is_of_kind(&wanted.container.kind, &wanted.unit);
    let found = targets.iter().position(is);
    found.map(Some).ok_or_else(|| failed().because(format!("{} is not swapped", wanted.label())))
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
