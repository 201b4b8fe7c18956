//! `aio dev`: units run from checkouts, and back.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgGroup;

use super::asked::{Asked, Debug, DebugAt, Mode, Undone};
use super::data::Fate;
use super::source::change::Change;
use super::{list, restore, show, swap};
use crate::cloud::require_root;
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;
use crate::ui;

/// Where a debugger listens unless said: as debugpy's own documentation has it.
const DEBUG_PORT: u16 = 5678;

/// Arguments of `aio dev`.
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("swapped").multiple(true).args(["from", "libraries"]))]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["from", "libraries", "restore", "list"]))]
#[command(after_help = "\
Examples:
  aio dev heat-engine --from ./heat            its log in this terminal; Ctrl-C brings the package back
  aio dev --from ./nova                        all units of nova, as one swap
  aio dev --from ./nova --lib ./oslo.messaging --watch    restarted when a file that it uses is saved
  aio dev --lib ./oslo.messaging --in neutron  a library in all units of neutron
  aio dev keystone --from ./keystone --detach  returns when it is healthy
  aio dev heat-engine --from https://opendev.org/openstack/heat --change 912345
  aio dev --from https://review.opendev.org/openstack/heat --change 912345 --with-depends
  aio dev heat-api --from ./heat --debug --wait
  aio dev --list                               what runs from where
  aio dev nova --restore                       packaged again

The checkout is mounted read-only, never copied, changed or installed. The unit keeps its name,
user, arguments and configuration. A container that restarts comes back as packaged, unless --keep.
The service's databases are kept before, and go back where the checkout changed what the package
needs.")]
pub struct Args {
    /// Which unit, as `systemctl` calls it; KIND/UNIT if containers of several kinds run it. A service
    /// stands for all its units, in every container; without one, so do the services of the checkouts
    #[arg(value_name = "UNIT|SERVICE", required_unless_present_any = ["list", "all", "swapped"])]
    pub unit: Option<String>,
    /// The checkout: a git work tree, or the URL of a repository to clone; several for several services
    #[arg(long, value_name = "PATH|URL")]
    pub from: Vec<String>,
    /// A branch, tag or commit, in a clone of its own
    #[arg(long = "ref", value_name = "REF", requires = "from", conflicts_with = "change")]
    pub reference: Option<String>,
    /// A change of Gerrit's by its number, in a clone of its own; the newest patch set without PS
    #[arg(long, value_name = "N[/PS]", requires = "from")]
    pub change: Option<Change>,
    /// With that change, those of other projects that it depends on (`Depends-On:`), each in a clone of its
    /// own: services as if by --from, others as if by --lib
    #[arg(long, requires = "change", conflicts_with = "unit")]
    pub with_depends: bool,
    /// The checkout of a library, in front of the installed one; may be given several times. Without
    /// --from, in every unit whose service uses it
    #[arg(long = "lib", value_name = "PATH")]
    pub libraries: Vec<PathBuf>,
    /// The units or services that a library alone is put in front of
    #[arg(long = "in", value_name = "UNIT|SERVICE", requires = "libraries")]
    #[arg(conflicts_with_all = ["from", "unit"])]
    pub inside: Vec<String>,
    /// Return when it is healthy; it stays until `--restore`
    #[arg(short, long, requires = "swapped", conflicts_with_all = ["watch", "pdb"])]
    pub detach: bool,
    /// Restart the units that have loaded a file of a checkout when it is saved
    #[arg(long, requires = "swapped", conflicts_with = "pdb")]
    pub watch: bool,
    /// Let a debugger in (debugpy), in one process with patient time-outs: on port 5678 unless said, of
    /// UNIT where several are swapped
    #[arg(long, value_name = "[UNIT:]PORT|UNIT", num_args = 0..=1, default_missing_value = "5678")]
    #[arg(requires = "swapped", conflicts_with = "pdb")]
    pub debug: Option<DebugAt>,
    /// Wait for the debugger before it serves
    #[arg(long, requires = "debug")]
    pub wait: bool,
    /// Run the process in this terminal, so that `breakpoint()` works; that of UNIT where several are
    /// swapped
    #[arg(long, value_name = "UNIT", num_args = 0..=1, requires = "swapped")]
    pub pdb: Option<Option<String>>,
    /// Keep it swapped over restarts of the container and of the host
    #[arg(long, requires = "swapped", requires = "detach")]
    pub keep: bool,
    /// Leave the database's schema as it is
    #[arg(long, requires = "from")]
    pub no_db_sync: bool,
    /// Add no packages, whatever it needs
    #[arg(long, requires = "swapped")]
    pub no_deps: bool,
    /// Which member, of a unit that runs in several containers; the first without it
    #[arg(long, value_name = "K", requires = "unit")]
    pub member: Option<u32>,
    /// Replace swaps of the same units
    #[arg(long, requires = "swapped")]
    pub take_over: bool,
    /// Bring the package back
    #[arg(long, conflicts_with_all = ["swapped", "list"])]
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
    /// Do not ask before data are lost, or before code of other projects comes along (--with-depends)
    #[arg(long)]
    pub yes: bool,
    /// Show what runs from where, as observed
    #[arg(short, long, conflicts_with_all = ["unit", "swapped"])]
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
        let shown = if global.json() { ui::out::json(&listed) } else { show::show(&listed) };
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
    let mode = match (args.detach, args.watch, args.pdb.is_some()) {
        (true, ..) => Mode::Detached,
        (_, true, _) => Mode::Watch,
        (.., true) => Mode::Terminal,
        _ => Mode::Foreground,
    };
    let port = args.debug.as_ref().map(|debug| debug.port.unwrap_or(DEBUG_PORT));
    Asked {
        unit: args.unit,
        member: args.member,
        from: args.from,
        reference: args.reference,
        change: args.change,
        with_depends: args.with_depends,
        yes: args.yes,
        libraries: args.libraries,
        inside: args.inside,
        keep: args.keep,
        mode,
        debug: port.map(|port| Debug { port, wait: args.wait }),
        hands_on: args.pdb.flatten().or(args.debug.and_then(|debug| debug.unit)),
        packages: !args.no_deps,
        schema: !args.no_db_sync,
        take_over: args.take_over,
    }
}
