//! The ways back from a swap: asked for, at its end, and of what is left of one that ended by itself.

use std::sync::Arc;

use super::asked::Undone;
use super::data::{Changes, Fate};
use super::plan::{self, Back};
use super::steps::is_published;
use super::{prepare, target};
use crate::cloud::Session;
use crate::cloud::open::Access;
use crate::cloud::require_root;
use crate::cloud::run::{self, Options, Run};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::swap::{Stage, Swap};
use crate::state::swaps;
use crate::steps::site::run_script;
use crate::ui;

/// Undoes swaps: that of one unit, or all.
///
/// # Errors
/// When data would be lost and nobody agrees, when the package could not run on data that are to stay
/// (both before anything changes), or when the package does not serve.
pub async fn restore(options: &Options, undone: &Undone) -> Result<()> {
    require_root("dev")?;
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let _lock = run::lock(options, "dev --restore")?;
    let mut swaps = swaps::load(&options.paths)?;
    if let Some(name) = &undone.unit {
        let targets = target::named(&session.site.cloud, name, undone.member)?;
        swaps.retain(|swap| {
            let is_member = undone.member.is_none_or(|member| swap.member == member);
            is_member && targets.iter().any(|it| it.is_of_kind(&swap.kind, &swap.unit))
        });
        if swaps.is_empty() && undone.fate == Fate::Back {
            // They were undone before, without their databases.
            swaps.extend(targets.iter().map(prepare::packaged));
        } else if swaps.is_empty() {
            ui::out::note(&format!("{name} runs as packaged."));
        }
    } else if swaps.is_empty() {
        ui::out::note("Everything runs as packaged.");
    }
    for mut swaps in by_service(swaps) {
        agree(options, &session, undone, &mut swaps).await?;
        undo(options, &session, &swaps, undone.fate).await?;
    }
    Ok(())
}

/// Those of a service go together, with its databases.
fn by_service(swaps: Vec<Swap>) -> Vec<Vec<Swap>> {
    let mut groups: Vec<Vec<Swap>> = Vec::new();
    for swap in swaps {
        match groups.iter_mut().find(|group| group.iter().any(|it| it.service == swap.service)) {
            Some(group) => group.push(swap),
            None => groups.push(vec![swap]),
        }
    }
    groups
}

/// Says what becomes of the databases, and asks before something is lost. Other checkouts of the
/// service are undone too where its databases go back: they could not go on.
async fn agree(
    options: &Options,
    session: &Session,
    undone: &Undone,
    swaps: &mut Vec<Swap>,
) -> Result<()> {
    let Some(first) = swaps.first().cloned() else { return Ok(()) };
    let service = first.service.clone();
    let point = prepare::restore_point(session, &service)?;
    let Some(changes) = point.changes(&session.context(), &session.site).await? else {
        if undone.fate != Fate::Back {
            return Ok(());
        }
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("bring back the databases of {service}"),
        )
        .because("those of before were not kept"));
    };
    if undone.fate == Fate::Stay {
        // While others of the service run from checkouts, nothing goes back.
        return if are_last(options, swaps)? {
            refuse_unfit(session, &first, &changes).await
        } else {
            Ok(())
        };
    }
    if undone.fate == Fate::AsNeeded && changes.are_harmless() {
        return Ok(());
    }
    let others = swaps::of_service(&options.paths, &service)?;
    let others: Vec<Swap> =
        others.into_iter().filter(|it| swaps.iter().all(|swap| swap.id != it.id)).collect();
    let mut question = format!("The databases of {service} go back to what they were before");
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(Swap::full_name).collect();
        question.push_str(&format!(", and with them {}", names.join(", ")));
    }
    question.push_str(&format!(": {}. Go on?", changes.describe()));
    let loses = !changes.written.is_empty() || !others.is_empty();
    ui::prompt::confirm(&question, undone.yes || !loses)?;
    swaps.extend(others);
    Ok(())
}

