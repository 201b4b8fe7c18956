//! `aio openstack`: the OpenStack client in the utility container, as the administrator.

use std::process::ExitCode;

use super::attach;
use super::global::Global;
use crate::config::profile::CLIENT_KIND;
use crate::error::Result;

/// Arguments of `aio openstack`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = "\
Examples:
  aio openstack token issue
  aio openstack endpoint list -f json
  aio openstack --help             the client's own help"
)]
pub struct Args {
    /// Arguments of the client, as they are
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

pub fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let client = std::iter::once("openstack".to_owned());
    let command = client.chain(args.arguments).collect();
    attach::run(global, &attach::Args { container: CLIENT_KIND.to_owned(), command })
}
