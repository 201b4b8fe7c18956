//! What runs from where: observed, not remembered.

use serde::Serialize;

use super::source::reader::CheckoutReader;
use super::steps::{Observed, observe};
use super::{holder, target};
use crate::cloud::Session;
use crate::cloud::open::Access;
use crate::cloud::run::Options;
use crate::error::Result;
use crate::model::swap::{Stage, Swap};
use crate::state::swaps;

/// One swap as it is seen now.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    pub service: String,
    pub unit: String,
    pub container: String,
    pub kind: String,
    pub member: u32,
    /// What its process runs.
    pub observed: Observed,
    /// The service's checkout first, libraries after it.
    pub checkouts: Vec<ListedCheckout>,
    /// Those that one `aio dev` began together have the same.
    pub transaction: String,
    /// When it began, in seconds since the epoch.
    pub since: u64,
    /// Whether it outlives a restart of the container.
    pub keep: bool,
    /// The process that undoes it when it ends, while it lives.
    pub held_by: Option<u32>,
    pub standby: Vec<String>,
    /// The databases of its service as they were before.
    pub dump: Option<std::path::PathBuf>,
    /// What is not as it should be, and what to do.
    pub problem: Option<String>,
}

/// A checkout as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct ListedCheckout {
    pub path: std::path::PathBuf,
    /// The branch; none when detached.
    pub branch: Option<String>,
    pub commit: Option<String>,
    /// Whether it has uncommitted changes; none when it cannot be read any more.
    pub dirty: Option<bool>,
}

/// Every swap of the cloud, those that began together beside one another, in the order in which they
/// started.
pub async fn list(options: &Options) -> Result<Vec<Listed>> {
    let session = Session::recorded(&options.paths, Access::Look).await?;
    let mut listed = Vec::new();
    let cloud = &session.site.cloud;
    let mut swaps = swaps::load(&options.paths)?;
    swaps.sort_by_cached_key(|it| {
        let place = target::place(cloud, &it.service, &it.unit, &it.container);
        (it.began, it.transaction.clone(), place)
    });
    for swap in swaps {
        let observed =
            observe(&session.host, &options.paths.shared_dir(&swap.container), &swap).await?;
        let point = super::prepare::restore_point(&session, &swap.service).ok();
        let dump = point.and_then(|point| point.file());
        listed.push(row(swap, observed, dump));
    }
    Ok(listed)
}

fn row(swap: Swap, observed: Observed, dump: Option<std::path::PathBuf>) -> Listed {
    let held = swap.holder.filter(|holder| holder::is_alive(*holder));
    let checkouts: Vec<ListedCheckout> = swap.checkouts.iter().map(checkout).collect();
    let gone = checkouts.iter().find(|checkout| checkout.dirty.is_none());
    let gone = gone.map(|it| format!("{} is no longer a checkout", it.path.display()));
    let problem = problem(&swap, observed, held.is_some()).or(gone);
    Listed {
        service: swap.service.clone(),
        unit: swap.label().to_owned(),
        transaction: swap.transaction.clone(),
        checkouts,
        container: swap.container,
        kind: swap.kind,
        member: swap.member,
        observed,
        since: swap.began,
        keep: swap.keep,
        held_by: held.map(|holder| holder.pid),
        standby: swap.standby,
        dump,
        problem,
    }
}

fn checkout(checkout: &crate::model::swap::Checkout) -> ListedCheckout {
    let now = CheckoutReader::find(&checkout.path).and_then(|reader| reader.state()).ok();
    ListedCheckout {
        path: checkout.path.clone(),
        branch: now.as_ref().and_then(|tree| tree.branch.clone()),
        commit: now.as_ref().and_then(|tree| tree.commit.as_ref().map(|it| it.id.clone())),
        dirty: now.map(|tree| tree.dirty),
    }
}

/// What a user should know, in the order of urgency.
fn problem(swap: &Swap, observed: Observed, held: bool) -> Option<String> {
    let restore = format!("`aio dev {} --restore` clears it up", swap.full_name());
    if swap.stage != Stage::Serving && !held {
        return Some(format!("the swap was interrupted; {restore}"));
    }
    match observed {
        Observed::Package { .. } if swap.stage == Stage::Serving => {
            Some(format!("the container was restarted and runs the package; {restore}"))
        }
        Observed::Stopped if !swap.keep => {
            Some(format!("the container is stopped and comes back as packaged; {restore}"))
        }
        Observed::Nothing if swap.stage == Stage::Serving => {
            Some("its process does not run: `aio logs` says why".to_owned())
        }
        _ if swap.holder.is_some() && !held => {
            Some(format!("the `aio dev` that held it is gone; {restore}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::swap::Holder;
    use crate::model::swap::tests::swap;

    #[test]
    fn what_is_wrong_is_said_and_what_is_right_is_not() {
        let serving = Swap { stage: Stage::Serving, ..swap() };
        let runs = Observed::Checkout { pid: 7 };
        assert_eq!(problem(&serving, runs, false), None);
        let restarted = problem(&serving, Observed::Package { pid: 7 }, false).unwrap();
        assert!(restarted.contains("restarted") && restarted.contains("heat-engine --restore"));
        let begun = Swap { stage: Stage::Begun, ..swap() };
        assert!(problem(&begun, runs, false).unwrap().contains("interrupted"));
        assert_eq!(problem(&begun, runs, true), None);
        let holder = Some(Holder { pid: 1, started: 2 });
        let orphan = Swap { holder, ..serving.clone() };
        assert!(problem(&orphan, runs, false).unwrap().contains("is gone"));
        let kept = Swap { keep: true, ..serving };
        assert_eq!(problem(&kept, Observed::Stopped, false), None);
    }
}
