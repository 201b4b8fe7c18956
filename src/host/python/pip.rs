//! The host's pip, which fetches wheels for the container's Python. The user's index, mirrors,
//! proxies, certificates, constraints and hashes apply; settings about where and how to install do not.
//!
//! It runs without rights, and with nothing to read but those settings and the directory in which it
//! puts wheels ([`confined`]): not as the checkout's owner, who has a home that pip has no
//! business in, nor as `nobody`, as whom other programs run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::confined::{self, Finished};
use crate::lxc::descent;
use crate::lxc::sandbox::{Lent, Program};
use crate::model::requirement::Requirement;
use crate::state::files;

/// How much of what pip said is shown.
const SHOWN_LINES: usize = 12;

/// How long it may take: a slow index, and a large wheel.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Pythons of the host that may have pip. Not those of a user's home, which nobody else can run.
const PYTHONS: [&str; 2] = ["/usr/local/bin/python3", "/usr/bin/python3"];

/// Where the directory with wheels, and the cache, are where pip runs.
const WORK: &str = "/work";
const CACHE: &str = "/cache";

/// Where pip keeps what it fetched.
#[derive(Clone, Debug)]
pub struct Places {
    pub cache: PathBuf,
    /// Every wheel, as a file.
    pub wheels: PathBuf,
}

/// Where wheels are to run.
#[derive(Clone, Debug)]
pub struct Platform {
    /// `3.13`, as pip and directories call it.
    pub python: String,
    /// Platform tags of wheels, best first.
    pub tags: Vec<String>,
    /// `x86_64`.
    pub machine: String,
}

/// The pip of a Python on the host.
#[derive(Clone, Debug)]
pub struct Pip {
    pythons: Vec<String>,
    settings: Settings,
    /// In tests, which need not be root's: whether it runs in this process's place.
    #[cfg(test)]
    here: bool,
}

impl Pip {
    /// Returns the pip that follows the settings of the host.
    pub fn of_host() -> Self {
        Self {
            pythons: PYTHONS.map(str::to_owned).to_vec(),
            settings: Settings::of_host(),
            #[cfg(test)]
            here: false,
        }
    }

    /// Puts the wheels of `requirements`, and nothing that those need in turn, into a directory below
    /// `staging`, which it returns. The wheels themselves are left in `wheels`, whole.
    pub async fn install(
        &self,
        requirements: &[Requirement],
        staging: &Path,
        places: &Places,
        platform: &Platform,
    ) -> Result<PathBuf> {
        // All that pip may write to; what it leaves there is as good as a stranger's.
        let own = staging.join("pip");
        let (fetched, unpacked) = (own.join("fetched"), own.join("site"));
        for directory in [&places.wheels, &places.cache, &fetched, &unpacked, &own.join("tmp")] {
            let doing = || format!("make {}", directory.display());
            fs::create_dir_all(directory).doing(doing)?;
        }
        let run = Run { pip: self, requirements, own: &own, places, platform };
        let (work, cache) = self.directories(&own, places);
        run.pip(fetch_arguments(&work.join("fetched"), &cache, platform)).await?;
        run.pip(unpack_arguments(&work.join("site"), &work.join("fetched"), platform)).await?;
        for wheel in entries(&fetched)? {
            let kept = places.wheels.join(wheel.file_name().unwrap_or_default());
            files::rename(&wheel, &kept)?;
        }
        let site = staging.join("site");
        // What ran there could write there: a link would lead whoever tidies it elsewhere.
        if !fs::symlink_metadata(&unpacked).is_ok_and(|it| it.is_dir()) {
            return Err(Error::failed(format!("keep {}", site.display()))
                .because(format!("{} is no directory any more", unpacked.display())));
        }
        files::rename(&unpacked, &site)?;
        descent::remove(&own).doing(|| format!("remove {}", own.display()))?;
        Ok(site)
    }

