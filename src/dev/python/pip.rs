//! The host's pip, which fetches wheels for the container's Python. The user's index, mirrors,
//! proxies and certificates apply; settings about where and how to install do not.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::Command;

use super::inspect::Inspection;
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// How much of what pip said is shown.
const SHOWN_LINES: usize = 12;

/// Where pip keeps what it fetched.
#[derive(Clone, Debug)]
pub struct Places {
    /// Its own cache.
    pub cache: PathBuf,
    /// Every wheel, as a file.
    pub wheels: PathBuf,
}

/// The pip of a Python on the host.
#[derive(Clone, Debug)]
pub struct Pip {
    /// The Pythons to try: a virtual environment that is first in the PATH may lack pip.
    pythons: Vec<OsString>,
    /// Added to the environment.
    environment: Vec<(OsString, OsString)>,
}

impl Default for Pip {
    fn default() -> Self {
        let pythons = vec!["python3".into(), "/usr/bin/python3".into()];
        Self { pythons, environment: Vec::new() }
    }
}

impl Pip {
    /// Puts the wheels of `requirements`, and nothing that those need in turn, into an empty
    /// directory. The wheels themselves are left in `wheels`, whole.
    ///
    /// # Errors
    /// When the host has no pip, or no wheel fits.
    pub async fn install(
        &self,
        requirements: &[String],
        target: &Path,
        places: &Places,
        platform: &Inspection,
    ) -> Result<()> {
        let fetched = target.with_file_name("fetched");
        for directory in [&places.wheels, &fetched] {
            let doing = || format!("make {}", directory.display());
            fs::create_dir_all(directory).doing(doing)?;
        }
        let mut arguments = fetch_arguments(&fetched, &places.cache, platform);
        arguments.extend(requirements.iter().map(Into::into));
        self.run(requirements, &arguments, target, platform).await?;
        let mut arguments = unpack_arguments(target, &fetched, platform);
        arguments.extend(requirements.iter().map(Into::into));
        self.run(requirements, &arguments, target, platform).await?;
        for wheel in entries(&fetched)? {
            let kept = places.wheels.join(wheel.file_name().unwrap_or_default());
            fs::rename(&wheel, &kept).doing(|| format!("keep {}", kept.display()))?;
        }
        fs::remove_dir(&fetched).doing(|| format!("remove {}", fetched.display()))
    }

    /// Runs pip, in the first Python that has it.
    async fn run(
        &self,
        requirements: &[String],
        arguments: &[OsString],
        directory: &Path,
        platform: &Inspection,
    ) -> Result<()> {
        for python in &self.pythons {
            let mut command = Command::new(python);
            command.args(arguments);
            self.isolate(&mut command, directory);
            let output = match command.output().await {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                output => output.doing(|| format!("run {}", Path::new(python).display()))?,
            };
            if output.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if !said.contains("No module named pip") {
                return Err(failure(requirements, platform, &output, &said));
            }
        }
        Err(Error::new(ErrorKind::Host, "fetch what the checkout needs")
            .because("the host's Python has no pip")
            .hint("Install it: apt install python3-pip"))
    }

    /// Takes away what a user's settings for other purposes would change. The rest of the
    /// environment stays: it may hold the proxy, the index and the certificates.
    fn isolate(&self, command: &mut Command, directory: &Path) {
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // With `-m`, the working directory is searched for modules first.
            .current_dir(directory)
            .env("LC_ALL", "C.UTF-8")
            .env("PIP_CONSTRAINT", "/dev/null")
            .env("PIP_REQUIREMENT", "/dev/null")
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env("PIP_REQUIRE_HASHES", "0")
            .env("PIP_DRY_RUN", "0")
            .env_remove("PIP_PYTHON")
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONHOME")
            .stdin(Stdio::null())
            .kill_on_drop(true);
    }
}

/// Both of pip's runs: which wheels are meant, and no questions.
fn arguments(subcommand: &str, platform: &Inspection) -> Vec<OsString> {
    let version = platform.python_minor();
    let mut arguments: Vec<OsString> =
        ["-m", "pip", subcommand, "--disable-pip-version-check", "--no-input"]
            .map(Into::into)
            .to_vec();
    arguments.extend(["--progress-bar", "off", "--no-deps", "--only-binary=:all:"].map(Into::into));
    arguments.extend(["--python-version".into(), version.clone().into()]);
    arguments.extend(["--implementation", "cp"].map(Into::into));
    for abi in [format!("cp{}", version.replace('.', "")), "abi3".into(), "none".into()] {
        arguments.extend(["--abi".into(), abi.into()]);
    }
    for tag in &platform.platforms {
        arguments.extend(["--platform".into(), tag.into()]);
    }
    arguments
}

fn fetch_arguments(target: &Path, cache: &Path, platform: &Inspection) -> Vec<OsString> {
    let mut arguments = arguments("download", platform);
    arguments.extend(["--cache-dir".into(), cache.into()]);
    arguments.extend(["--dest".into(), target.into(), "--".into()]);
    arguments
}

/// By requirement, not by file: pip would note in the target where each file stood.
fn unpack_arguments(target: &Path, fetched: &Path, platform: &Inspection) -> Vec<OsString> {
    let mut arguments = arguments("install", platform);
    // What a user's configuration may say about the place must not.
    arguments.extend(["--no-user", "--prefix=", "--root=/"].map(Into::into));
    arguments.extend(["--root-user-action", "ignore", "--no-compile"].map(Into::into));
    arguments.extend(["--no-index", "--no-cache-dir"].map(Into::into));
    arguments.extend(["--find-links".into(), fetched.into()]);
    arguments.extend(["--target".into(), target.into(), "--".into()]);
    arguments
}

/// What is in a directory, in order.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("look into {}", directory.display());
    let entries = fs::read_dir(directory).doing(doing)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).doing(doing));
    let mut paths = paths.collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Names the requirement for which there is no wheel, if it is that.
fn failure(requirements: &[String], platform: &Inspection, output: &Output, said: &str) -> Error {
    let doing = |what: &str| Error::failed(format!("fetch what the checkout needs: {what}"));
    let all = requirements.join(", ");
    let unmet =
        said.lines().find_map(|line| line.split_once("No matching distribution found for "));
    // pip finds no distribution, too, when nobody answers.
    let error = if said.contains("WARNING: Retrying (") {
        doing(&all).because("the package index could not be reached").hint(
            "Index, proxy and certificates are those of the host's pip: `pip config list` shows them.",
        )
    } else if let Some((_, requirement)) = unmet {
        let (python, machine) = (platform.python_minor(), &platform.machine);
        doing(requirement.trim())
            .because(format!("there is no wheel of it for Python {python} on {machine}"))
            .hint(
                "What exists only as source is not built: run a checkout of it as well (--lib), or \
                 install its Debian package in the container.",
            )
    } else {
        doing(&all).because(format!("pip failed ({})", output.status))
    };
    let lines: Vec<&str> = said.lines().collect();
    error.output(lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n"))
}

#[cfg(test)]
impl Pip {
    /// One that knows only the wheels of a directory.
    pub(super) fn of_directory(directory: &Path) -> Self {
        let environment = [
            ("PIP_NO_INDEX".into(), "1".into()),
            ("PIP_FIND_LINKS".into(), directory.into()),
            ("PIP_CONFIG_FILE".into(), "/dev/null".into()),
        ];
        Self { environment: environment.into(), ..Self::default() }
    }

    /// With one more variable in the environment.
    fn with(mut self, name: &str, value: &Path) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}

#[cfg(test)]
#[path = "pip_tests.rs"]
mod tests;