/// Refuses data that the package could not run on. Where only revisions and new tables are others, it
/// says so itself, in the set-up that every `bootstrap` may run again.
async fn refuse_unfit(session: &Session, swap: &Swap, changes: &Changes) -> Result<()> {
    if changes.are_harmless() {
        return Ok(());
    }
    let service = &swap.service;
    let refused = || {
        Error::new(ErrorKind::Refused, format!("leave the databases of {service} as they are"))
            .hint(format!(
                "`aio dev {} --restore` brings back those of before; the checkout still runs.",
                swap.full_name()
            ))
    };
    if changes.unfit {
        return Err(refused().because(changes.why()));
    }
    let Some(schema) = prepare::packaged_schema(session, swap)? else { return Ok(()) };
    let context = session.context();
    let ran = run_script(&context, &swap.container, &schema.title, schema.command).await;
    ran.map(drop).map_err(|error| {
        refused()
            .because("the package cannot run on them")
            .because(error.to_string())
            .output(error.output.unwrap_or_default())
    })
}

/// Undoes those swaps that are still recorded: nobody undid them or took them over. What fails keeps
/// none of another service from being undone.
pub(super) async fn bring_back(
    options: &Options,
    session: &Session,
    mut swaps: Vec<Swap>,
) -> Result<()> {
    let _lock = run::lock(options, "dev --restore")?;
    undo_recorded(options, session, &mut swaps).await
}

