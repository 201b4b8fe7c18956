//! Saved files of a swap's checkouts, and the restart that follows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind};
use notify::{Config, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer_opt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::source::project::declares;
use super::source::reader::CheckoutReader;
use super::steps::Work;
use super::{plan, prepare};
use crate::cloud::Session;
use crate::cloud::run;
use crate::cloud::run::{Options, Run};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::descent;
use crate::model::swap::Swap;
use crate::state::swaps;
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
    trees: Vec<(PathBuf, CheckoutReader)>,
}

/// What was saved together.
pub struct Saved {
    /// The first file of it, below its checkout.
    file: String,
    /// Whether the project declares in it what it has.
    declares: bool,
}

impl Watch {
    pub fn start(swap: &Swap) -> Result<Self> {
        let (sender, saved) = unbounded_channel();
        let tell = move |result: DebounceEventResult| {
            let events = result.unwrap_or_default();
            let changes = events.into_iter().filter(|event| is_change(event.kind));
            for path in changes.flat_map(|event| event.event.paths) {
                // Nobody listens any more when the command ends.
                let _ = sender.send(path);
            }
        };
        // A link in a checkout may lead to all of the host.
        let inside = Config::default().with_follow_symlinks(false);
        let cache = RecommendedCache::new();
        let mut debouncer =
            new_debouncer_opt::<_, RecommendedWatcher, _>(TOGETHER, None, tell, cache, inside)
                .map_err(|error| Error::new(ErrorKind::Host, "watch files").because(error))?;
        let mut trees = Vec::new();
        for checkout in &swap.checkouts {
            let doing = || format!("watch {}", checkout.path.display());
            refuse_small_limits(&checkout.path)?;
            debouncer.watch(&checkout.path, RecursiveMode::Recursive).doing(doing)?;
            trees.push((checkout.path.clone(), CheckoutReader::find(&checkout.path)?));
        }
        Ok(Self { _debouncer: debouncer, saved, trees })
    }

    /// Waits for the next saved file; those saved together with it are not reported again.
    pub async fn next(&mut self) -> Saved {
        loop {
            let Some(path) = self.saved.recv().await else {
                return std::future::pending().await;
            };
            let mut together = vec![path];
            while let Ok(path) = self.saved.try_recv() {
                together.push(path);
            }
            if let Some(saved) = self.sources(together) {
                return saved;
            }
        }
    }

    /// Those of the paths that are files of their checkouts and not what an editor, git or Python
    /// leaves.
    fn sources(&self, paths: Vec<PathBuf>) -> Option<Saved> {
        let mut saved: Option<Saved> = None;
        for (root, reader) in &self.trees {
            let inside = paths.iter().filter_map(|path| path.strip_prefix(root).ok());
            let mut files: Vec<PathBuf> =
                inside.filter(|file| is_source(file)).map(Path::to_owned).collect();
            files.retain(|file| !root.join(file).is_dir());
            files.sort();
            files.dedup();
            if files.is_empty() {
                continue;
            }
            // What cannot be told is taken for a change.
            let ignored = reader.ignored(files.clone()).unwrap_or_default();
            let own = |index: &usize| !ignored.get(*index).copied().unwrap_or(false);
            for file in (0..files.len()).filter(own).filter_map(|index| files.get(index)) {
                let first = || Saved { file: file.display().to_string(), declares: false };
                saved.get_or_insert_with(first).declares |= declares(file);
            }
        }
        saved
    }
}

/// Whether a file may be a checkout's own by its name.
fn is_source(file: &Path) -> bool {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return false };
    let of_editor = name.starts_with('.') || name.ends_with('~') || name == "4913";
    let of_git = file.components().any(|part| part.as_os_str() == ".git");
    !of_editor && !of_git && !name.ends_with(".pyc")
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
    let mut count = 0;
    // One that cannot be read is not watched either, and whoever begins to watch says so.
    let _ = descent::walk(root, |entry| {
        count += u64::from(entry.kind.is_dir());
        Ok(())
    });
    count
}

/// Restarts the unit because a file was saved. A checkout that does not start is told of, and the
/// next change tries again.
pub async fn restart(
    options: &Options,
    session: &Session,
    work: &Arc<Work>,
    saved: &Saved,
) -> Result<()> {
    let started = Instant::now();
    let swap = work.swap().await;
    ui::out::note(&format!("{} was saved: restarting {}", saved.file, swap.label()));
    let _lock = run::lock(options, "dev --watch")?;
    if !swaps::is_recorded(&options.paths, &swap)? {
        return Ok(());
    }
    let quiet = Options { wish: ui::Wish { quiet: true, ..options.wish }, ..options.clone() };
    let renewed = if saved.declares { prepare::renew(session, work).await } else { Ok(()) };
    let again = match renewed {
        Ok(()) => {
            let run = Run::new(&quiet, session, "dev --watch").once();
            run.go(plan::again(swap.label(), work)).await.map(drop)
        }
        Err(error) => Err(error),
    };
    match again {
        Ok(()) => {
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