    #[cfg(not(test))]
    fn directories(&self, _: &Path, _: &Places) -> (PathBuf, PathBuf) {
        (WORK.into(), CACHE.into())
    }

    fn environment(&self, work: &Path) -> Vec<(String, String)> {
        let fixed = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            // With a user's settings for other purposes, pip would do something else.
            ("PIP_REQUIREMENT", "/dev/null"),
            ("PIP_REQUIRE_VIRTUALENV", "0"),
            ("PIP_DRY_RUN", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let temporary = work.join("tmp");
        let own = [("TMPDIR", temporary.clone()), ("PIP_LOG", temporary.join("pip.log"))]
            .map(|(name, path)| (name.to_owned(), path.display().to_string()));
        let mut all = self.settings.environment.clone();
        all.retain(|(name, _)| name != "PIP_PYTHON");
        all.into_iter().chain(fixed).chain(own).collect()
    }
}

/// One list of requirements, on its way.
struct Run<'a> {
    pip: &'a Pip,
    requirements: &'a [Requirement],
    own: &'a Path,
    places: &'a Places,
    platform: &'a Platform,
}

impl Run<'_> {
    /// Runs pip, in the first Python that has it.
    async fn pip(&self, mut arguments: Vec<String>) -> Result<()> {
        arguments.extend(self.requirements.iter().map(ToString::to_string));
        for python in self.pip.pythons.iter().filter(|python| Path::new(python).exists()) {
            let argv = std::iter::once(python.clone()).chain(arguments.clone()).collect();
            let finished = self.confined(argv).await?;
            if finished.status == Some(0) {
                return Ok(());
            }
            if !finished.stderr.contains("No module named pip") {
                return Err(failure(self.requirements, self.platform, &finished));
            }
        }
        Err(Error::new(ErrorKind::Host, format!("fetch {}", listed(self.requirements)))
            .because("the host's Python has no pip")
            .hint("Install it: apt install python3-pip"))
    }

    async fn confined(&self, argv: Vec<String>) -> Result<Finished> {
        let (work, _) = self.pip.directories(self.own, self.places);
        // With `-m`, the working directory is searched for modules first.
        let directory = work.join("site");
        let program = Program { argv, environment: self.pip.environment(&work), directory };
        #[cfg(test)]
        if self.pip.here {
            return tests::run_here(&program);
        }
        let mut sandbox = self.pip.settings.sandbox();
        for (source, target) in [(self.own, WORK), (&self.places.cache, CACHE)] {
            let doing = || format!("look at {}", source.display());
            let source = fs::canonicalize(source).doing(doing)?;
            let owner = source.metadata().doing(doing)?.uid();
            sandbox.lent.push(Lent { source, target: target.into(), owner, writable: true });
        }
        confined::run(sandbox, program, LIMIT).await
    }
}

