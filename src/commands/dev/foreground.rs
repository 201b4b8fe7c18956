//! While swaps last that end with this command: their logs, and restarts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::concerned::Saved;
use super::steps::Work;
use super::watch::Watch;
use crate::cloud::Session;
use crate::cloud::run::Options;
use crate::error::{Result, ResultExt};
use crate::host::journal::{Query, read};
use crate::model::swap::Swap;
use crate::state::swaps;
use crate::state::topology::Topology;
use crate::ui;
use crate::ui::journal::Writer;

/// How often it is looked whether the swap is still this command's.
const POLL: Duration = Duration::from_secs(1);

/// Shows the units' logs until Ctrl-C. Ends early when somebody else has undone the swaps or taken them
/// over.
pub async fn follow(
    options: &Options,
    session: &Session,
    works: &[Arc<Work>],
    mut watch: Option<Watch>,
) -> Result<()> {
    let mut swaps = Vec::new();
    for work in works {
        swaps.push(work.swap().await);
    }
    show_log(options, &swaps)?;
    let doing = || "wait for Ctrl-C".to_owned();
    let mut interrupt = signal(SignalKind::interrupt()).doing(doing)?;
    let mut terminate = signal(SignalKind::terminate()).doing(doing)?;
    let mut hang_up = signal(SignalKind::hangup()).doing(doing)?;
    ui::out::note("Ctrl-C brings the package back.");
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
            () = super::terminal::lost() => return Ok(()),
            saved = saved(watch.as_mut()) => {
                super::watch::restart(options, session, works, &saved).await?;
            }
            () = tokio::time::sleep(POLL) => {
                let recorded = swaps::load(&options.paths)?;
                let is_own = |swap: &Swap| recorded.iter().any(|it| it.id == swap.id);
                for swap in swaps.extract_if(.., |swap| !is_own(swap)) {
                    ui::out::note(&format!("{} is somebody else's now.", swap.label()));
                }
                if swaps.is_empty() {
                    return Ok(());
                }
            }
        }
    }
}

/// The next saved files; never without a watch.
async fn saved(watch: Option<&mut Watch>) -> Vec<Saved> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

/// Prints what the units say, on a thread that ends with the process.
fn show_log(options: &Options, swaps: &[Swap]) -> Result<()> {
    let topology = Topology::load(&options.paths)?;
    let mut shown = BTreeSet::new();
    for swap in swaps {
        let machine_id = topology.select_one(&swap.container)?.machine_id.clone();
        shown.insert((machine_id, swap.label().to_owned()));
    }
    let query = Query {
        machine_ids: shown.iter().map(|(machine_id, _)| machine_id.clone()).collect(),
        follow: true,
        since: swaps.first().map(|swap| format!("@{}", swap.began)),
        ..Query::default()
    };
    let directory = options.paths.journal_dir();
    std::thread::spawn(move || {
        let writer = Writer::new(topology.containers());
        let ended = read(&directory, &query, |entry| {
            if shown.contains(&(entry.machine_id.clone(), entry.unit.clone())) {
                ui::out::line(&writer.line(&entry))?;
            }
            Ok(!ui::out::closed())
        });
        if let Err(error) = ended {
            ui::error::report(&error);
        }
    });
    Ok(())
}
