//! The Python distributions of a layer: installed as a release's lock has them.
//!
//! Fetching, and building what has no wheel, needs the network and may run a stranger's code. So uv does
//! both without rights, in the very system that the layer stands on, with one directory to write to
//! ([`Installer`]). Compiling reads strangers' code, and is done in the same way (`tidy.sh`). What is left
//! there is looked through, and then taken into the layer by `python.sh`, which runs nothing of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process;
use super::workspace::{Workspace, lock};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::BuildProgress;
use crate::host::confined;
use crate::host::python::{Installer, Target, Task};
use crate::lxc::descent;
use crate::lxc::sandbox::{Program, System};
use crate::model::layer::PythonSpec;
use crate::model::lock::{Distribution, Lock};
use crate::state::files;

/// What makes the distributions fit for a layer, and what takes them into it.
const TIDY: &str = include_str!("tidy.sh");
const SCRIPT: &str = include_str!("python.sh");

/// MiB that all distributions of a release need, unpacked, compiled and as they were fetched.
pub const NEEDED_MIB: u64 = 2_000;

/// What of a layer's system uv sees: a Python and what it is linked with.
const SEEN: [&str; 7] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache"];

/// Where its lock and what uv fetched are, below its home: on one file system, nothing is copied.
const WORK: &str = ".aio";
/// Where wheels are, below that.
const WHEELS: &str = "wheels";

/// How long what is installed may take to be compiled.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// How often it is asked whether it should go on.
const LOOK: Duration = Duration::from_millis(100);

/// One build's Python distributions.
pub struct Distributions<'a> {
    pub spec: &'a PythonSpec,
    /// Directory of the published layers, and ids of those below, topmost first.
    pub layers: &'a Path,
    pub chain: &'a [String],
    pub workspace: &'a Workspace,
    /// Where what installs them is kept, and where it does so.
    pub directory: &'a Path,
    /// Where wheels are that were built for the lock.
    pub wheels: &'a Path,
}

impl Distributions<'_> {
    /// Installs them into the upper directory, in which the layer's packages are already.
    ///
    /// # Errors
    /// When the lock cannot be read, the index does not have what it says, a build fails, or on
    /// cancellation.
    pub fn install(&self, progress: &dyn BuildProgress) -> Result<()> {
        let parsed = Lock::parse(&self.spec.lock).map_err(|reason| {
            Error::new(ErrorKind::Config, "read the release's lock")
                .because(reason)
                .hint("`aio release lock RELEASE` makes it anew.")
        })?;
        files::private_directory(self.directory)?;
        let cancelled = || progress.cancelled();
        let _lock = lock(&self.directory.join("lock"), "wait for another build", &cancelled)?;
        let staged = self.directory.join("staged");
        // Whoever built something there could write there: nothing of it is used again.
        descent::remove(&staged).doing(|| format!("empty {}", staged.display()))?;
        let cache = staged.join(WORK).join("cache");
        fs::create_dir_all(&cache).doing(|| format!("make {}", cache.display()))?;
        files::write(&staged.join(WORK).join("lock"), &self.spec.lock)?;
        self.lend_wheels(&parsed, &staged.join(WORK).join(WHEELS))?;
        let total = parsed.distributions.len() as u64;
        progress.progress(0, total, "distributions");
        progress.line(&format!("installing {total} Python distributions"));
        let installed = async {
            let installer = Installer::of_lock(&parsed, self.directory).await?;
            let home = &self.spec.home;
            let work = Path::new(home).join(WORK);
            let target = Target {
                system: Some(self.system()),
                directory: &staged,
                place: Path::new(home),
                work: &work,
                wheels: Some(&work.join(WHEELS)),
            };
            let python = format!("/usr/bin/python{}", self.spec.version);
            let own = format!("{home}/bin/python");
            let text = format!("{home}/{WORK}/lock");
            let venv = ["venv", "--allow-existing", "--python", &python, home];
            installer.run(Task::Install, &target, &venv).await?;
            let arguments = [
                &["pip", "install", "--python", &own, "--no-deps", "--require-hashes"][..],
                &["--requirements", &text, "--build-constraints", &text],
            ];
            installer.run(Task::Install, &target, &arguments.concat()).await?;
            self.tidy(&target).await
        };
        wait(installed, &cancelled)?;
        look_through(&staged)?;
        let finished = process::run(self.command(&staged), &cancelled, &mut |_, line| {
            progress.line(line);
        })?;
        if !finished.status.success() {
            return Err(
                Error::failed("take Python distributions into the layer").output(finished.tail)
            );
        }
        progress.progress(total, total, "distributions");
        Ok(())
    }

    /// Puts the wheels that were built for the lock where uv looks for them.
    fn lend_wheels(&self, lock: &Lock, place: &Path) -> Result<()> {
        files::private_directory(place)?;
        for Distribution { name, hashes, commit, .. } in &lock.distributions {
            let Some(commit) = commit else { continue };
            let missing = || {
                Error::new(ErrorKind::Config, format!("find the wheel of `{name}`"))
                    .because(format!(
                        "the lock has it of commit {commit:.9}, and it does not stand below {}",
                        self.wheels.display()
                    ))
                    .hint("Build it: aio release lock RELEASE --from DIR")
            };
            let kept = hashes.first().map(|hash| self.wheels.join(hash)).ok_or_else(missing)?;
            let is_wheel = |it: &PathBuf| it.extension().is_some_and(|it| it == "whl");
            let wheel = files::entries(&kept)?.into_iter().find(is_wheel).ok_or_else(missing)?;
            let file = place.join(wheel.file_name().unwrap_or_default());
            fs::copy(&wheel, &file).doing(|| format!("copy {}", wheel.display()))?;
        }
        Ok(())
    }

    /// Leaves out what no container needs, and compiles the rest.
    async fn tidy(&self, target: &Target<'_>) -> Result<()> {
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let environment = [
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("HOME_DIRECTORY", self.spec.home.clone()),
            ("VERSION", self.spec.version.clone()),
            ("KEEP_TESTS", self.spec.keep_tests.join(" ")),
            ("JOBS", jobs.to_string()),
        ];
        let program = Program {
            argv: ["sh", "-euc", TIDY].map(str::to_owned).to_vec(),
            environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            directory: target.place.to_owned(),
        };
        let finished = confined::run(target.sandbox()?, program, LIMIT).await?;
        if finished.status == Some(0) {
            return Ok(());
        }
        Err(Error::failed("compile Python distributions").output(finished.stderr))
    }

    /// The system of the layers below and of what was installed so far.
    fn system(&self) -> System {
        System {
            directory: self.layers.to_owned(),
            roots: self.roots(true),
            seen: SEEN.map(Into::into).to_vec(),
        }
    }

    /// Roots below the layers' directory, topmost first.
    fn roots(&self, with_own: bool) -> Vec<String> {
        let name = self.workspace.dir.file_name().unwrap_or_default().to_string_lossy();
        let own = with_own.then(|| format!("{name}/new/root"));
        own.into_iter().chain(self.chain.iter().map(|id| format!("{id}/root"))).collect()
    }

    fn command(&self, staged: &Path) -> std::process::Command {
        let mut command = process::isolated(SCRIPT);
        command
            .env("LAYERS", self.layers)
            .env("LOWERS", self.roots(false).join(":"))
            .env("BUILD", &self.workspace.dir)
            .env("STAGED", staged)
            .env("PYTHON_HOME", &self.spec.home)
            .env("VERSION", &self.spec.version)
            .env("MODULES", self.spec.modules.join(" "))
            .env("CERTIFICATES", self.spec.certificates.join(" "));
        command
    }
}