/// Both of pip's runs: which wheels are meant, and no questions.
fn arguments(subcommand: &str, platform: &Platform) -> Vec<String> {
    let version = platform.python.clone();
    let mut arguments: Vec<String> =
        ["-m", "pip", subcommand, "--disable-pip-version-check", "--no-input"]
            .map(Into::into)
            .to_vec();
    arguments.extend(["--progress-bar", "off", "--no-deps", "--only-binary=:all:"].map(Into::into));
    arguments.extend(["--python-version".into(), version.clone()]);
    arguments.extend(["--implementation", "cp"].map(Into::into));
    for abi in [format!("cp{}", version.replace('.', "")), "abi3".into(), "none".into()] {
        arguments.extend(["--abi".into(), abi]);
    }
    for tag in &platform.tags {
        arguments.extend(["--platform".into(), tag.clone()]);
    }
    arguments
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn fetch_arguments(target: &Path, cache: &Path, platform: &Platform) -> Vec<String> {
    let mut arguments = arguments("download", platform);
    arguments.extend(["--cache-dir".into(), shown(cache)]);
    arguments.extend(["--dest".into(), shown(target), "--".into()]);
    arguments
}

/// By requirement, not by file: pip would note in the target where each file stood.
fn unpack_arguments(target: &Path, fetched: &Path, platform: &Platform) -> Vec<String> {
    let mut arguments = arguments("install", platform);
    // What a user's configuration may say about the place must not.
    arguments.extend(["--no-user", "--prefix=", "--root=/"].map(Into::into));
    arguments.extend(["--root-user-action", "ignore", "--no-compile"].map(Into::into));
    arguments.extend(["--no-index", "--no-cache-dir"].map(Into::into));
    arguments.extend(["--find-links".into(), shown(fetched)]);
    arguments.extend(["--target".into(), shown(target), "--".into()]);
    arguments
}

/// The wheels in a directory, in order: files, whatever else pip may have been made to leave.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("look into {}", directory.display());
    if !directory.symlink_metadata().doing(doing)?.is_dir() {
        return Err(Error::failed(doing()).because("it is no directory any more"));
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).doing(doing)? {
        let entry = entry.doing(doing)?;
        if entry.file_type().doing(doing)?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Requirements, as a list for a message.
pub fn listed(requirements: &[Requirement]) -> String {
    requirements.iter().map(Requirement::as_str).collect::<Vec<_>>().join(", ")
}

/// Names the requirement for which there is no wheel, if it is that.
fn failure(requirements: &[Requirement], platform: &Platform, finished: &Finished) -> Error {
    let doing = |what: &str| Error::failed(format!("fetch {what}"));
    let all = listed(requirements);
    let said = &finished.stderr;
    let unmet =
        said.lines().find_map(|line| line.split_once("No matching distribution found for "));
    // pip finds no distribution, too, when nobody answers.
    let error = if said.contains("WARNING: Retrying (") {
        doing(&all).because("the package index could not be reached").hint(
            "Index, proxy and certificates are those of the host's pip: `pip config list` shows them.",
        )
    } else if said.contains("--require-hashes") {
        doing(&all)
            .because("the host's pip is set to require hashes, and a checkout's requirements have none")
            .hint(
                "Name their versions and hashes in the constraints of that pip (PIP_CONSTRAINT), or \
                 let this run do without: PIP_REQUIRE_HASHES=0.",
            )
    } else if let Some((_, requirement)) = unmet {
        let (python, machine) = (&platform.python, &platform.machine);
        doing(requirement.trim())
            .because(format!("there is no wheel of it for Python {python} on {machine}"))
            .hint(
                "What exists only as source is not built: run a checkout of it as well (--lib), or \
                 install its Debian package in the container.",
            )
    } else {
        let ended = match finished.status {
            Some(status) => format!("pip failed (exit status {status})"),
            None => "pip was ended".to_owned(),
        };
        doing(&all).because(ended)
    };
    let lines: Vec<&str> = said.lines().collect();
    error.output(lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n"))
}

#[cfg(test)]
impl Pip {
    /// Returns a pip that knows only the wheels of a directory.
    pub fn of_directory(directory: &Path) -> Self {
        Self::with_variables(&[
            ("PIP_NO_INDEX", "1"),
            ("PIP_FIND_LINKS", directory.to_str().unwrap_or_default()),
            ("PIP_CONFIG_FILE", "/dev/null"),
        ])
    }

    fn with_variables(variables: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = variables.iter().map(own).collect();
        let settings = Settings { environment, ..Settings::default() };
        Self { pythons: PYTHONS.map(str::to_owned).to_vec(), settings, here: true }
    }

    /// Adds a variable to the environment.
    fn with(mut self, name: &str, value: &Path) -> Self {
        self.settings.environment.push((name.into(), value.display().to_string()));
        self
    }

    fn directories(&self, own: &Path, places: &Places) -> (PathBuf, PathBuf) {
        if self.here {
            return (own.to_owned(), places.cache.clone());
        }
        (WORK.into(), CACHE.into())
    }
}

#[cfg(test)]
#[path = "pip_tests.rs"]
mod tests;
