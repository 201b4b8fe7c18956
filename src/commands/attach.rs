//! `aio attach`: a shell or a command in a container.
//!
//! Starts no thread before it has attached: liblxc forks in this very process.

use std::process::ExitCode;

use super::global::Global;
use crate::error::Result;
use crate::lxc;
use crate::state::topology::Topology;

/// Arguments of `aio attach`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio attach utility                               a login shell
  aio attach galera/2 -- mysql -e 'SHOW STATUS'    a command
  aio attach utility -- sh -c 'cat > /root/f' < f  its standard input and output are yours

NAME is a full name, a kind if it has one member, KIND/MEMBER, or the eight digits that end a name.
Exits as the command does; 128 + n when signal n killed it.")]
pub struct Args {
    /// Which container
    #[arg(value_name = "NAME")]
    pub container: String,
    /// What to run; a login shell without it
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

pub fn run(global: &Global, args: &Args) -> Result<ExitCode> {
    let topology = Topology::load(&global.paths())?;
    let container = topology.select_one(&args.container)?;
    let status = lxc::attach::interactive(&container.name, &args.command, &container.environment)?;
    // A status has eight bits.
    Ok(u8::try_from(status & 0xff).map_or(ExitCode::FAILURE, ExitCode::from))
}