/// Removes what installs distributions, once no build uses it.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(directory: &Path) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    let file = directory.join("lock");
    let _lock = lock(&file, "wait for a build", &|| false)?;
    for entry in files::entries(directory)?.iter().filter(|entry| **entry != file) {
        descent::remove(entry).doing(|| format!("remove {}", entry.display()))?;
    }
    Ok(())
}

/// Refuses what root must not walk through or take: links but those of a Python's own directory, and
/// whatever is neither a file nor a directory.
fn look_through(staged: &Path) -> Result<()> {
    let mut directories = vec![staged.to_owned()];
    while let Some(directory) = directories.pop() {
        for path in files::entries(&directory)? {
            let doing = || format!("look at {}", path.display());
            let kind = path.symlink_metadata().doing(doing)?.file_type();
            let name = path.strip_prefix(staged).unwrap_or(&path);
            let own = name == Path::new("lib64")
                || name.parent() == Some(Path::new("bin"))
                    && path
                        .file_name()
                        .is_some_and(|it| it.to_string_lossy().starts_with("python"));
            if kind.is_dir() {
                directories.push(path);
            } else if !(kind.is_file() || kind.is_symlink() && own) {
                return Err(Error::failed("take Python distributions into the layer")
                    .because(format!("one of them made `{}`, which is no file", name.display())));
            }
        }
    }
    Ok(())
}

/// Waits on this thread, which is one for work that blocks.
fn wait(work: impl Future<Output = Result<()>>, cancelled: &dyn Fn() -> bool) -> Result<()> {
    let asked = async {
        while !cancelled() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::runtime::Handle::current().block_on(async {
        tokio::select! {
            done = work => done,
            () = asked => {
                Err(Error::new(ErrorKind::Interrupted, "install Python distributions"))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_that_root_would_follow_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let staged = place.path();
        for directory in ["bin", "lib/python3.13/site-packages"] {
            fs::create_dir_all(staged.join(directory)).unwrap();
        }
        symlink("/usr/bin/python3.13", staged.join("bin/python")).unwrap();
        symlink("lib", staged.join("lib64")).unwrap();
        fs::write(staged.join("bin/heat-engine"), "").unwrap();
        look_through(staged).unwrap();
        for link in ["etc", "share", "bin/heat", "lib/python3.13/site-packages/x"] {
            symlink("/etc", staged.join(link)).unwrap();
            let error = look_through(staged).unwrap_err();
            assert!(error.causes[0].contains(&format!("`{link}`")), "{error:?}");
            fs::remove_file(staged.join(link)).unwrap();
        }
    }
}
