//! The configuration directory, and what `aio` wrote down.

use std::path::Path;

use super::files::{files_below, settings};
use super::ground::Ground;
use crate::engine::step::StepContext;
use crate::error::Result;
use crate::secrets::store;

/// How much of a file is kept, from its end. What is recorded of a large cloud is one long line.
const LIMIT_BYTES: u64 = 16 << 20;

/// How much of each log.
const LOG_LIMIT_BYTES: u64 = 4 << 20;

/// Where a file of `directory` stands in the archive.
fn name(top: &str, directory: &Path, path: &Path) -> String {
    let below = path.strip_prefix(directory).unwrap_or(path);
    format!("{top}/{}", below.display())
}

async fn take(ground: &Ground, context: &StepContext, name: &str, path: &Path) {
    let is_log = path.extension().is_some_and(|extension| extension == "log");
    let limit_bytes = if is_log { LOG_LIMIT_BYTES } else { LIMIT_BYTES };
    let found = context.host.diagnostics.file(path, limit_bytes).await;
    ground.findings.take_file(name, found);
}

/// Which secrets there are, never what they are.
pub fn secret_names(ground: &Ground) -> Result<()> {
    let file = store::read(&ground.options.paths.secrets_file())?;
    let line = |(name, is_set): (&str, bool)| {
        let set = if is_set { "" } else { " (empty)" };
        format!("{name}{set}\n")
    };
    let text: String = file.names().map(line).collect();
    ground.findings.add("config/user_secrets.names.txt", text.as_bytes());
    Ok(())
}

/// What the user wrote: settings, profiles and specifications of secrets. No other file: copies of
/// `user_secrets.yml` hold secrets that nobody knows any more.
pub async fn configuration(ground: &Ground, context: &StepContext) -> Result<()> {
    let paths = &ground.options.paths;
    let directory = &paths.config_dir;
    for path in settings(paths).into_iter().filter(|path| path.exists()) {
        let name = name("config", directory, &path);
        match context.host.diagnostics.file(&path, LIMIT_BYTES).await {
            Ok(Some(text)) => ground.findings.add_settings(&name, &text),
            Ok(None) => ground.findings.missing(&name, "it is not there"),
            Err(error) => ground.findings.missing(&name, error),
        }
    }
    for below in ["profiles", "secrets"] {
        for path in files_below(&directory.join(below)) {
            take(ground, context, &name("config", directory, &path), &path).await;
        }
    }
    Ok(())
}

/// Which containers there are, what each was made of, and what runs from a checkout.
pub async fn records(ground: &Ground, context: &StepContext) -> Result<()> {
    let paths = &ground.options.paths;
    let directory = paths.cloud_dir();
    let mut all = vec![paths.topology_file()];
    all.extend(
        [paths.lock_file(), paths.check_durations_file()].into_iter().filter(|it| it.exists()),
    );
    all.extend(files_below(&directory.join("specs")));
    all.extend(files_below(&paths.swaps_dir()));
    all.extend(files_below(&directory.join("kept")));
    for path in all {
        take(ground, context, &name("state", &directory, &path), &path).await;
    }
    Ok(())
}

/// The cloud as the last `bootstrap` wanted it, and what runs did. Not the small records: they are
/// hashes, of secrets too, and of the gateway nothing but its log.
pub async fn runs(ground: &Ground, context: &StepContext) -> Result<()> {
    let paths = &ground.options.paths;
    let directory = paths.cloud_dir();
    let sessions = paths.gateway_dir().join("sessions.log");
    let mut all = vec![paths.recorded_cloud_file(), paths.steps_file(), sessions];
    all.retain(|path| path.exists());
    all.extend(files_below(&paths.log_dir()));
    for path in all {
        take(ground, context, &name("state", &directory, &path), &path).await;
    }
    Ok(())
}
