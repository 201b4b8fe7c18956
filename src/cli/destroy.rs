//! `aio destroy`: remove everything that `aio` made on this host.

/// Arguments of `aio destroy`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio destroy                      asks first
  aio destroy --yes --keep-images  the next bootstrap is quick

What you wrote yourself (user_variables.yml, overrides/, profiles/) is kept.")]
pub struct Args {
    /// Keep the image layers, so that the next cloud is built quickly
    #[arg(long)]
    pub keep_images: bool,
    /// Keep cloud.yml and user_secrets.yml, so that the next cloud is the same
    #[arg(long)]
    pub keep_config: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}
