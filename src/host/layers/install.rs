//! The installation of one layer's packages, by the script that runs in namespaces of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::index::Index;
use super::packages::wanted_packages;
use super::pool::Pool;
use super::process;
use super::workspace::Workspace;
use super::{failure, finish, sources, status};
use crate::error::{Error, Result, ResultExt};
use crate::host::BuildProgress;
use crate::lxc::process::Stream;
use crate::model::layer::LayerSpec;

/// What runs in the build's own namespaces.
const BUILD_SCRIPT: &str = include_str!("build.sh");

/// What runs a layer's own script there.
const FINISH_SCRIPT: &str = include_str!("finish.sh");

/// What both of these begin with.
const SYSTEM_SCRIPT: &str = include_str!("system.sh");

/// What stands in for tools that packages would call again and again.
const STAND_IN: &str = include_str!("stand-in.sh");

/// One build, once everything that it needs is known.
pub struct Installation<'a> {
    /// What the layer is made of.
    pub spec: &'a LayerSpec,
    /// Ids of the layers below, topmost first.
    pub chain: &'a [String],
    /// An index that has its packages.
    pub index: &'a Index,
    /// Where it is built.
    pub workspace: &'a Workspace,
}

impl Installation<'_> {
    /// Installs the packages into the upper directory.
    ///
    /// # Errors
    /// When APT or a package's script fails, or on cancellation.
    pub fn run(
        &self,
        layers: &Path,
        pool: &Pool,
        packages: u64,
        progress: &dyn BuildProgress,
    ) -> Result<()> {
        let workspace = self.workspace;
        pool.lend(&workspace.dir.join("archives"))?;
        self.write_inputs()?;
        if self.chain.is_empty() {
            finish::host_settings(&workspace.upper(), self.index)?;
        }
        let mut done = 0;
        let finished =
            process::run(self.command(layers), &|| progress.cancelled(), &mut |stream, line| {
                match stream {
                    Stream::Err => progress.line(line),
                    Stream::Out => {
                        let Some(percent) = status::percent(line) else { return };
                        done = done.max(share(percent, packages));
                        progress.progress(done, packages, "packages");
                    }
                }
            })?;
        if finished.status.success() {
            return Ok(());
        }
        let error = failure::explain(&finished.tail, "install packages", &self.index.sources);
        // APT itself looks at the size alone of an archive that it finds; a power cut may have left
        // nothing but the size.
        let Some(file) = failure::broken_archive(&finished.tail) else { return Err(error) };
        pool.discard(&file);
        let _ = fs::remove_file(workspace.dir.join("archives").join(&file));
        Err(error
            .because(format!("the download {file} was damaged; it is removed"))
            .hint("Run the same command again: it is downloaded anew."))
    }

    /// Runs the layer's own script in what the layer has become.
    ///
    /// # Errors
    /// When it fails, or on cancellation.
    pub fn run_script(&self, layers: &Path, progress: &dyn BuildProgress) -> Result<()> {
        if self.spec.script.is_empty() {
            return Ok(());
        }
        self.workspace.write("script", &self.spec.script)?;
        let command = self.isolated(FINISH_SCRIPT, layers);
        let finished = process::run(command, &|| progress.cancelled(), &mut |_, line| {
            progress.line(line);
        })?;
        if finished.status.success() {
            return Ok(());
        }
        Err(Error::failed("run the layer's own script").output(finished.tail))
    }

    fn write_inputs(&self) -> Result<()> {
        let workspace = self.workspace;
        workspace.write("apt.conf", &self.apt_configuration())?;
        workspace.write("acquire.conf", &self.index.acquire.for_host())?;
        workspace.write("debian.sources", &self.index.sources)?;
        workspace.write("dpkg.conf", &finish::dpkg_configuration())?;
        workspace.write("stand-in", STAND_IN)?;
        let path = workspace.dir.join("stand-in");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .doing(|| format!("set the mode of {}", path.display()))?;
        let drop = finish::DROPPED.iter().copied().chain(self.spec.drop.iter().map(String::as_str));
        let users = self.spec.users.iter();
        let users = users.map(|(user, groups)| format!("{user} {}\n", groups.join(" ")));
        workspace.write("users", &users.collect::<String>())?;
        workspace.write("drop", &drop.map(|path| format!("{path}\n")).collect::<String>())?;
        Ok(())
    }

    /// The host's APT works on the merged root, dpkg and the packages' scripts inside of it.
    fn apt_configuration(&self) -> String {
        let root = self.workspace.merged();
        let (root, dir) = (root.display(), self.workspace.dir.display());
        format!(
            "{}Dir::State::status \"{root}/var/lib/dpkg/status\";\n\
             Dir::State::extended_states \"{root}/var/lib/apt/extended_states\";\n\
             Dir::Cache \"{dir}/cache\";\n\
             Dir::Cache::archives \"{root}/var/cache/apt/archives\";\n\
             Dir::Log \"{dir}/log\";\n\
             DPkg::Chroot-Directory \"{root}\";\n\
             DPkg::Path \"/run/stand-ins:/usr/sbin:/usr/bin:/sbin:/bin\";\n\
             DPkg::Options {{ \"--force-unsafe-io\"; \"--force-confdef\"; \"--force-confold\"; }};\n\
             DPkg::Use-Pty \"false\";\n",
            self.index.configuration(),
        )
    }

    fn command(&self, layers: &Path) -> std::process::Command {
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut command = self.isolated(BUILD_SCRIPT, layers);
        command
            .env("LISTS", self.index.lists())
            .env("SUITE", &self.spec.suite)
            .env("KEYRING", sources::KEYRING)
            .env("JOBS", jobs.to_string())
            .args(wanted_packages(self.spec));
        command
    }

    /// A script that puts the layer together with those below.
    fn isolated(&self, script: &str, layers: &Path) -> std::process::Command {
        let build = &self.workspace.dir;
        let lowers = if self.chain.is_empty() {
            build.join("empty").display().to_string()
        } else {
            // Relative to the layers' directory: no character of its path can confuse mount.
            let roots: Vec<String> = self.chain.iter().map(|id| format!("{id}/root")).collect();
            roots.join(":")
        };
        let mut command = process::isolated(&format!("{SYSTEM_SCRIPT}{script}"));
        command.env("LAYERS", layers).env("LOWERS", lowers).env("BUILD", build);
        command
    }
}

/// `percent` of `total`, as a count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a count of packages, clamped"
)]
fn share(percent: f64, total: u64) -> u64 {
    (percent.clamp(0.0, 100.0) / 100.0 * total as f64).round() as u64
}
