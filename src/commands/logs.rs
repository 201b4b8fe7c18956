//! `aio logs`: what the containers' units said.

use std::process::ExitCode;

use super::global::Global;
use crate::error::{Error, ErrorKind, Result};
use crate::host::journal::{Query, read};
use crate::state::topology::Topology;
use crate::ui;
use crate::ui::journal::Writer;

/// Arguments of `aio logs`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio logs                              everything, in order of time
  aio logs heat_engine -f               what comes
  aio logs galera keystone --since 10m  the last ten minutes of two kinds
  aio logs --grep 'ERROR|Traceback' -n 50

A name is a container's full name, its kind (heat_engine), kind and member (galera/2) or the
suffix of its name. Containers that are stopped have logs too.")]
pub struct Args {
    /// Which containers; all without one
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Wait for what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Since when: 10m, 2h, 15:00, yesterday, '2026-11-21 15:00'
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only messages that match a regular expression; lower case matches any case
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    pub grep: Option<String>,
    /// Only the last COUNT of them
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub lines: Option<u32>,
}

/// Prints them. Starts no thread: the zone of this host is asked for.
pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let paths = global.paths();
    let topology = Topology::load(&paths)?;
    let mut machine_ids = Vec::new();
    for name in &args.names {
        let selected = topology.select_many(name)?;
        machine_ids.extend(selected.iter().map(|container| container.machine_id.clone()));
    }
    let directory = paths.journal_dir();
    if !directory.is_dir() {
        return Err(Error::new(ErrorKind::NotFound, format!("read the logs of `{}`", paths.cloud))
            .because(format!("{} is not there: no container ever ran", directory.display()))
            .hint("Build the cloud with `aio bootstrap`."));
    }
    let Args { follow, since, grep, lines, .. } = args;
    let query = Query { machine_ids, follow, since, grep, lines };
    let writer = Writer::new(topology.containers());
    read(&directory, &query, |entry| {
        if global.json() {
            ui::out::json_line(&writer.json(&entry))?;
        } else {
            ui::out::line(&writer.line(&entry))?;
        }
        Ok(!ui::out::closed())
    })?;
    Ok(ExitCode::SUCCESS)
}
