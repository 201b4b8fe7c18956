//! How a command begins.

use super::global::Global;
use crate::cloud::run::Options;
use crate::error::{Error, Result};

/// What the command line says about every run.
pub fn options(global: &Global) -> Options {
    Options {
        paths: global.paths(),
        wish: global.wish(),
        lock_timeout: global.lock_timeout(),
        timings: None,
    }
}

/// Runs a future to its end on a runtime of its own. Commands that need none do not pay for one.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("start the worker threads").because(error))?;
    let result = runtime.block_on(future);
    // A thread that still waits for a killed child must not hold up the exit.
    runtime.shutdown_background();
    result
}
