//! `aio dev`: a unit runs from a checkout, and back.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ArgGroup;

use super::asked::{Asked, Debug, Mode, Undone};
use super::data::Fate;
use super::list::{self, Listed, ListedCheckout};
use super::source::change::Change;
use super::steps::Observed;
use super::{restore, swap};
use crate::cloud::require_root;
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;
use crate::model::topology;
use crate::ui::table::Table;
use crate::ui::{self, format};

/// Arguments of `aio dev`.
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["from", "restore", "list"]))]
#[command(after_help = "\
Examples:
  aio dev heat-engine --from ./heat            its log in this terminal; Ctrl-C brings the package back
  aio dev heat-engine --from ./heat --watch    restarted when a file is saved
  aio dev keystone --from ./keystone --detach  returns when it is healthy
  aio dev heat-engine --from https://opendev.org/openstack/heat --change 912345
  aio dev heat-api --from ./heat --debug --wait
  aio dev --list                               what runs from where
  aio dev heat-engine --restore                packaged again

The checkout is mounted read-only, never copied, changed or installed. The unit keeps its name,
user, arguments and configuration. A container that restarts comes back as packaged, unless --keep.
The service's databases are kept before, and go back where the checkout changed what the package
needs.")]
pub struct Args {
    /// Which unit, as `systemctl` calls it; KIND/UNIT if containers of several kinds run it
    #[arg(value_name = "UNIT", required_unless_present_any = ["list", "all"])]
    pub unit: Option<String>,
    /// The checkout: a git work tree, or the URL of a repository to clone
    #[arg(long, value_name = "PATH|URL")]
    pub from: Option<String>,
    /// A branch, tag or commit, in a clone of its own
    #[arg(long = "ref", value_name = "REF", requires = "from", conflicts_with = "change")]
    pub reference: Option<String>,
    /// A change of Gerrit's by its number, in a clone of its own; the newest patch set without PS
    #[arg(long, value_name = "N[/PS]", requires = "from")]
    pub change: Option<Change>,
    /// The checkout of a library that runs together with it; may be given several times
    #[arg(long = "lib", value_name = "PATH", requires = "from")]
    pub libraries: Vec<PathBuf>,
    /// Return when it is healthy; it stays until `--restore`
    #[arg(short, long, requires = "from", conflicts_with_all = ["watch", "pdb"])]
    pub detach: bool,
    /// Restart it when a file of a checkout is saved
    #[arg(long, requires = "from", conflicts_with = "pdb")]
    pub watch: bool,
    /// Let a debugger in (debugpy), in one process with patient time-outs
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "5678")]
    #[arg(requires = "from", conflicts_with = "pdb")]
    pub debug: Option<u16>,
    /// Wait for the debugger before it serves
    #[arg(long, requires = "debug")]
    pub wait: bool,
    /// Run the process in this terminal, so that `breakpoint()` works
    #[arg(long, requires = "from")]
    pub pdb: bool,
    /// Keep it swapped over restarts of the container and of the host
    #[arg(long, requires = "from", requires = "detach")]
    pub keep: bool,
    /// Leave the database's schema as it is
    #[arg(long, requires = "from")]
    pub no_db_sync: bool,
    /// Add no packages, whatever it needs
    #[arg(long, requires = "from")]
    pub no_deps: bool,
    /// Which member, of a unit that runs in several containers; the first without it
    #[arg(long, value_name = "K")]
    pub member: Option<u32>,
    /// Replace a swap of the same unit
    #[arg(long, requires = "from")]
    pub take_over: bool,
    /// Bring the package back
    #[arg(long, conflicts_with_all = ["from", "list"])]
    pub restore: bool,
    /// Every unit that is swapped
    #[arg(long, requires = "restore", conflicts_with_all = ["unit", "member"])]
    pub all: bool,
    /// Bring back the service's databases of before, even where the package could go on with those that
    /// are there; what was written since is lost
    #[arg(long, requires = "restore")]
    pub restore_db: bool,
    /// Leave the service's databases as the checkout left them; refused where the package could not run
    /// on them
    #[arg(long, requires = "restore", conflicts_with = "restore_db")]
    pub keep_data: bool,
    /// Do not ask before data are lost
    #[arg(long, requires = "restore")]
    pub yes: bool,
    /// Show what runs from where, as observed
    #[arg(short, long, conflicts_with = "unit")]
    pub list: bool,
}

