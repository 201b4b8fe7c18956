//! `aio release`: which OpenStack a cloud has.

use std::path::PathBuf;
use std::process::ExitCode;

use time::Date;

use super::day;
use super::list::{cloud_release, list, table};
use super::lock::{self, Wanted, sentences};
use super::place::TreePlace;
use crate::commands::global::Global;
use crate::commands::runtime::block_on;
use crate::config::load::Profiles;
use crate::error::Result;
use crate::ui;

/// Arguments of `aio release`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio release ls                             which there are, and which a new cloud gets
  aio bootstrap --set release=2025.1         a new cloud of one of them
  sudo aio release lock 2026.2               newer versions, as of the day that the release says
  sudo aio release lock 2026.2 --as-of 2026-11-20
                                             as of another day
  sudo aio release lock master               the newest of today, pre-releases among them
  sudo aio release lock master --from ./openstack
                                             OpenStack of the checkouts in a directory
  sudo aio release lock master --from https://opendev.org/openstack/nova#stable/2026.2
                                             a branch, a tag or a commit of a repository")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with releases.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// List the releases, and say which one a new cloud gets and which one this cloud has.
    ///
    /// Needs no root and no cloud. Without root, a cloud has what its cloud.yml says.
    Ls,
    /// Make the lock of a release from wheels: find the newest versions that go together.
    ///
    /// The lock names every Python distribution with its version and the hashes of its files; the next
    /// `bootstrap` installs those and no others. It is written into the configuration directory, in
    /// place of the built-in one; nothing is written there when nothing changed. Index, proxy and
    /// certificates are those of the host's uv, or else of its pip. What is fetched is looked at without
    /// rights, for which this needs root.
    Lock {
        /// The release
        #[arg(value_name = "RELEASE")]
        release: String,
        /// Build projects of git: a checkout, a directory of checkouts, or an address to clone from
        ///
        /// Of a directory, the checkouts of projects that the release has are taken. Behind a `#` stands
        /// the branch, tag or commit of a repository that is to be built in place of what is checked out
        /// there: it comes from a clone, and a checkout stays as it is. Each is built of its commit, without
        /// network and without rights; all else stays as the lock before, or that of the release that this
        /// one extends, has it, if it goes together.
        #[arg(
            long,
            value_name = "DIR|URL[#REF]",
            value_hint = clap::ValueHint::DirPath,
            value_parser = TreePlace::parse
        )]
        from: Vec<TreePlace>,
        /// The last day whose versions count, as YYYY-MM-DD [default: the release's own; today for one that
        /// follows development, and with --from]
        #[arg(long, value_name = "DAY", value_parser = day::parse)]
        as_of: Option<Date>,
        /// Where to write it [default: profiles/releases/RELEASE.lock in the configuration directory]
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        output_file: Option<PathBuf>,
    },
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let paths = global.paths();
    match args.command {
        Command::Ls => {
            let profiles = Profiles::load(&paths.config_dir)?;
            let listed = list(&profiles, &paths.cloud, cloud_release(&paths).as_deref());
            global.print(listed.as_slice(), table)?;
        }
        Command::Lock { release, from, as_of, output_file } => {
            let wanted = Wanted { release, from, as_of, file: output_file };
            let silent = global.quiet || global.json();
            let say = |line: &str| {
                if !silent {
                    ui::out::note(line);
                }
            };
            let made = block_on(lock::make(&paths, &wanted, &say))?;
            if global.json() {
                ui::out::json(&made)?;
            }
            sentences(&made).iter().for_each(|line| say(line));
        }
    }
    Ok(ExitCode::SUCCESS)
}