/// As [`bring_back`], with the cloud's lock held. Leaves in `swaps` which those were.
async fn undo_recorded(options: &Options, session: &Session, swaps: &mut Vec<Swap>) -> Result<()> {
    let recorded = swaps::load(&options.paths)?;
    swaps.retain(|swap| recorded.iter().any(|it| it.id == swap.id));
    let mut failed = None;
    for swaps in by_service(swaps.clone()) {
        if let Err(error) = undo(options, session, &swaps, Fate::AsNeeded).await {
            match failed {
                None => failed = Some(error),
                Some(_) => ui::error::report(&error),
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Undoes what is left of swaps that ended by themselves: their container was restarted, or the
/// `aio` that made them was killed half-way.
pub async fn settle(options: &Options) -> Result<()> {
    if swaps::load(&options.paths)?.is_empty() {
        return Ok(());
    }
    let session = Session::recorded(&options.paths, Access::Change).await?;
    let _lock = run::lock(options, "dev --restore")?;
    let mut left = Vec::new();
    // Again: someone who was making one held the lock.
    for swap in swaps::load(&options.paths)? {
        if session.site.cloud.container(&swap.container).is_some() {
            left.push(swap);
            continue;
        }
        swaps::forget(&options.paths, &swap)?;
        if swaps::of_service(&options.paths, &swap.service)?.is_empty() {
            put_back_after(&session, &swap.service).await?;
        }
    }
    clear_up(options, &session, left).await
}

/// After the last swap of a service went with its container.
async fn put_back_after(session: &Session, service: &str) -> Result<()> {
    // With the service its databases went.
    let Ok(point) = prepare::restore_point(session, service) else { return Ok(()) };
    let context = session.context();
    let changes = point.changes(&context, &session.site).await?;
    if let Some(changes) = changes.filter(|changes| !changes.are_harmless()) {
        ui::out::note(&changes.going_back(service));
        point.put_back(&context, &session.site).await?;
    }
    point.remove()
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
    for swaps in by_service(swaps.clone()) {
        let Some(first) = swaps.first().filter(|_| are_last(options, &swaps).unwrap_or(true))
        else {
            continue;
        };
        let point = prepare::restore_point(&session, &first.service)?;
        // Databases that do not answer are told of below.
        let changes = point.changes(&session.context(), &session.site).await.ok().flatten();
        if let Some(changes) = changes.filter(|changes| !changes.are_harmless()) {
            ui::out::note(&changes.going_back(&first.service));
        }
    }
    let question = format!("{}: {doing} brings it back as packaged. Go on?", described.join(", "));
    ui::prompt::confirm(&question, yes)?;
    let _lock = run::lock(options, "dev --restore")?;
    let mut recorded = Vec::new();
    for swap in swaps {
        if swaps::is_recorded(&options.paths, &swap)? {
            recorded.push(swap);
        }
    }
    for swaps in by_service(recorded) {
        if answers(&session).await {
            undo(options, &session, &swaps, Fate::AsNeeded).await?;
            continue;
        }
        // A broken cloud can be stopped, too.
        let Some(first) = swaps.first() else { continue };
        ui::out::note(&format!(
            "The databases do not answer, and stay as they are: `aio dev {} --restore --restore-db` \
             brings back those of before.",
            first.full_name()
        ));
        let how = Back { at_once: true, healthy: false };
        let steps = steps(options, &session, &swaps, Fate::Stay, how)?;
        Run::new(options, &session, "dev --restore").patiently().go(steps).await?;
    }
    Ok(())
}

/// Whether the databases do.
async fn answers(session: &Session) -> bool {
    session.site.sql(&session.context(), "SELECT 1").await.is_ok()
}

/// Undoes what killed processes or restarted containers left of swaps; those that are in force stay.
pub(super) async fn clear_up(
    options: &Options,
    session: &Session,
    mut swaps: Vec<Swap>,
) -> Result<()> {
    swaps.retain(|swap| !is_in_force(options, swap));
    for swaps in by_service(swaps) {
        let Some(first) = swaps.first() else { continue };
        let labels: Vec<&str> = swaps.iter().map(Swap::label).collect();
        let labels = labels.join(", ");
        let kept = prepare::restore_point(session, &first.service)?.file().is_some();
        if kept && !answers(session).await {
            ui::out::note(&format!(
                "The swap of {labels} ended by itself; it is cleared up when the databases serve again."
            ));
            continue;
        }
        ui::out::note(&format!("The swap of {labels} ended by itself: clearing it up."));
        let how = Back { at_once: true, healthy: false };
        let steps = steps(options, session, &swaps, Fate::AsNeeded, how)?;
        Run::new(options, session, "dev --restore").go(steps).await?;
    }
    Ok(())
}

/// With the cloud's lock held. All are of one service.
async fn undo(options: &Options, session: &Session, swaps: &[Swap], fate: Fate) -> Result<()> {
    let Some(swap) = swaps.first() else { return Ok(()) };
    // What ended by itself is no reason to leave the databases as they are.
    let mut ended = swaps::of_service(&options.paths, &swap.service)?;
    ended.retain(|it| {
        let there = session.site.cloud.container(&it.container).is_some();
        there && !is_in_force(options, it) && swaps.iter().all(|swap| swap.id != it.id)
    });
    let swaps = [swaps, &ended].concat();
    let how = Back { at_once: goes_back(session, &swap.service, fate).await, healthy: true };
    let steps = steps(options, session, &swaps, fate, how)?;
    let run = Run::new(options, session, "dev --restore").patiently();
    let Err(error) = run.go(steps).await else { return Ok(()) };
    if !are_last(options, &swaps)? {
        return Err(error.hint(format!(
            "Others of {} still run from checkouts, on databases that may not be fit for the package: \
             `aio dev --restore --all` undoes all.",
            swap.service
        )));
    }
    if fate == Fate::AsNeeded && prepare::restore_point(session, &swap.service)?.file().is_some() {
        return Err(error.hint(format!(
            "If it is for what the checkout wrote: `aio dev {} --restore --restore-db` brings back the \
             databases of before.",
            swap.full_name()
        )));
    }
    Err(error)
}

/// Whether a service's databases may go back: what cannot be told, may be.
async fn goes_back(session: &Session, service: &str, fate: Fate) -> bool {
    if fate == Fate::Stay {
        return false;
    }
    let Ok(point) = prepare::restore_point(session, service) else { return true };
    match point.changes(&session.context(), &session.site).await {
        Ok(changes) => changes.is_some_and(|it| fate == Fate::Back || !it.are_harmless()),
        Err(_) => true,
    }
}

/// Whether a swap's checkout runs, or will when its container starts.
fn is_in_force(options: &Options, swap: &Swap) -> bool {
    let published = is_published(&options.paths.shared_dir(&swap.container), swap);
    swap.stage == Stage::Serving && (published || swap.keep)
}

fn steps(
    options: &Options,
    session: &Session,
    swaps: &[Swap],
    fate: Fate,
    how: Back,
) -> Result<Vec<Step>> {
    // The last one that ends brings the databases back: others still use them.
    let fate = if are_last(options, swaps)? { fate } else { Fate::Stay };
    let mut works = Vec::new();
    for swap in in_order(&session.site.cloud, swaps) {
        works.push(Arc::new(prepare::back(session, swap, swaps, fate, how.healthy)?));
    }
    Ok(plan::back(&session.site.cloud, &works, how))
}

/// Whether nothing else of their service runs from a checkout.
fn are_last(options: &Options, swaps: &[Swap]) -> Result<bool> {
    let service = swaps.first().map(|swap| swap.service.as_str()).unwrap_or_default();
    let all = swaps::of_service(&options.paths, service)?;
    Ok(all.iter().all(|it| swaps.iter().any(|swap| swap.id == it.id)))
}

/// Those first that start first.
fn in_order<'a>(cloud: &Cloud, swaps: &'a [Swap]) -> Vec<&'a Swap> {
    let mut ordered: Vec<&Swap> = swaps.iter().collect();
    ordered.sort_by_key(|it| target::place(cloud, &it.service, &it.unit, &it.container));
    ordered
}

/// After swaps that failed: the packages serve again, and the error says so.
pub(super) async fn undo_failed(
    options: &Options,
    session: &Session,
    mut begun: Vec<Swap>,
    error: Error,
) -> Error {
    let undone = undo_recorded(options, session, &mut begun).await;
    let Some(first) = begun.first() else { return error.hint("Nothing was changed.") };
    match undone {
        Ok(()) => error.hint(format!("{} as packaged again.", serve(&begun))),
        Err(undoing) => {
            let name = if begun.len() > 1 { first.service.clone() } else { first.full_name() };
            error
                .because(format!("and it could not be undone: {undoing}"))
                .hint(format!("`aio dev {name} --restore` tries again to bring the package back."))
        }
    }
}

/// `heat-engine serves`, `5 units of nova and neutron serve`.
fn serve(swaps: &[Swap]) -> String {
    if let [swap] = swaps {
        return format!("{} serves", swap.label());
    }
    let mut services: Vec<&str> = swaps.iter().map(|swap| swap.service.as_str()).collect();
    services.dedup();
    format!("{} units of {} serve", swaps.len(), services.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Profiles;
    use crate::model::swap::tests::swap;
    use crate::render::testing::builtin_cloud;

    fn of(service: &str, kind: &str) -> Swap {
        let unit = format!("{}.service", kind.replace('_', "-"));
        Swap { service: service.to_owned(), kind: kind.to_owned(), unit, ..swap() }
    }

    #[test]
    fn swaps_of_a_service_go_together_in_the_order_in_which_they_start() {
        let swaps = vec![
            of("nova", "nova_compute"),
            of("heat", "heat_engine"),
            of("nova", "nova_conductor"),
            of("nova", "nova_scheduler"),
        ];
        let groups = by_service(swaps);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
        let profiles = Profiles::built_in().unwrap();
        let cloud = builtin_cloud(&profiles, &profiles.scenarios["default"]);
        let ordered = in_order(&cloud, &groups[0]);
        let kinds: Vec<&str> = ordered.iter().map(|swap| swap.kind.as_str()).collect();
        assert_eq!(kinds, ["nova_conductor", "nova_scheduler", "nova_compute"]);
    }
}