/// # Errors
/// When the checkout is not fit or does not serve (the package does again), or there is no such
/// unit.
pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let options = options(global);
    if args.list {
        require_root("dev --list")?;
        let listed = block_on(list::list(&options))?;
        let shown = if global.json() { ui::out::json(&listed) } else { show(&listed) };
        return shown.map(|()| ExitCode::SUCCESS);
    }
    if args.restore {
        block_on(restore::restore(&options, &undone(args)))?;
    } else {
        block_on(swap::swap(&options, &asked(args)))?;
    }
    if global.json() {
        ui::out::json(&block_on(list::list(&options))?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn undone(args: Args) -> Undone {
    Undone {
        unit: args.unit,
        member: args.member,
        fate: match (args.restore_db, args.keep_data) {
            (true, _) => Fate::Back,
            (_, true) => Fate::Stay,
            _ => Fate::AsNeeded,
        },
        yes: args.yes,
    }
}

fn asked(args: Args) -> Asked {
    let mode = match (args.detach, args.watch, args.pdb) {
        (true, ..) => Mode::Detached,
        (_, true, _) => Mode::Watch,
        (.., true) => Mode::Terminal,
        _ => Mode::Foreground,
    };
    Asked {
        unit: args.unit.unwrap_or_default(),
        member: args.member,
        from: args.from.unwrap_or_default(),
        reference: args.reference,
        change: args.change,
        libraries: args.libraries,
        keep: args.keep,
        mode,
        debug: args.debug.map(|port| Debug { port, wait: args.wait }),
        packages: !args.no_deps,
        schema: !args.no_db_sync,
        take_over: args.take_over,
    }
}

fn show(listed: &[Listed]) -> Result<()> {
    if listed.is_empty() {
        ui::out::note("Everything runs as packaged.");
        return Ok(());
    }
    let mut table = Table::new(["unit", "on", "runs", "pid", "checkout", "at", "since"]);
    for swap in listed {
        for (index, checkout) in swap.checkouts.iter().enumerate() {
            let path = checkout.path.display().to_string();
            if index > 0 {
                table.row([
                    String::new(),
                    String::new(),
                    "library".into(),
                    String::new(),
                    path,
                    at(checkout),
                ]);
                continue;
            }
            let (runs, pid) = runs(swap.observed);
            table.row([
                swap.unit.clone(),
                topology::label(&swap.kind, swap.member),
                runs.to_owned(),
                pid.map_or_else(String::new, |pid| pid.to_string()),
                path,
                at(checkout),
                since(swap.since),
            ]);
        }
    }
    ui::out::text(&table.render())?;
    for swap in listed {
        for note in notes(swap) {
            ui::out::note(&format!("{}: {note}", swap.unit));
        }
    }
    Ok(())
}

fn runs(observed: Observed) -> (&'static str, Option<u32>) {
    match observed {
        Observed::Checkout { pid } => ("checkout", Some(pid)),
        Observed::Package { pid } => ("package", Some(pid)),
        Observed::Nothing => ("nothing", None),
        Observed::Stopped => ("stopped", None),
    }
}

/// `fix/1234 f00dcafe1 dirty`.
fn at(checkout: &ListedCheckout) -> String {
    let branch = checkout.branch.as_deref().unwrap_or("detached");
    let commit = checkout.commit.as_deref().map_or("no commit", |commit| &commit[..9]);
    match checkout.dirty {
        None => "cannot be read".to_owned(),
        Some(true) => format!("{branch} {commit} dirty"),
        Some(false) => format!("{branch} {commit}"),
    }
}

fn since(seconds: u64) -> String {
    let began = UNIX_EPOCH + Duration::from_secs(seconds);
    let ago = SystemTime::now().duration_since(began).unwrap_or_default();
    format!("{} ago", format::duration(Duration::from_secs(ago.as_secs())))
}

fn notes(swap: &Listed) -> Vec<String> {
    let mut notes: Vec<String> = swap.problem.iter().cloned().collect();
    if let Some(pid) = swap.held_by {
        notes.push(format!("ends with the `aio dev` of pid {pid}"));
    }
    if swap.keep {
        notes.push("kept over restarts".to_owned());
    }
    if !swap.standby.is_empty() {
        notes.push(format!("standing by: {}", swap.standby.join(", ")));
    }
    if let Some(dump) = &swap.dump {
        notes.push(format!("its service's databases of before are in {}", dump.display()));
    }
    notes
}
