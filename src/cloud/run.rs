//! One run of a graph: the lock, the log, Ctrl-C, the display, the report.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Session;
use crate::engine::graph::Graph;
use crate::engine::interrupt::Interrupt;
use crate::engine::listen::Listener;
use crate::engine::options::{RunOptions, Slots};
use crate::engine::report::Report;
use crate::engine::step::Step;
use crate::error::Result;
use crate::host::facts::shortage;
use crate::model::paths::Paths;
use crate::model::sizing::Sizing;
use crate::state::lock::Lock;
use crate::ui::logfile::LogFile;
use crate::ui::{self, Wish};

/// What the command line says about every run.
#[derive(Clone, Debug)]
pub struct Options {
    pub paths: Paths,
    pub wish: Wish,
    /// How long to wait for another `aio` that changes this cloud.
    pub lock_timeout: Duration,
    /// Where to write the time line of the run.
    pub timings: Option<PathBuf>,
}

/// Takes the cloud's lock, waiting for another `aio` with a message that names it.
pub fn lock(options: &Options, command: &str) -> Result<Lock> {
    Lock::acquire(&options.paths, command, options.lock_timeout, ui::out::note)
}

fn slots(sizing: &Sizing) -> Slots {
    Slots {
        package: sizing.parallel_packages,
        download: sizing.parallel_packages,
        start: sizing.parallel_starts,
        load: sizing.parallel_loads,
    }
}

/// A run of steps of one command: shown, journaled and timed, and to be run again where it failed.
pub struct Run<'a> {
    options: &'a Options,
    session: &'a Session,
    command: &'a str,
    again: bool,
    patient: bool,
    traced: bool,
}

impl<'a> Run<'a> {
    /// An ordinary run.
    pub fn new(options: &'a Options, session: &'a Session, command: &'a str) -> Self {
        Self { options, session, command, again: true, patient: false, traced: true }
    }

    /// For steps that are not simply run again.
    pub fn once(self) -> Self {
        Self { again: false, ..self }
    }

    /// For steps that put something back: see [`Interrupt::patient`].
    pub fn patiently(self) -> Self {
        Self { patient: true, ..self }
    }

    /// For steps that remove the very directory in which a run leaves its trace.
    pub fn without_trace(self) -> Self {
        Self { traced: false, ..self }
    }

    pub async fn go(self, steps: Vec<Step>) -> Result<Report> {
        self.act(steps).await.map_err(|error| {
            let command = self.command;
            let state_dir = &self.options.paths.state_dir;
            // What fails for the want of room seldom says so.
            let error = error.hints(shortage(state_dir).map(|short| short.sentence(state_dir)));
            let again =
                || format!("Run `aio {command}` again: it looks at what is there and carries on.");
            if self.again { error.hint(again()) } else { error }
        })
    }

    /// Only looks: what steps would do, and why. Which could not be looked at is part of the report.
    pub async fn look(self, steps: Vec<Step>) -> Result<Report> {
        let durations = Some(self.options.paths.durations_file());
        self.carry_out(steps, RunOptions { dry_run: true, durations, ..self.how()? }, Vec::new())
            .await
    }

    /// Runs steps that change nothing of what `aio` keeps: no journal, which belongs to whoever holds
    /// the cloud's lock, and how it ended is the caller's to say. `durations` is where those of earlier
    /// runs stand, if they tell anything about this one.
    pub async fn check(self, steps: Vec<Step>, durations: Option<PathBuf>) -> Result<Report> {
        let log = self.log()?;
        let listeners = ui::listeners(self.options.wish, Some(&log));
        let how = RunOptions { told_by_command: true, durations, ..self.how()? };
        self.carry_out(steps, how, listeners).await
    }

    async fn act(&self, steps: Vec<Step>) -> Result<Report> {
        let Options { paths, wish, timings, .. } = self.options;
        let log = self.traced.then(|| self.log()).transpose()?;
        let mut how = self.how()?;
        if self.traced {
            how.journal = Some(paths.steps_file());
            how.durations = Some(paths.durations_file());
        }
        let report = self.carry_out(steps, how, ui::listeners(*wish, log.as_ref())).await?;
        if let Some(path) = timings {
            ui::timings::write(path, &report)?;
        }
        let Some(error) = report.error() else { return Ok(report) };
        // A report of what went well is the caller's to print.
        if wish.json {
            ui::out::json(&report)?;
        }
        Err(error)
    }

    fn log(&self) -> Result<LogFile> {
        let log = LogFile::create(&self.options.paths, self.command)?;
        ui::trace::begin(self.options.wish.verbose, Some(&log));
        Ok(log)
    }

    /// A run of which nothing is kept.
    fn how(&self) -> Result<RunOptions> {
        Ok(RunOptions {
            command: self.command.to_owned(),
            slots: slots(&self.session.site.cloud.sizing),
            interrupt: if self.patient { Interrupt::patient()? } else { Interrupt::on_signals()? },
            ..RunOptions::default()
        })
    }

    async fn carry_out(
        &self,
        steps: Vec<Step>,
        how: RunOptions,
        listeners: Vec<Box<dyn Listener>>,
    ) -> Result<Report> {
        let graph = Graph::new(steps)?;
        Ok(crate::engine::run::run(&graph, Arc::clone(&self.session.host), how, listeners).await)
    }
}
