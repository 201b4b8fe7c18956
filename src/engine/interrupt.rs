//! Ctrl-C: the first asks, the second insists.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{Result, ResultExt};

/// How a run is told to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// No new steps; running ones finish what cannot be left half-done.
    pub cancel: CancellationToken,
    /// Running steps are dropped and every child process is killed.
    pub kill: CancellationToken,
}

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP until the process ends. Called within a runtime.
    ///
    /// # Errors
    /// When the signals cannot be listened for.
    pub fn on_signals() -> Result<Self> {
        let doing = || "listen for Ctrl-C".to_owned();
        let mut interrupt = signal(SignalKind::interrupt()).doing(doing)?;
        let mut terminate = signal(SignalKind::terminate()).doing(doing)?;
        let mut hangup = signal(SignalKind::hangup()).doing(doing)?;
        let this = Self::default();
        let told = this.clone();
        tokio::spawn(async move {
            loop {
                let insists = tokio::select! {
                    _ = interrupt.recv() => true,
                    _ = terminate.recv() => true,
                    // A lost terminal is reported once for each of its processes' groups.
                    _ = hangup.recv() => false,
                };
                if told.cancel.is_cancelled() && insists {
                    told.kill.cancel();
                }
                told.cancel.cancel();
            }
        });
        Ok(this)
    }
}
