//! While a swap lasts that ends with this command: its log, and restarts.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::steps::Work;
use super::watch::{Saved, Watch};
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

/// Shows the unit's log until Ctrl-C. Ends early when somebody else undoes the swap or takes it over.
pub async fn follow(
    options: &Options,
    session: &Session,
    work: &Arc<Work>,
    mut watch: Option<Watch>,
) -> Result<()> {
    let swap = &work.swap().await;
    show_log(options, swap)?;
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
            change = saved(watch.as_mut()) => {
                super::watch::restart(options, session, work, &change).await?;
            }
            () = tokio::time::sleep(POLL) => {
                if !swaps::is_recorded(&options.paths, swap)? {
                    ui::out::note(&format!("{} is somebody else's now.", swap.label()));
                    return Ok(());
                }
            }
        }
    }
}

/// The next saved file; never without a watch.
async fn saved(watch: Option<&mut Watch>) -> Saved {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

/// Prints what the unit says, on a thread that ends with the process.
fn show_log(options: &Options, swap: &Swap) -> Result<()> {
    let topology = Topology::load(&options.paths)?;
    let container = topology.select_one(&swap.container)?;
    let query = Query {
        machine_ids: vec![container.machine_id.clone()],
        follow: true,
        since: Some(format!("@{}", swap.began)),
        ..Query::default()
    };
    let directory = options.paths.journal_dir();
    let unit = swap.label().to_owned();
    std::thread::spawn(move || {
        let writer = Writer::new(topology.containers());
        let ended = read(&directory, &query, |entry| {
            if entry.unit == unit {
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
