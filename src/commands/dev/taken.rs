//! Units that run from a checkout already, where others are to be swapped.

use super::asked::Asked;
use super::holder;
use super::restore::clear_up;
use super::steps::is_published;
use super::target::Target;
use crate::cloud::Session;
use crate::cloud::run::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::host::ContainerState;
use crate::model::cloud::Cloud;
use crate::model::paths::Paths;
use crate::model::swap::{Stage, Swap};
use crate::model::topology;
use crate::state::swaps;

/// Refuses units that cannot be swapped now, and returns the swaps that are to be replaced.
pub async fn refuse_taken(
    options: &Options,
    session: &Session,
    asked: &Asked,
    targets: &[Target],
) -> Result<Vec<Swap>> {
    let mut former = Vec::new();
    for target in targets {
        let name = &target.container.name;
        if session.host.containers.state(name).await? == ContainerState::Stopped {
            return Err(Error::new(ErrorKind::NotFound, format!("swap {}", target.label()))
                .because(format!("container `{name}` is not running"))
                .hint(format!("`aio start {name}` starts it.")));
        }
        alone(options, &session.site.cloud, target, targets)?;
        former.extend(free(options, target, asked.take_over)?);
    }
    Ok(former)
}

/// Clears up what is left of swaps that ended by themselves.
///
/// # Errors
/// When the siblings of one in force, which stand by for it, are to be swapped too: its end decides about
/// the databases, which is not to be done in passing.
pub async fn make_room(
    options: &Options,
    session: &Session,
    former: Vec<Swap>,
    targets: &[Target],
) -> Result<()> {
    let is_target = |name: &String| targets.iter().any(|target| target.container.name == *name);
    let alone = former.iter().find(|swap| swap.standby.iter().any(is_target));
    if let Some(swap) = alone.filter(|swap| is_alive(&options.paths, swap)) {
        return Err(Error::new(ErrorKind::Busy, format!("swap the siblings of {}", swap.label()))
            .because("they stand by while it runs from a checkout")
            .hint(format!("`aio dev {} --restore` brings its package back.", swap.full_name())));
    }
    clear_up(options, session, former).await
}

/// One member of those that a frontend balances serves alone: two cannot, unless they are swapped
/// together.
fn alone(options: &Options, cloud: &Cloud, target: &Target, targets: &[Target]) -> Result<()> {
    let kind = &target.container.kind;
    let swaps = swaps::load(&options.paths)?;
    let is_target = |swap: &Swap| {
        let mut same = targets.iter().filter(|it| it.is_of_kind(&swap.kind, &swap.unit));
        same.any(|it| it.container.name == swap.container)
    };
    let other =
        swaps.iter().find(|swap| target.is_of_kind(&swap.kind, &swap.unit) && !is_target(swap));
    let Some(other) = other.filter(|_| cloud.is_balanced(kind)) else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Busy,
        format!("swap {} of {}", target.label(), target.container.label()),
    )
    .because(format!("{} runs from a checkout", topology::label(kind, other.member)))
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
