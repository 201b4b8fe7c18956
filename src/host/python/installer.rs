//! uv, which installs a whole lock in seconds: fetched by the host's pip, checked against the lock, and
//! run without rights in the system that a layer is made of. The host's own settings for pip and uv say
//! where distributions come from.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pip::{Pip, Places, Platform};
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::confined::{self, Finished};
use crate::lxc::descent;
use crate::lxc::sandbox::{Lent, Program, System};
use crate::model::hash::sha256_hex;
use crate::model::lock::{Distribution, Lock};
use crate::model::requirement::Requirement;
use crate::state::files;

/// Its distribution's name.
pub const NAME: &str = "uv";

/// How long it may take: a slow index, and half a gigabyte of wheels.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// How much of what it said is shown.
const SHOWN_LINES: usize = 12;

/// Where its own directory is while it runs.
const TOOLS: &str = "/tools";

/// Versions of glibc for which wheels are built, the newest first.
const LIBRARIES: [&str; 6] = ["2_41", "2_39", "2_34", "2_28", "2_17", "2_5"];

/// An installed uv.
pub struct Installer {
    /// A directory with `bin/uv`.
    directory: PathBuf,
    settings: Settings,
}

/// What uv works on.
pub struct Target<'a> {
    /// The system in which it runs.
    pub system: System,
    /// A directory of the host that it may write to, and where it finds that.
    pub directory: &'a Path,
    pub place: &'a Path,
    /// Where in there it has a directory `cache` of its own.
    pub work: &'a Path,
}

impl Installer {
    /// Returns the uv of a lock, from `directory` or else from the index.
    ///
    /// # Errors
    /// When the lock names none, the index has none, or another than the lock's.
    pub async fn of_lock(lock: &Lock, directory: &Path) -> Result<Self> {
        let doing = || "fetch uv, which installs Python distributions".to_owned();
        let wanted = lock.distribution(NAME).ok_or_else(|| {
            Error::new(ErrorKind::Config, doing()).because("the release's lock has no uv")
        })?;
        let kept = directory.join(format!("uv-{}", wanted.version));
        if !kept.join("bin/uv").is_file() {
            fetch(wanted, directory, &kept).await.map_err(|error| error.context(doing()))?;
        }
        Ok(Self { directory: kept, settings: Settings::of_host() })
    }

    /// Runs uv with these arguments to its end.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run(&self, target: &Target<'_>, arguments: &[&str]) -> Result<()> {
        let program = format!("{TOOLS}/bin/uv");
        let argv = std::iter::once(program.as_str()).chain(arguments.iter().copied());
        let mut sandbox = self.settings.sandbox_of(target.system.clone());
        for (source, place, writable) in
            [(target.directory, target.place, true), (&self.directory, Path::new(TOOLS), false)]
        {
            let doing = || format!("look at {}", source.display());
            let source = fs::canonicalize(source).doing(doing)?;
            let owner = source.metadata().doing(doing)?.uid();
            sandbox.lent.push(Lent { source, target: place.to_owned(), owner, writable });
        }
        let cache = target.work.join("cache");
        let program = Program {
            argv: argv.map(str::to_owned).collect(),
            environment: self.settings.for_uv(&cache),
            directory: target.place.to_owned(),
        };
        let finished = confined::run(sandbox, program, LIMIT).await?;
        if finished.status == Some(0) { Ok(()) } else { Err(failure(&finished)) }
    }
}

/// Puts the one of the lock into `kept`.
async fn fetch(wanted: &Distribution, directory: &Path, kept: &Path) -> Result<()> {
    let staging = directory.join("fetching");
    descent::remove(&staging).doing(|| format!("remove {}", staging.display()))?;
    let machine = std::env::consts::ARCH;
    let tags = LIBRARIES.map(|library| format!("manylinux_{library}_{machine}"));
    let platform = Platform {
        python: "3.13".to_owned(),
        tags: tags.into_iter().chain([format!("linux_{machine}")]).collect(),
        machine: machine.to_owned(),
    };
    let text = format!("{NAME}=={}", wanted.version);
    let requirement = Requirement::parse(&text).map_err(|reason| {
        Error::new(ErrorKind::Config, format!("read `{text}` of a lock")).because(reason)
    })?;
    let places = Places { cache: staging.join("cache"), wheels: staging.join("wheels") };
    let site = Pip::of_host().install(&[requirement], &staging, &places, &platform).await?;
    for wheel in files::entries(&places.wheels)? {
        let content = fs::read(&wheel).doing(|| format!("read {}", wheel.display()))?;
        if !wanted.hashes.contains(&sha256_hex(&content)) {
            return Err(Error::failed(format!("check {}", wheel.display()))
                .because(format!("the index has another uv {} than the lock", wanted.version))
                .hint("Is the index that pip is set to the one that it should be?"));
        }
    }
    files::rename(&site, kept)?;
    descent::remove(&staging).doing(|| format!("remove {}", staging.display()))
}

/// Says what went wrong in words of one's own, where that can be told.
fn failure(finished: &Finished) -> Error {
    let doing = "install the release's Python distributions";
    let said = &finished.stderr;
    let lines: Vec<&str> = said.lines().collect();
    let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    let line = |word: &str| said.lines().find(|line| line.contains(word)).unwrap_or_default();
    let has = |word: &str| said.contains(word);
    let error = if has("Hash mismatch") {
        Error::failed(doing)
            .because(
                line("Hash mismatch").trim().trim_start_matches(['×', '├', '╰', '─', '▶', ' ']),
            )
            .because("the index has another file of that version than the lock was made with")
            .hint("Is the index that pip or uv is set to the one that it should be?")
    } else if has("error sending request") || has("dns error") || has("timed out") {
        Error::failed(doing).because("the package index could not be reached").hint(
            "Index, proxy and certificates are those of the host's uv, or else of its pip: `pip \
             config list` shows them. What was fetched is kept: run the same command again.",
        )
    } else if has("No solution found") {
        Error::failed(doing).because("the index lacks a version that the lock names").hint(
            "Is the index that pip or uv is set to complete? `aio release lock` makes a lock of what \
             an index has.",
        )
    } else if has("No space left on device") {
        Error::new(ErrorKind::Host, doing).because("disk full")
    } else {
        let ended = finished.status.map_or("uv was ended".to_owned(), |status| {
            format!("uv failed (exit status {status})")
        });
        Error::failed(doing).because(ended)
    };
    error.output(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(said: &str) -> String {
        let finished = Finished { status: Some(1), stderr: said.to_owned() };
        failure(&finished).causes.join("; ")
    }

    #[test]
    fn failures_say_what_a_user_can_do_something_about() {
        assert!(failed("  × Failed\n  ╰─▶ Hash mismatch for `a==1`\n").contains("another file"));
        assert!(failed("error sending request for url (x)").contains("could not be reached"));
        assert!(failed("  × No solution found when").contains("lacks a version"));
        assert!(failed("No space left on device (os error 28)").contains("disk full"));
        assert_eq!(failed("?"), "uv failed (exit status 1)");
    }
}
