//! Where what the program traces goes: to the log file in full, to standard error as asked.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::logfile::LogFile;

/// Begins to trace. Called once, by commands that do something; a second call has no effect.
pub fn begin(verbose: u8, log: Option<&LogFile>) {
    let to_file = log.map(|log| {
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(log.clone())
            .with_filter(EnvFilter::new("warn,aio=debug"))
    });
    let level = match verbose {
        0 => None,
        1 => Some("warn,aio=info"),
        _ => Some("info,aio=debug"),
    };
    let to_terminal = level.map(|level| {
        tracing_subscriber::fmt::layer()
            .with_ansi(console::colors_enabled_stderr())
            .with_writer(std::io::stderr)
            .with_filter(EnvFilter::new(level))
    });
    let _ = tracing_subscriber::registry().with(to_file).with(to_terminal).try_init();
}
