//! What commands that run a graph of steps share: the log, Ctrl-C, the display, the report.

use std::process::ExitCode;
use std::sync::Arc;

use super::global::Global;
use crate::engine::interrupt::Interrupt;
use crate::engine::report::Report;
use crate::engine::run::{RunOptions, Slots, run};
use crate::error::Result;
use crate::host::Host;
use crate::plan::graph::Graph;
use crate::ui::logfile::LogFile;
use crate::ui::{self, Wish};

/// One command while it runs graphs. Begun within a runtime.
#[derive(Debug)]
pub struct Session {
    options: RunOptions,
    wish: Wish,
    log: Option<LogFile>,
}

impl Session {
    /// For a command that changes the cloud: opens the log file and listens for Ctrl-C.
    ///
    /// # Errors
    /// When the log file cannot be made.
    pub fn begin(global: &Global, command: &str, slots: Slots) -> Result<Self> {
        let paths = global.paths();
        let log = LogFile::create(&paths, command)?;
        ui::trace::begin(global.verbose, Some(&log));
        let options = RunOptions {
            command: command.to_owned(),
            dry_run: false,
            slots,
            interrupt: Interrupt::on_signals()?,
            journal: Some(paths.steps_file()),
            durations: Some(paths.durations_file()),
        };
        Ok(Self { options, wish: global.wish(), log: Some(log) })
    }

    /// For a command that only looks: writes nothing on the host and needs no root.
    ///
    /// # Errors
    /// When Ctrl-C cannot be listened for.
    pub fn look(global: &Global, command: &str, slots: Slots) -> Result<Self> {
        ui::trace::begin(global.verbose, None);
        let options = RunOptions {
            command: command.to_owned(),
            dry_run: true,
            slots,
            interrupt: Interrupt::on_signals()?,
            journal: None,
            durations: Some(global.paths().durations_file()),
        };
        Ok(Self { options, wish: global.wish(), log: None })
    }

    /// How the command is told to end, for what it does beside running graphs.
    pub fn interrupt(&self) -> &Interrupt {
        &self.options.interrupt
    }

    /// Runs a graph and shows how it goes.
    pub async fn run(&self, graph: &Graph, host: Arc<Host>) -> Report {
        let listeners = ui::listeners(self.wish, self.log.as_ref());
        run(graph, host, self.options.clone(), listeners).await
    }

    /// Ends the command: the report as data if asked for, and the exit code.
    ///
    /// # Errors
    /// What the report says went wrong.
    pub fn end(&self, report: &Report) -> Result<ExitCode> {
        if self.wish.json {
            ui::out::json(report)?;
        }
        match report.error() {
            Some(error) => Err(error),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}
