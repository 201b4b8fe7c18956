//! The Python distributions of a layer: installed as a release's lock has them.
//!
//! Fetching, and building what has no wheel, needs the network and may run a stranger's code. So uv does
//! both without rights, in the very system that the layer stands on, with one directory to write to
//! ([`Installer`]). What it leaves there is then taken into the layer, without a network, by `python.sh`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::process;
use super::workspace::{Workspace, lock};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::BuildProgress;
use crate::host::python::{Installer, Target, Task};
use crate::lxc::descent;
use crate::lxc::sandbox::System;
use crate::model::layer::PythonSpec;
use crate::model::lock::Lock;
use crate::state::files;

/// What takes the distributions into the layer.
const SCRIPT: &str = include_str!("python.sh");

/// MiB that all distributions of a release need, unpacked, compiled and as they were fetched.
pub const NEEDED_MIB: u64 = 2_000;

/// What of a layer's system uv sees: a Python and what it is linked with.
const SEEN: [&str; 7] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache"];

/// Where its lock and what uv fetched are, below its home: on one file system, nothing is copied.
const WORK: &str = ".aio";

/// How often it is asked whether it should go on.
const LOOK: Duration = Duration::from_millis(100);

/// One build's Python distributions.
pub struct Distributions<'a> {
    pub spec: &'a PythonSpec,
    /// Directory of the published layers, and ids of those below, topmost first.
    pub layers: &'a Path,
    pub chain: &'a [String],
    pub workspace: &'a Workspace,
    /// Where what installs them is kept, and what a failed build fetched.
    pub directory: &'a Path,
}

impl Distributions<'_> {
    /// Installs them into the upper directory, in which the layer's packages are already.
    ///
    /// # Errors
    /// When the lock cannot be read, the index does not have what it says, a build fails, or on
    /// cancellation.
    pub fn install(&self, progress: &dyn BuildProgress) -> Result<()> {
        let lock_file = || "read the release's lock".to_owned();
        let parsed = Lock::parse(&self.spec.lock).map_err(|reason| {
            Error::new(ErrorKind::Config, lock_file())
                .because(reason)
                .hint("`aio release lock RELEASE` makes it anew.")
        })?;
        files::private_directory(self.directory)?;
        let cancelled = || progress.cancelled();
        let _lock = lock(&self.directory.join("lock"), "wait for another build", &cancelled)?;
        let staged = self.directory.join("staged");
        empty(&staged)?;
        files::write(&staged.join(WORK).join("lock"), &self.spec.lock)?;
        let (count, total) = (0, parsed.distributions.len() as u64);
        progress.progress(count, total, "distributions");
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
            installer.run(Task::Install, &target, &arguments.concat()).await
        };
        wait(installed, &cancelled)?;
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
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        command
            .env("LAYERS", self.layers)
            .env("LOWERS", self.roots(false).join(":"))
            .env("BUILD", &self.workspace.dir)
            .env("STAGED", staged)
            .env("PYTHON_HOME", &self.spec.home)
            .env("VERSION", &self.spec.version)
            .env("MODULES", self.spec.modules.join(" "))
            .env("KEEP_TESTS", self.spec.keep_tests.join(" "))
            .env("JOBS", jobs.to_string());
        command
    }
}

/// Makes a directory for uv, in which only what it fetched for a build that failed is left.
fn empty(staged: &Path) -> Result<()> {
    let work = staged.join(WORK);
    fs::create_dir_all(work.join("cache")).doing(|| format!("make {}", work.display()))?;
    for entry in files::entries(staged)?.iter().filter(|entry| **entry != work) {
        descent::remove(entry).doing(|| format!("remove {}", entry.display()))?;
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
