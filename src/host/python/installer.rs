//! uv, which makes a lock and installs a whole one in seconds: fetched by the host's pip, checked against
//! the lock if there is one, and run without rights, in the system that a layer is made of or in the
//! host's. The host's own settings for pip and uv say where distributions come from.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pip::{Pip, Places, Platform};
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::confined::{self, Finished};
use crate::lxc::descent;
use crate::lxc::sandbox::{Lent, Program, Sandbox, System};
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

/// What it says when no versions go together.
const NO_SOLUTION: &str = "No solution found";

/// Where its own directory is while it runs, and the program in there.
const TOOLS: &str = "/tools";
const PROGRAM: &str = "bin/uv";

/// Versions of glibc for which wheels are built, the newest first.
const LIBRARIES: [&str; 6] = ["2_41", "2_39", "2_34", "2_28", "2_17", "2_5"];

/// An installed uv.
pub struct Installer {
    /// A directory with [`PROGRAM`].
    directory: PathBuf,
    settings: Settings,
}

/// What uv is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// To install what a lock names.
    Install,
    /// To find versions that go together.
    Resolve,
}

/// What uv works on.
pub struct Target<'a> {
    /// The system in which it runs; the host's own without.
    pub system: Option<System>,
    /// A directory of the host that it may write to, and where it finds that.
    pub directory: &'a Path,
    pub place: &'a Path,
    /// Where in there it has a directory `cache` of its own.
    pub work: &'a Path,
    /// Where in there wheels are beside those of the index.
    pub wheels: Option<&'a Path>,
}

impl Target<'_> {
    /// A place without rights, settings and network in which it is worked on.
    ///
    /// # Errors
    /// When the directory cannot be looked at.
    pub fn sandbox(&self) -> Result<Sandbox> {
        let mut sandbox = Settings::default().sandbox();
        sandbox.network = false;
        if let Some(system) = &self.system {
            sandbox.see(system.clone());
        }
        sandbox.lent.push(lent(self.directory, self.place, true)?);
        Ok(sandbox)
    }
}

fn lent(source: &Path, place: &Path, writable: bool) -> Result<Lent> {
    let doing = || format!("look at {}", source.display());
    let source = fs::canonicalize(source).doing(doing)?;
    let owner = source.metadata().doing(doing)?.uid();
    Ok(Lent { source, target: place.to_owned(), owner, writable })
}

impl Installer {
    /// Returns the uv of a lock, from `directory` or else from the index.
    ///
    /// # Errors
    /// When the lock names none, the index has none, or another than the lock's.
    pub async fn of_lock(lock: &Lock, directory: &Path) -> Result<Self> {
        let wanted = lock.distribution(NAME).ok_or_else(|| {
            Error::new(ErrorKind::Config, fetching()).because("the release's lock has no uv")
        })?;
        // The same version with other hashes is another.
        let mark = sha256_hex(wanted.hashes.join(" "));
        let kept = directory.join(format!("uv-{}-{}", wanted.version, &mark[..12]));
        if !kept.join(PROGRAM).is_file() {
            fetch(Some(wanted), directory, &kept).await?;
        }
        Ok(Self { directory: kept, settings: Settings::of_host() })
    }

    /// Returns the newest uv of the index, which no lock vouches for: what it was before is replaced.
    ///
    /// # Errors
    /// When the index has none.
    pub async fn newest(directory: &Path) -> Result<Self> {
        let kept = directory.join("newest");
        descent::remove(&kept).doing(|| format!("remove {}", kept.display()))?;
        fetch(None, directory, &kept).await?;
        Ok(Self { directory: kept, settings: Settings::of_host() })
    }

    /// Runs uv with these arguments to its end.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run(&self, task: Task, target: &Target<'_>, arguments: &[&str]) -> Result<()> {
        let program = format!("{TOOLS}/{PROGRAM}");
        let argv = std::iter::once(program.as_str()).chain(arguments.iter().copied());
        let mut sandbox = match &target.system {
            Some(system) => self.settings.sandbox_of(system.clone()),
            None => self.settings.sandbox(),
        };
        sandbox.lent.push(lent(target.directory, target.place, true)?);
        sandbox.lent.push(lent(&self.directory, Path::new(TOOLS), false)?);
        let cache = target.work.join("cache");
        let mut environment = self.settings.for_uv(&cache);
        if let Some(wheels) = target.wheels {
            add(&mut environment, "UV_FIND_LINKS", &wheels.display().to_string());
        }
        let program = Program {
            argv: argv.map(str::to_owned).collect(),
            environment,
            directory: target.place.to_owned(),
        };
        let finished = confined::run(sandbox, program, LIMIT).await?;
        if finished.status == Some(0) { Ok(()) } else { Err(failure(task, &finished)) }
    }
}

/// Adds one to a setting that is a list.
fn add(environment: &mut Vec<(String, String)>, name: &str, value: &str) {
    match environment.iter_mut().find(|(known, _)| known == name) {
        Some((_, list)) => list.extend([",", value]),
        None => environment.push((name.to_owned(), value.to_owned())),
    }
}

fn fetching() -> String {
    "fetch uv, which resolves and installs Python distributions".to_owned()
}

