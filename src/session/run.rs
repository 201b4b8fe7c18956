//! One run of a graph: the lock, the log, Ctrl-C, the display, the report.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Session;
use crate::engine::graph::Graph;
use crate::engine::interrupt::Interrupt;
use crate::engine::options::{RunOptions, Slots};
use crate::engine::report::Report;
use crate::engine::step::Step;
use crate::error::Result;
use crate::model::paths::Paths;
use crate::model::sizing::Sizing;
use crate::state::lock::Lock;
use crate::ui::logfile::LogFile;
use crate::ui::{self, Wish};

/// What the command line says about every run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the cloud stands.
    pub paths: Paths,
    /// How much is shown, and how.
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

/// A run of which nothing is kept.
fn plain(session: &Session, command: &str, interrupt: Interrupt) -> RunOptions {
    RunOptions {
        command: command.to_owned(),
        dry_run: false,
        told_by_command: false,
        slots: slots(&session.shared.cloud.sizing),
        interrupt,
        journal: None,
        durations: None,
    }
}

fn slots(sizing: &Sizing) -> Slots {
    Slots {
        package: sizing.parallel_packages,
        download: sizing.parallel_packages,
        start: sizing.parallel_starts,
        load: sizing.parallel_loads,
    }
}

/// Runs steps to their end and shows how it goes; what they did is journaled and timed.
///
/// # Errors
/// When a step failed or the run was interrupted.
pub async fn run(
    options: &Options,
    session: &Session,
    command: &str,
    steps: Vec<Step>,
) -> Result<Report> {
    let done = run_once(options, session, command, steps).await;
    done.map_err(|error| error.hint(again(command)))
}

/// What to do after a run that looks before it acts.
fn again(command: &str) -> String {
    format!("Run `aio {command}` again: it looks at what is there and carries on.")
}

/// As [`run`], for steps that are not simply run again.
///
/// # Errors
/// As [`run`].
pub async fn run_once(
    options: &Options,
    session: &Session,
    command: &str,
    steps: Vec<Step>,
) -> Result<Report> {
    traced(options, session, command, steps, Interrupt::on_signals()?).await
}

/// As [`run`], for steps that put something back: see [`Interrupt::patient`].
///
/// # Errors
/// As [`run`].
pub async fn run_patiently(
    options: &Options,
    session: &Session,
    command: &str,
    steps: Vec<Step>,
) -> Result<Report> {
    let done = traced(options, session, command, steps, Interrupt::patient()?).await;
    done.map_err(|error| error.hint(again(command)))
}

async fn traced(
    options: &Options,
    session: &Session,
    command: &str,
    steps: Vec<Step>,
    interrupt: Interrupt,
) -> Result<Report> {
    let paths = &options.paths;
    let log = LogFile::create(paths, command)?;
    ui::trace::begin(options.wish.verbose, Some(&log));
    let run_options = RunOptions {
        journal: Some(paths.steps_file()),
        durations: Some(paths.durations_file()),
        ..plain(session, command, interrupt)
    };
    finish(options, session, steps, run_options, Some(&log)).await
}

/// As [`run`], for steps that remove the very directory in which a run leaves its trace.
///
/// # Errors
/// As [`run`].
pub async fn run_without_trace(
    options: &Options,
    session: &Session,
    command: &str,
    steps: Vec<Step>,
) -> Result<Report> {
    let done =
        finish(options, session, steps, plain(session, command, Interrupt::on_signals()?), None)
            .await;
    done.map_err(|error| error.hint(again(command)))
}

/// Only looks: what steps would do, and why. Which could not be looked at is part of the report.
///
/// # Errors
/// When the steps make no graph.
pub async fn look(
    options: &Options,
    session: &Session,
    command: &str,
    steps: Vec<Step>,
) -> Result<Report> {
    let graph = Graph::new(steps)?;
    let run_options = RunOptions {
        dry_run: true,
        durations: Some(options.paths.durations_file()),
        ..plain(session, command, Interrupt::on_signals()?)
    };
    let host = Arc::clone(&session.host);
    Ok(crate::engine::run::run(&graph, host, run_options, Vec::new()).await)
}

/// Runs steps that change nothing of what `aio` keeps: no journal, which belongs to whoever holds
/// the cloud's lock, and how it ended is the caller's to say. `durations` is where those of earlier
/// runs stand, if they tell anything about this one.
///
/// # Errors
/// When the steps make no graph, or the log cannot be written.
pub async fn check(
    options: &Options,
    session: &Session,
    command: &str,
    steps: Vec<Step>,
    durations: Option<PathBuf>,
) -> Result<Report> {
    let log = LogFile::create(&options.paths, command)?;
    ui::trace::begin(options.wish.verbose, Some(&log));
    let run_options = RunOptions {
        told_by_command: true,
        durations,
        ..plain(session, command, Interrupt::on_signals()?)
    };
    let graph = Graph::new(steps)?;
    let listeners = ui::listeners(options.wish, Some(&log));
    let host = Arc::clone(&session.host);
    Ok(crate::engine::run::run(&graph, host, run_options, listeners).await)
}

async fn finish(
    options: &Options,
    session: &Session,
    steps: Vec<Step>,
    run_options: RunOptions,
    log: Option<&LogFile>,
) -> Result<Report> {
    let graph = Graph::new(steps)?;
    let listeners = ui::listeners(options.wish, log);
    let host = Arc::clone(&session.host);
    let report = crate::engine::run::run(&graph, host, run_options, listeners).await;
    if let Some(path) = &options.timings {
        ui::timings::write(path, &report)?;
    }
    match report.error() {
        Some(error) => {
            // A report of what went well is the caller's to print.
            if options.wish.json {
                ui::out::json(&report)?;
            }
            Err(error)
        }
        None => Ok(report),
    }
}
