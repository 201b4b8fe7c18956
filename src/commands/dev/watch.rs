//! Saved files of checkouts, and the restarts that follow.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind};
use notify::{Config, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer_opt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::concerned::{Loaded, Saved, concerns};
use super::source::checkout::Standing;
use super::source::project::declares;
use super::source::reader::CheckoutReader;
use super::steps::Work;
use super::{plan, prepare};
use crate::cloud::Session;
use crate::cloud::run;
use crate::cloud::run::{Options, Run};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::descent;
use crate::state::swaps;
use crate::ui;

/// What is saved within this time of one another is one change: editors write several files, and
/// rename them.
const TOGETHER: Duration = Duration::from_millis(60);

/// The limit of the host that a watch of a large tree can meet.
const LIMIT_FILE: &str = "/proc/sys/fs/inotify/max_user_watches";

/// A watch of the checkouts of swaps.
pub struct Watch {
    /// Ends with this value.
    _debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    saved: UnboundedReceiver<PathBuf>,
    trees: Vec<Tree>,
}

/// A checkout that is watched.
struct Tree {
    root: PathBuf,
    reader: CheckoutReader,
}

impl Watch {
    pub fn start<'a>(roots: impl Iterator<Item = &'a Path>) -> Result<Self> {
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
        for root in roots {
            let doing = || format!("watch {}", root.display());
            refuse_small_limits(root)?;
            debouncer.watch(root, RecursiveMode::Recursive).doing(doing)?;
            trees.push(Tree { root: root.to_owned(), reader: CheckoutReader::find(root)? });
        }
        Ok(Self { _debouncer: debouncer, saved, trees })
    }

    /// Waits for the next saved files; those saved together are one change.
    pub async fn next(&mut self) -> Vec<Saved> {
        loop {
            let Some(path) = self.saved.recv().await else {
                return std::future::pending().await;
            };
            let mut together = vec![path];
            while let Ok(path) = self.saved.try_recv() {
                together.push(path);
            }
            let saved: Vec<Saved> =
                self.trees.iter().flat_map(|tree| tree.saved(&together)).collect();
            if !saved.is_empty() {
                return saved;
            }
        }
    }
}

impl Tree {
    /// Those of the paths that are files of it and not what an editor, git or Python leaves.
    fn saved(&self, paths: &[PathBuf]) -> Vec<Saved> {
        let inside = paths.iter().filter_map(|path| path.strip_prefix(&self.root).ok());
        let mut files: Vec<PathBuf> =
            inside.filter(|file| is_source(file)).map(Path::to_owned).collect();
        files.retain(|file| !self.root.join(file).is_dir());
        files.sort();
        files.dedup();
        if files.is_empty() {
            return Vec::new();
        }
        // What cannot be told is taken for a change.
        let standing = self.reader.standing(files.clone()).unwrap_or_default();
        let standing = standing.into_iter().chain(std::iter::repeat(Standing::Untracked));
        let own = files.into_iter().zip(standing);
        own.filter(|(_, standing)| *standing != Standing::Ignored)
            .map(|(file, standing)| Saved {
                root: self.root.clone(),
                file,
                is_new: standing == Standing::Untracked,
            })
            .collect()
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

/// Restarts the units that saved files concern. A checkout that does not start is told of, and the next
/// change tries again.
pub async fn restart(
    options: &Options,
    session: &Session,
    works: &[Arc<Work>],
    saved: &[Saved],
) -> Result<()> {
    let started = Instant::now();
    let name = match saved {
        [one] => one.file.display().to_string(),
        [one, rest @ ..] => format!("{} and {} more", one.file.display(), rest.len()),
        [] => return Ok(()),
    };
    let mut concerned = Vec::new();
    for work in works {
        let swap = work.swap().await;
        let loaded = Loaded::read(&swap);
        if saved.iter().any(|saved| concerns(&swap, loaded.as_ref(), saved)) {
            concerned.push(Arc::clone(work));
        }
    }
    if concerned.is_empty() {
        ui::out::note(&format!("{name} was saved, which nothing that runs has loaded"));
        return Ok(());
    }
    let labels = |works: &[Arc<Work>]| -> String {
        works.iter().map(|work| work.label.as_str()).collect::<Vec<_>>().join(", ")
    };
    ui::out::note(&format!("{name} was saved: restarting {}", labels(&concerned)));
    let _lock = run::lock(options, "dev --watch")?;
    let recorded = swaps::load(&options.paths)?;
    let mut still = Vec::new();
    for work in concerned {
        let id = work.swap().await.id;
        if recorded.iter().any(|swap| swap.id == id) {
            still.push(work);
        }
    }
    let quiet = Options { wish: ui::Wish { quiet: true, ..options.wish }, ..options.clone() };
    match again(&quiet, session, &still, saved).await {
        Ok(()) => {
            let serve = if let [_] = still[..] { "serves" } else { "serve" };
            let seconds = started.elapsed().as_secs_f64();
            ui::out::note(&format!("{} {serve} again after {seconds:.1} s", labels(&still)));
        }
        Err(error) => {
            ui::error::report(&error);
            ui::out::note("Save a mended file to try again; Ctrl-C brings the package back.");
        }
    }
    Ok(())
}

async fn again(
    options: &Options,
    session: &Session,
    works: &[Arc<Work>],
    saved: &[Saved],
) -> Result<()> {
    if saved.iter().any(|saved| declares(&saved.file)) {
        for work in works {
            prepare::renew(session, work).await?;
        }
    }
    let run = Run::new(options, session, "dev --watch").once();
    run.go(plan::again(works)).await.map(drop)
}
