//! `aio rebuild`: containers thrown away and made anew.

use crate::cloud::open::Access;
use crate::cloud::run;
use crate::cloud::run::{Options, Run};
use crate::cloud::{Session, opened, recorded, require_root, secrets};
use crate::commands::dev;
use crate::error::{Error, ErrorKind, Result};
use crate::host::ContainerState;
use crate::model::topology::Container;
use crate::plan::{bootstrap, change};
use crate::state::upgrade;
use crate::ui;

#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Drop their data as well.
    pub data: bool,
    /// Even if they are the last copy.
    pub force: bool,
    /// Do not ask before a unit that runs from a checkout comes back as packaged.
    pub yes: bool,
}

/// # Errors
/// [`ErrorKind::Refused`] when the last copy of data would go and `force` is not set.
pub async fn rebuild(options: &Options, names: &[String], wanted: Wanted) -> Result<()> {
    require_root("rebuild")?;
    let Wanted { data, force, yes } = wanted;
    upgrade::refuse_returning(&options.paths, "rebuild containers of")?;
    dev::release(options, names, "a rebuild", yes).await?;
    let session = Session::recorded(&options.paths, Access::Change).await?;
    // What is made anew gets the new values, while the others have the old ones.
    if let Some(note) = secrets::note(&session.site.unapplied) {
        ui::out::note(&note);
    }
    let targets = session.select(names)?;
    let _lock = run::lock(options, "rebuild")?;
    if data && !force {
        for target in &targets {
            refuse_last_copy(&session, target, &targets).await?;
        }
    }
    let session = of_one_piece(options, session, &targets).await?;
    let (_, renderer) = opened::renderer(&session, &session.site.cloud)?;
    for wave in waves(session.select(names)?) {
        let steps = bootstrap::steps(&session.site, &renderer)?;
        let steps = change::rebuild(steps, &session.site, &wave, data);
        Run::new(options, &session, "rebuild").go(steps).await?;
    }
    Ok(())
}

/// What was renewed while it ran is made anew of the layers that it would have now.
async fn of_one_piece(
    options: &Options,
    session: Session,
    targets: &[Container],
) -> Result<Session> {
    if targets.iter().all(|target| target.renewed.is_none()) {
        return Ok(session);
    }
    let mut cloud = session.site.cloud.clone();
    for container in &mut cloud.containers {
        if targets.iter().any(|target| target.name == container.name) {
            container.make_whole();
        }
    }
    recorded::save(&options.paths, &cloud)?;
    Session::recorded(&options.paths, Access::Change).await
}

/// The first member of each kind, then the second, …: members of one kind are never away together.
fn waves(targets: Vec<Container>) -> Vec<Vec<Container>> {
    let mut waves: Vec<Vec<Container>> = Vec::new();
    for target in targets {
        let free = waves.iter_mut().find(|wave| wave.iter().all(|it| it.kind != target.kind));
        match free {
            Some(wave) => wave.push(target),
            None => waves.push(vec![target]),
        }
    }
    waves
}

/// Data that no other running member has is not dropped without being told twice.
async fn refuse_last_copy(
    session: &Session,
    target: &Container,
    targets: &[Container],
) -> Result<()> {
    if !target.data.iter().any(|data| data.precious && !data.keep) {
        return Ok(());
    }
    let cloud = &session.site.cloud;
    let clustered = cloud.kind(&target.kind).is_some_and(|(_, kind)| kind.cluster.is_some());
    if clustered {
        for member in cloud.members(&target.kind) {
            let goes_too = targets.iter().any(|other| other.name == member.name);
            let state = session.host.containers.state(&member.name).await?;
            if !goes_too && matches!(state, ContainerState::Running { .. }) {
                return Ok(());
            }
        }
    }
    let what = if clustered { "no other member runs" } else { "there is no other copy" };
    Err(Error::new(ErrorKind::Refused, format!("drop the data of `{}`", target.name))
        .because(what)
        .hint("Rebuild it without `--data` to keep the data, or add `--force` to lose them."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::tests::container;

    #[test]
    fn members_of_one_kind_go_one_after_another() {
        let targets = ["a/1", "b/1", "a/2"].map(container);
        let waves = waves(targets.to_vec());
        let labels: Vec<Vec<String>> =
            waves.iter().map(|wave| wave.iter().map(|it| it.label()).collect()).collect();
        assert_eq!(labels, [vec!["a/1", "b/1"], vec!["a/2"]]);
    }
}
