//! All commands, and what `main` does with one.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::global::Global;
use super::{
    attach, bootstrap, completions, config, destroy, dev, examples, gateway, hidden, image, logs,
    man, openstack, power, profile, rebuild, release, size, status, support, tempest, upgrade,
    verify,
};
use crate::error::Result;
use crate::ui;

/// A production-shaped OpenStack on one machine, for the people who work on OpenStack.
///
/// Every service runs in its own LXC container, redundant where production is redundant. Running
/// any command again is safe: it looks first and changes only what is not as it should be.
#[derive(Debug, Parser)]
#[command(name = "aio", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = SHORT_NOTES, after_long_help = LONG_NOTES)]
struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do; the help without one.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const SHORT_NOTES: &str = "Start with `aio size`, then `sudo aio bootstrap`. More: `aio --help`.";

const LONG_NOTES: &str = "\
Examples:
  aio size                       what this machine can carry; changes nothing
  aio plan                       what `bootstrap` would do, and why
  aio bootstrap                  build the cloud, or bring it back to what it should be
  aio ls                         the containers
  aio openstack token issue      the OpenStack client, as admin
  aio verify                     use every service, and say what works
  aio attach utility             a shell in a container
  aio gateway --detach           ssh, scp and editors into all containers
  aio logs heat_engine -f        what its units say
  aio dev heat-engine --from ./heat  run a checkout in place of the package
  aio upgrade --to 2026.2        the running cloud to another release of OpenStack
  aio rebuild heat_engine        throw a container's root away and make it anew
  aio support-bundle a.tar.gz    what a maintainer would ask for, secrets masked
  aio destroy                    remove everything that aio made

Files:
  <config-dir>/cloud.yml            what the first bootstrap chose; yours to edit
  <config-dir>/user_variables.yml   your own values of what services let you set
  <config-dir>/user_secrets.yml     passwords and keys
  <config-dir>/overrides/           lines of yours for the services' configuration files
  <config-dir>/profiles/, secrets/  services of your own, or others of the same name in place of ours
  <state-dir>                       containers, layers, data, logs; the cloud itself

Exit codes:
    0  all is well
    1  a step, a command or an observation failed
    2  the command line is wrong
    3  a profile or a file in the configuration directory is wrong
    4  the host lacks something or is too small
    5  another aio holds the cloud
    6  there is no such cloud or container, or it is not running
    7  a question was answered with no, or could not be asked
  130  interrupted by Ctrl-C or SIGTERM
  `aio attach` and `aio openstack` exit as the command that they run.";

/// What to do. The order is the order in the help.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show what this host has, and what would be built on it.
    Size(size::Args),
    /// Say what `bootstrap` would do now, and why.
    Plan(bootstrap::PlanArgs),
    /// Build the cloud, or bring it back to what it should be.
    Bootstrap(bootstrap::Args),
    /// Show how well containers, clusters and backends are.
    Status(status::StatusArgs),
    /// List the containers.
    Ls(status::ListArgs),
    /// Open a shell in a container, or run a command there.
    Attach(attach::Args),
    /// Let editors, debuggers and ssh into the containers.
    Gateway(gateway::Args),
    /// Run the OpenStack client, as administrator.
    Openstack(openstack::Args),
    /// Use every service as its users do, and say what works.
    Verify(verify::Args),
    /// Run the release's Tempest against the cloud.
    Tempest(tempest::Args),
    /// Show what the containers' units say.
    Logs(logs::Args),
    /// Show a container's configuration files, and what set each line.
    Config(config::Args),
    /// Run a unit from a git checkout in place of its package, and back.
    Dev(Box<dev::Args>),
    /// Throw containers away and make them anew.
    Rebuild(rebuild::Args),
    /// Stop containers, or the whole cloud.
    Stop(power::StopArgs),
    /// Start containers, or the whole cloud after a reboot.
    Start(power::StartArgs),
    /// Write one file with what is needed to find a fault, without a secret.
    SupportBundle(support::Args),
    /// List and remove the image layers of which containers are made.
    Image(image::Args),
    /// List the releases of OpenStack, and make the lock of one that comes from wheels.
    Release(release::Args),
    /// Bring the running cloud to the next release of OpenStack, and back.
    Upgrade(upgrade::Args),
    /// Remove everything that aio made on this host.
    Destroy(destroy::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Write examples of the configuration files, with all that may be set.
    Examples(examples::Args),
    /// Check profiles, begin a new service, or measure one.
    Profile(profile::Args),
    /// Write manual pages into a directory.
    #[command(hide = true)]
    Man(man::Args),
}

impl Command {
    fn run(self, global: &Global) -> Result<ExitCode> {
        match self {
            Self::Size(args) => size::run(global, args),
            Self::Plan(args) => bootstrap::plan(global, args),
            Self::Bootstrap(args) => bootstrap::run(global, args),
            Self::Status(args) => status::status(global, args),
            Self::Ls(args) => status::list(global, args),
            Self::Attach(args) => attach::run(global, &args),
            Self::Gateway(args) => gateway::run(global, &args),
            Self::Openstack(args) => openstack::run(global, args),
            Self::Verify(args) => verify::run(global, &args),
            Self::Tempest(args) => tempest::run(global, args),
            Self::Logs(args) => logs::run(global, args),
            Self::Config(args) => config::run(global, &args),
            Self::Dev(args) => dev::run(global, *args),
            Self::Rebuild(args) => rebuild::run(global, args),
            Self::Stop(args) => power::stop(global, args),
            Self::Start(args) => power::start(global, args),
            Self::SupportBundle(args) => support::run(global, args),
            Self::Image(args) => image::run(global, &args),
            Self::Release(args) => release::run(global, args),
            Self::Upgrade(args) => upgrade::run(global, args),
            Self::Destroy(args) => destroy::run(global, args),
            Self::Completions(args) => completions::run(Cli::command(), args),
            Self::Examples(args) => examples::run(global, args),
            Self::Profile(args) => profile::run(global, &args),
            Self::Man(args) => man::run(Cli::command(), args),
        }
    }
}

/// Everything that `main` does: parses, runs, reports an error in the one place for errors.
pub fn main() -> ExitCode {
    if let Some(code) = hidden::run() {
        return code;
    }
    keep_memory();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to complain about the help that was not read.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    cli.global.apply_colour();
    let done = match cli.command {
        Some(command) => command.run(&cli.global),
        None => help().map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        ui::error::report(&error);
        ExitCode::from(error.kind.exit_code())
    })
}

/// This process comes to hold every secret of a cloud: no core dump has them, and no debugger of a user's.
fn keep_memory() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// What `aio` alone prints.
fn help() -> Result<()> {
    let help = Cli::command().render_help();
    let coloured = console::colors_enabled();
    ui::out::text(&if coloured { help.ansi().to_string() } else { help.to_string() })
}

#[cfg(test)]
mod tests;
