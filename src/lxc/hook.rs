//! `aio __hook pre-start|start-host|post-stop RECORD`: what LXC calls before a start, when namespaces
//! and links are there, and after a stop, so that a plain `lxc-start` works too. Runs as root in the host's namespaces, with one thread.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;

use super::publication::Place;
use super::root::Root;
use super::{filter, log};
use crate::error::{Error, Result, ResultExt};
use crate::model::paths::LXC_PATH;

/// The part of a container's record that hooks read.
#[derive(Deserialize)]
struct Record {
    root: Root,
    place: Place,
}

/// Runs a hook. `arguments` are those after `__hook`.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let which = arguments.next().unwrap_or_default();
    let file = arguments.next().unwrap_or_default();
    leave_apparmor_profile();
    // Whoever called `lxc-start` may have a narrower one; directories made in the root need this.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    match run(&which.to_string_lossy(), Path::new(&file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&which.to_string_lossy(), &error);
            ExitCode::FAILURE
        }
    }
}

/// liblxc drops what a hook prints; the log is where a user is sent.
fn report(which: &str, error: &Error) {
    let name = std::env::var("LXC_NAME").unwrap_or_default();
    let program = format!("aio-{which}");
    let file = Path::new(LXC_PATH).join(&name).join("lxc.log");
    log::append(&file, &program, &name, &error.to_string());
    let _ = writeln!(std::io::stderr(), "{program}: {error}");
}

fn run(which: &str, file: &Path) -> Result<()> {
    let text = std::fs::read(file).doing(|| format!("read `{}`", file.display()))?;
    let record: Record =
        serde_json::from_slice(&text).doing(|| format!("understand `{}`", file.display()))?;
    match which {
        "pre-start" => {
            record.root.mount()?;
            record.place.reset()?;
            for error in record.place.publish_kept() {
                report(which, &error);
            }
            Ok(())
        }
        "start-host" => filter::load(init_pid()?, file),
        // Both, whichever fails.
        "post-stop" => record.place.remove().and(record.root.unmount()),
        _ => Err(Error::failed(format!("there is no hook `{which}`"))),
    }
}

/// The process that becomes the container's init, as liblxc tells this hook.
fn init_pid() -> Result<u32> {
    let told = std::env::var("LXC_PID").ok().and_then(|pid| pid.parse().ok());
    told.ok_or_else(|| {
        Error::failed("find the container's namespaces").because("liblxc sets no LXC_PID")
    })
}

/// On a host with AppArmor `lxc-start` runs under a profile that allows neither cloned mounts nor
/// overlayfs, but does allow to change to `unconfined`. Without AppArmor there is nothing to leave.
#[allow(clippy::disallowed_methods, reason = "a file of the kernel")]
fn leave_apparmor_profile() {
    let confined = std::fs::read_to_string("/proc/self/attr/apparmor/current")
        .is_ok_and(|profile| !profile.starts_with("unconfined"));
    if confined {
        // If it is refused, the mounts that follow fail and say what was missing.
        let _ = std::fs::write("/proc/self/attr/apparmor/current", "changeprofile unconfined");
    }
}
