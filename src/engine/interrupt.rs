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
    pub fn on_signals() -> Result<Self> {
        Self::listening(false)
    }

    /// The same for what puts something back, which a lost terminal or one Ctrl-C too many would
    /// leave half done: the first of them is let pass.
    pub fn patient() -> Result<Self> {
        Self::listening(true)
    }

    fn listening(mut patient: bool) -> Result<Self> {
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
                if patient {
                    patient = !insists;
                    continue;
                }
                if told.cancel.is_cancelled() && insists {
                    told.kill.cancel();
                }
                told.cancel.cancel();
            }
        });
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Set in the process that plays the command: signals concern a whole process.
    const ALONE: &str = "AIO_TEST_SIGNALS";

    #[test]
    fn the_first_signal_asks_and_the_second_insists() {
        if std::env::var_os(ALONE).is_some() {
            return wait_for_signals();
        }
        for (signal, patient) in [(Signal::INT, "no"), (Signal::TERM, "no"), (Signal::INT, "yes")] {
            let name = "engine::interrupt::tests::the_first_signal_asks_and_the_second_insists";
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(ALONE, patient)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let pid = Pid::from_child(&child);
            let mut said =
                BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            assert!(said.any(|line| line.ends_with("listening")));
            kill_process(pid, Signal::HUP).unwrap();
            if patient == "yes" {
                kill_process(pid, Signal::INT).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(100));
                kill_process(pid, Signal::HUP).unwrap();
            }
            assert!(said.any(|line| line == "asked, does not insist"));
            kill_process(pid, signal).unwrap();
            assert!(said.any(|line| line == "insists"));
            assert!(child.wait().unwrap().success());
        }
    }

    #[tokio::main(flavor = "current_thread")]
    async fn wait_for_signals() {
        let patient = std::env::var_os(ALONE).is_some_and(|value| value == "yes");
        let listening = if patient { Interrupt::patient() } else { Interrupt::on_signals() };
        let interrupt = listening.unwrap();
        say("listening");
        interrupt.cancel.cancelled().await;
        assert!(!interrupt.kill.is_cancelled());
        say("asked, does not insist");
        interrupt.kill.cancelled().await;
        say("insists");
    }

    fn say(line: &str) {
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{line}").unwrap();
        stdout.flush().unwrap();
    }
}
