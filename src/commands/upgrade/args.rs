//! `aio upgrade`: from one release of OpenStack to the next.

use std::process::ExitCode;

use super::back::back;
use super::run::{self as work, Wanted};
use super::words;
use crate::commands::global::Global;
use crate::commands::runtime::{block_on, options};
use crate::error::Result;
use crate::ui;

/// Arguments of `aio upgrade`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio upgrade --to 2026.2 --plan   what it would do, and in which order
  aio upgrade --to 2026.2          the running cloud, one service after another
  aio upgrade                      goes on where it was cut off
  aio upgrade --to 2026.2 --leave nova_compute
                                   hypervisors stay of the former release
  aio upgrade --back               the former release, with its data of before
  aio upgrade --accept             it stays: what leads back is removed

Members are replaced one at a time behind the load balancer; what has one member is away while it is
made anew. Until it is accepted the databases of before and the layers of the former release are kept.
`aio release ls` lists the releases.")]
pub struct Args {
    /// The release to go to; without it, what was begun goes on
    #[arg(long, value_name = "RELEASE", conflicts_with_all = ["back", "accept"])]
    pub to: Option<String>,
    /// Leave containers of this kind as they are
    ///
    /// Those with which the others work while they are of the release before: hypervisors. `aio upgrade`
    /// brings them along later.
    #[arg(long, value_name = "KIND", value_delimiter = ',', conflicts_with_all = ["back", "accept"])]
    pub leave: Vec<String>,
    /// Say what would be done
    #[arg(long, conflicts_with_all = ["back", "accept"])]
    pub plan: bool,
    /// Bring back the former release, and all databases as they were before
    ///
    /// What was made in the cloud since then is lost.
    #[arg(long, conflicts_with = "accept")]
    pub back: bool,
    /// Keep the new release, and remove what leads back
    #[arg(long)]
    pub accept: bool,
    /// Do not ask before what was made since is lost
    #[arg(short, long, requires = "back")]
    pub yes: bool,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let options = options(global);
    let Args { to, leave, plan, back: returns, accept, yes } = args;
    let wanted = Wanted { to, leave };
    if returns {
        block_on(back(&options, yes))?;
    } else if accept {
        block_on(work::accept(&options))?;
    } else if plan {
        let planned = block_on(work::plan(&options, &wanted))?;
        if global.json() {
            ui::out::json(&planned.1)?;
        } else {
            ui::out::text(&words::plan(&planned))?;
        }
    } else {
        let upgraded = block_on(work::upgrade(&options, &wanted))?;
        global.print(&upgraded, words::render)?;
    }
    Ok(ExitCode::SUCCESS)
}