/// Puts the one of a lock into `kept`, or the newest.
async fn fetch(wanted: Option<&Distribution>, directory: &Path, kept: &Path) -> Result<()> {
    let staging = directory.join("fetching");
    descent::remove(&staging).doing(|| format!("remove {}", staging.display()))?;
    let machine = std::env::consts::ARCH;
    let tags = LIBRARIES.map(|library| format!("manylinux_{library}_{machine}"));
    let platform = Platform {
        python: "3.13".to_owned(),
        tags: tags.into_iter().chain([format!("linux_{machine}")]).collect(),
        machine: machine.to_owned(),
    };
    let text = wanted.map_or(NAME.to_owned(), |wanted| format!("{NAME}=={}", wanted.version));
    let requirement = Requirement::parse(&text).map_err(|reason| {
        Error::new(ErrorKind::Config, format!("read `{text}` of a lock")).because(reason)
    })?;
    let places = Places { cache: staging.join("cache"), wheels: staging.join("wheels") };
    let installed = Pip::of_host().install(&[requirement], &staging, &places, &platform).await;
    let site = installed.map_err(|error| error.context(fetching()))?;
    if let Some(wanted) = wanted {
        check(wanted, &places.wheels)?;
    }
    files::rename(&site, kept)?;
    descent::remove(&staging).doing(|| format!("remove {}", staging.display()))
}

/// Refuses a wheel that is another than the lock's.
fn check(wanted: &Distribution, wheels: &Path) -> Result<()> {
    for wheel in files::entries(wheels)? {
        let content = fs::read(&wheel).doing(|| format!("read {}", wheel.display()))?;
        if !wanted.hashes.contains(&sha256_hex(&content)) {
            return Err(Error::failed(fetching())
                .because(format!("the index has another uv {} than the lock", wanted.version))
                .hint("Is the index that pip is set to the one that it should be?"));
        }
    }
    Ok(())
}

/// Says what went wrong in words of one's own, where that can be told.
fn failure(task: Task, finished: &Finished) -> Error {
    let error = Error::failed(match task {
        Task::Install => "install the release's Python distributions",
        Task::Resolve => "find versions of the release's Python distributions that go together",
    });
    let said = &finished.stderr;
    let lines: Vec<&str> = said.lines().collect();
    let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    let has = |word: &str| said.contains(word);
    let error = if has("Hash mismatch") {
        let line = said.lines().find(|line| line.contains("Hash mismatch")).unwrap_or_default();
        error
            .because(bare(line))
            .because("the index has another file of that version than the lock was made with")
            .hint("Is the index that pip or uv is set to the one that it should be?")
    } else if has("error sending request") || has("dns error") || has("timed out") {
        error.because("the package index could not be reached").hint(
            "Index, proxy and certificates are those of the host's uv, or else of its pip: `pip \
             config list` shows them. Then run the same command again.",
        )
    } else if has(NO_SOLUTION) && task == Task::Resolve {
        return reasons(said).into_iter().fold(error, Error::because);
    } else if has(NO_SOLUTION) {
        error.because("the index lacks a version that the lock names").hint(
            "Is the index that pip or uv is set to complete? `aio release lock` makes a lock of what \
             an index has.",
        )
    } else if has("No space left on device") {
        Error { kind: ErrorKind::Host, ..error }.because("disk full")
    } else {
        error.because(finished.status.map_or("uv was ended".to_owned(), |status| {
            format!("uv failed (exit status {status})")
        }))
    };
    error.output(shown)
}

/// Why there is no solution, a sentence or more for each reason that uv gives.
fn reasons(said: &str) -> Vec<String> {
    let (_, said) = said.split_once(NO_SOLUTION).unwrap_or_default();
    // The rest of that line ends with `:` or with nothing.
    let (_, said) = said.split_once('\n').unwrap_or_default();
    let paragraphs = said.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> =
            paragraph.lines().map(bare).filter(|line| !line.is_empty()).collect();
        let sentences = lines.join(" ");
        sentences.strip_prefix("Because ").map_or(sentences.clone(), str::to_owned)
    });
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect()
}

/// A line of uv's without what it begins lines with.
fn bare(line: &str) -> &str {
    let line = line.trim().trim_start_matches(['×', '├', '╰', '─', '▶', ' ']);
    let label = ["cause:", "hint:", "error:"].iter().find_map(|label| line.strip_prefix(label));
    label.unwrap_or(line).trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(task: Task, said: &str) -> String {
        let finished = Finished { status: Some(1), stderr: said.to_owned() };
        failure(task, &finished).causes.join("; ")
    }

    #[test]
    fn failures_say_what_a_user_can_do_something_about() {
        let installing = |said: &str| failed(Task::Install, said);
        assert_eq!(
            installing("  × Failed\n  ╰─▶ Hash mismatch for `a==1`\n"),
            "Hash mismatch for `a==1`; the index has another file of that version than the lock was \
             made with"
        );
        assert!(installing("error sending request for url (x)").contains("could not be reached"));
        assert!(installing("  × No solution found when").contains("lacks a version"));
        assert!(installing("No space left on device (os error 28)").contains("disk full"));
        assert_eq!(installing("?"), "uv failed (exit status 1)");
    }

    #[test]
    fn wheels_of_ones_own_stand_beside_those_of_the_host() {
        let mut environment = vec![("UV_FIND_LINKS".to_owned(), "https://x.example/".to_owned())];
        add(&mut environment, "UV_FIND_LINKS", "/work/wheels");
        add(&mut environment, "UV_INDEX", "/i");
        assert_eq!(environment[0].1, "https://x.example/,/work/wheels");
        assert_eq!(environment[1], ("UV_INDEX".to_owned(), "/i".to_owned()));
    }

    #[test]
    fn what_does_not_go_together_is_told_in_uvs_words() {
        let new = "warning: x\nerror: No solution found when resolving dependencies\n  cause: Because \
                   a depends on b and\n         c, no.\n\nhint: `b` was filtered.\n";
        let wanted = "a depends on b and c, no.; `b` was filtered.";
        assert_eq!(failed(Task::Resolve, new), wanted);
        let old = "  × No solution found when resolving dependencies:\n  ╰─▶ Because a depends on b and\n      \
                   c, no.\n\n      hint: `b` was filtered.\n";
        assert_eq!(failed(Task::Resolve, old), wanted);
    }
}
