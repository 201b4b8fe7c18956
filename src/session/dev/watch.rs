//! Saved files of a swap's checkouts, and the restart that follows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::dev::source::checkout::{Checkout, IgnoreTest};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::swap::Swap;
use crate::plan;
use crate::session::Session;
use crate::session::run::{self, Options};
use crate::steps::swap::Work;
use crate::ui;

/// What is saved within this time of one another is one change: editors write several files, and
/// rename them.
const TOGETHER: Duration = Duration::from_millis(60);

/// The limit of the host that a watch of a large tree can meet.
const LIMIT_FILE: &str = "/proc/sys/fs/inotify/max_user_watches";

/// A watch of the checkouts of one swap.
pub struct Watch {
    /// Ends with this value.
    _debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    saved: UnboundedReceiver<PathBuf>,
    trees: Vec<(PathBuf, IgnoreTest)>,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// When a checkout cannot be read, or the host's limits are too low.
    pub fn start(swap: &Swap) -> Result<Self> {
        let (sender, saved) = unbounded_channel();
        let mut debouncer = new_debouncer(TOGETHER, None, move |result: DebounceEventResult| {
            let events = result.unwrap_or_default();
            let changes = events.into_iter().filter(|event| is_change(event.kind));
            for path in changes.flat_map(|event| event.event.paths) {
                // Nobody listens any more when the command ends.
                let _ = sender.send(path);
            }
        })
        .map_err(|error| Error::new(ErrorKind::Host, "watch files").because(error))?;
        let mut trees = Vec::new();
        for checkout in &swap.checkouts {
            let doing = || format!("watch {}", checkout.path.display());
            refuse_small_limits(&checkout.path)?;
            debouncer.watch(&checkout.path, RecursiveMode::Recursive).doing(doing)?;
            let ignored = Checkout::inspect(&checkout.path)?.ignore_test()?;
            trees.push((checkout.path.clone(), ignored));
        }
        Ok(Self { _debouncer: debouncer, saved, trees })
    }

    /// Waits for the next saved file; those saved together with it are not reported again.
    pub async fn next(&mut self) -> String {
        loop {
            let Some(path) = self.saved.recv().await else {
                return std::future::pending().await;
            };
            if let Some(name) = self.source(&path) {
                while self.saved.try_recv().is_ok() {}
                return name;
            }
        }
    }

    /// The path below its checkout, if it is a file of it and not what an editor or Python leaves.
    fn source(&self, path: &Path) -> Option<String> {
        let name = path.file_name()?.to_str()?;
        let of_editor = name.starts_with('.') || name.ends_with('~') || name == "4913";
        if of_editor || name.ends_with(".pyc") || path.is_dir() {
            return None;
        }
        let (root, ignored) = self.trees.iter().find(|(root, _)| path.starts_with(root))?;
        let inside = path.strip_prefix(root).ok()?;
        (!ignored.is_ignored(path)).then(|| inside.display().to_string())
    }
}

/// Opening and reading is no change; nor is a new time of access.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Remove(_) => true,
        EventKind::Modify(what) => !matches!(what, ModifyKind::Metadata(_)),
        _ => false,
    }
}

/// Every directory takes one watch of the host's.
///
/// # Errors
/// [`ErrorKind::Host`] when the limit is lower than that.
pub fn refuse_small_limits(root: &Path) -> Result<()> {
    let limit = std::fs::read_to_string(LIMIT_FILE).ok();
    let Some(limit) = limit.and_then(|text| text.trim().parse::<u64>().ok()) else {
        return Ok(());
    };
    let needed = directories(root);
    if needed <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Host, format!("watch {}", root.display()))
        .because(format!(
            "it has {needed} directories, and the host allows {limit} inotify watches"
        ))
        .hint(format!("`sysctl -w fs.inotify.max_user_watches={}` allows more.", needed * 2)))
}

fn directories(root: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(root) else { return 0 };
    let below = entries.flatten().filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
    1 + below.map(|entry| directories(&entry.path())).sum::<u64>()
}

/// Restarts the unit because a file was saved. A checkout that does not start is told of, and the
/// next change tries again.
pub async fn restart(
    options: &Options,
    session: &Session,
    work: &Arc<Work>,
    saved: &str,
) -> Result<()> {
    let started = Instant::now();
    let swap = work.swap().await;
    ui::out::note(&format!("{saved} was saved: restarting {}", swap.label()));
    let _lock = run::lock(options, "dev --watch")?;
    if !super::is_recorded(&options.paths, &swap)? {
        return Ok(());
    }
    let quiet = Options { wish: ui::Wish { quiet: true, ..options.wish }, ..options.clone() };
    match run::run_once(&quiet, session, "dev --watch", plan::swap::again(swap.label(), work)).await
    {
        Ok(_) => {
            let seconds = started.elapsed().as_secs_f64();
            ui::out::note(&format!("{} serves again after {seconds:.1} s", swap.label()));
        }
        Err(error) => {
            ui::error::report(&error);
            ui::out::note("Save a mended file to try again; Ctrl-C brings the package back.");
        }
    }
    Ok(())
}
