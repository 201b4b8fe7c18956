//! Options that every command takes, and options that several share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::config::cloud::CloudOptions;
use crate::error::Result;
use crate::model::paths::{FIRST_CLOUD, Paths};
use crate::ui::{self, Wish};

/// How data is written to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs; progress goes to standard error as JSON lines.
    Json,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Which cloud, if there are several on this host
    #[arg(long, global = true, value_name = "NAME", env = "AIO_NAME", default_value = FIRST_CLOUD)]
    #[arg(value_parser = cloud_name, hide_env_values = true)]
    pub name: String,
    /// Where your settings and secrets stand [default: /etc/aio, and for another cloud than aio1
    /// /etc/aio/clouds/NAME]
    #[arg(long, global = true, value_name = "DIR", env = "AIO_CONFIG_DIR", hide_env_values = true)]
    pub config_dir: Option<PathBuf>,
    /// Where the cloud stands: containers, layers, data, logs
    #[arg(long, global = true, value_name = "DIR", env = "AIO_STATE_DIR")]
    #[arg(default_value = "/var/lib/aio", hide_env_values = true)]
    pub state_dir: PathBuf,
    /// How data is printed
    #[arg(long, global = true, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
    /// Say more on standard error; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing but errors and data
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colour; `NO_COLOR` is honoured
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true
    )]
    pub color: Colour,
    /// How long to wait for another aio that changes this cloud
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    #[arg(hide_short_help = true)]
    pub lock_timeout: u64,
}

impl Global {
    pub fn paths(&self) -> Paths {
        Paths {
            config_dir: match &self.config_dir {
                Some(directory) => absolute(directory),
                None => Paths::usual_config_dir(&self.name),
            },
            state_dir: absolute(&self.state_dir),
            cloud: self.name.clone(),
        }
    }

    /// Prints data: as JSON where that was asked for, otherwise in the words of `text`.
    pub fn print<T: Serialize + ?Sized>(
        &self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        if self.json() { ui::out::json(data) } else { ui::out::text(&text(data)) }
    }

    /// Whether data is printed as JSON.
    pub fn json(&self) -> bool {
        self.output == Format::Json
    }

    /// How much of a run is shown, and how.
    pub fn wish(&self) -> Wish {
        Wish { json: self.json(), quiet: self.quiet, verbose: self.verbose, lines: false }
    }

    /// How long to wait for the lock.
    pub fn lock_timeout(&self) -> Duration {
        Duration::from_secs(self.lock_timeout)
    }

    /// Turns colour on or off for everything that is printed from now on.
    pub fn apply_colour(&self) {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self.color {
            Colour::Always => set_colour(true),
            Colour::Never => set_colour(false),
            Colour::Auto if unwanted => set_colour(false),
            Colour::Auto => {
                console::set_colors_enabled(console::user_attended());
                console::set_colors_enabled_stderr(console::user_attended_stderr());
            }
        }
    }
}

fn set_colour(enabled: bool) {
    console::set_colors_enabled(enabled);
    console::set_colors_enabled_stderr(enabled);
}

/// Relative directories are recorded (in LXC's files, in the boot unit), so they must not depend on
/// where `aio` was called.
fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Names of bridges (15 bytes), nftables tables and host names (63 bytes) begin with it.
fn cloud_name(text: &str) -> Result<String, String> {
    let well_formed = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        && text.len() <= 8;
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err("a name has at most 8 lower-case letters and digits and begins with a letter"
            .to_owned())
    }
}

/// What a user may choose about the cloud that is to be.
#[derive(Args, Clone, Debug, Default)]
pub struct Choices {
    /// Which services, how many members: minimal, control, default, full
    ///
    /// Without it: what `cloud.yml` says, or, for a new cloud, the largest but `full` that fits this host.
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Option<String>,
    /// Add a service, or one kind of container, to the scenario, with all that it needs
    ///
    /// What is added is written to `cloud.yml` and kept by later runs, as what is left out is.
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    pub with: Vec<String>,
    /// Leave a service out of the scenario, with all that needs it, or one kind of container alone
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    pub without: Vec<String>,
    /// Set a value: members of a kind (`galera.members=1`) or a service's variable
    ///
    /// In a variable's name a dot is as good as an underscore: `nova_fake.units=10`.
    /// May be given several times. What is set is written to `cloud.yml` and kept by later runs.
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// Make the cloud reachable from outside, on ADDRESS or the host's own
    ///
    /// Off by default: nobody but this host gets in. What is exposed speaks TLS, by an authority of the
    /// cloud's own whose certificate is `tls/ca.crt` in the configuration directory; `--set tls=off`
    /// leaves it in clear, `--set tls=everywhere` has what is within speak it too,
    /// `--set tls_certificate=FILE --set tls_key=FILE` brings your own.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1)]
    #[arg(default_missing_value = "auto")]
    pub expose: Option<String>,
}

impl Choices {
    /// The same for the cloud of that name.
    pub fn options(self, name: &str) -> CloudOptions {
        let Self { scenario, set, with, without, expose } = self;
        CloudOptions { name: name.to_owned(), scenario, set, with, without, expose }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write KEY=VALUE, for example galera.members=1".to_owned()),
    }
}
