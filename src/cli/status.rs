//! `aio status`, `aio ls`, `aio start` and `aio stop`: the cloud as it is, and turning it on and
//! off.

/// Arguments of `aio status`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio status                       containers, units, clusters and backends, as observed
  aio status --output json         the same for programs")]
pub struct StatusArgs {}

/// Arguments of `aio ls`.
#[derive(clap::Args, Clone, Debug)]
pub struct ListArgs {}

/// Arguments of `aio start`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio start                        the whole cloud, after a reboot too
  aio start galera/2               one container

A name is a container's full name, its kind (heat_engine), kind and member (galera/2) or the
suffix of its name.")]
pub struct StartArgs {
    /// Which containers; all without one
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// Arguments of `aio stop`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio stop                         the whole cloud, in order
  aio stop keystone/2              one container, drained in HAProxy first")]
pub struct StopArgs {
    /// Which containers; all without one
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}
