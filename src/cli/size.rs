//! `aio size`: what this host has, what would be built on it and what that takes.

use super::global::Choices;

/// Arguments of `aio size`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio size                         what would be built here
  aio size --scenario minimal      what the smallest cloud would take
  aio size --output json           every host fact that was read, for a bug report

Needs no root and changes nothing.")]
pub struct Args {
    /// Which cloud.
    #[command(flatten)]
    pub choices: Choices,
}
