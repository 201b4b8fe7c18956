//! Starting and stopping.

use std::path::Path;
use std::time::{Duration, Instant};

use super::inner::{Inner, not_running};
use super::real::RealContainers;
use crate::error::{Error, Result};
use crate::host::{ContainerState, Containers, Stop};
use crate::lxc::protocol::Request;
use crate::lxc::{bounded, root};
use crate::model::paths::Paths;

/// liblxc's own part: mounts, namespaces, links.
const START: Duration = Duration::from_secs(60);
/// Until systemd answers: half a second on an idle machine.
const BOOT: Duration = Duration::from_secs(90);
/// Half of what a look costs is what a start may wait too long: 10 ms.
const INTERVAL: Duration = Duration::from_millis(10);
/// How much of a console is read for its last lines.
const CONSOLE_TAIL_BYTES: u64 = 64 << 10;
/// After a container is stopped, until its root is unmounted (which flushes it).
const UNMOUNT: Duration = Duration::from_secs(60);

pub(super) async fn start(containers: &RealContainers, name: &str) -> Result<()> {
    match containers.state(name).await? {
        state @ ContainerState::Absent => {
            return Err(not_running(name, state).context(format!("start container `{name}`")));
        }
        ContainerState::Running { init_pid } => return booted(containers, name, init_pid).await,
        ContainerState::Stopped => {}
    }
    let request = Request::Start { name: name.to_owned(), log: Inner::log_file(name) };
    containers.call(&request, &[], Some(START)).await?;
    match containers.state(name).await? {
        ContainerState::Running { init_pid } => booted(containers, name, init_pid).await,
        _ => Err(boot_error(name, "its init ended at once")),
    }
}

/// Waits until the container's systemd answers: it makes its private socket when it is about to
/// enter its main loop, with the default target's jobs queued.
async fn booted(containers: &RealContainers, name: &str, init_pid: u32) -> Result<()> {
    let limit = containers.patiently(BOOT);
    let process = format!("/proc/{init_pid}/root");
    let socket = format!("{process}/run/systemd/private");
    let deadline = Instant::now() + limit;
    loop {
        if crate::host::exists(Path::new(&socket)) {
            return Ok(());
        }
        if !crate::host::exists(Path::new(&process)) {
            return Err(boot_error(name, "its init ended while it booted"));
        }
        if Instant::now() > deadline {
            let cause = format!("its systemd does not answer after {} s", limit.as_secs());
            return Err(boot_error(name, &cause).hint(
                "A systemd that hangs at once often lacks inotify instances: `aio size` shows what \
                 there is of them and what is needed, `aio bootstrap` raises it.",
            ));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// With what the container printed on its console.
fn boot_error(name: &str, cause: &str) -> Error {
    let console = Paths::lxc_dir(name).join("console.log");
    let text = bounded::tail(&console, 0, CONSOLE_TAIL_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let error = Error::failed(format!("start container `{name}`"))
        .because(cause)
        .hint(format!("What it printed is in `{}`.", console.display()));
    if lines.is_empty() {
        error
    } else {
        error.output(lines[lines.len().saturating_sub(20)..].join("\n"))
    }
}

pub(super) async fn stop(containers: &RealContainers, name: &str, how: Stop) -> Result<()> {
    if let ContainerState::Running { .. } = containers.state(name).await? {
        let orderly = match how {
            Stop::Orderly(limit) => limit,
            Stop::Kill => Duration::ZERO,
        };
        let log = Inner::log_file(name);
        let orderly_secs = u32::try_from(orderly.as_secs()).unwrap_or(u32::MAX);
        let request = Request::Stop { name: name.to_owned(), log, orderly_secs };
        // A kill is answered at once, and the hook that unmounts comes after it.
        containers.call(&request, &[], Some(orderly + UNMOUNT)).await?;
    }
    unmounted(containers, name).await
}

/// The container's monitor unmounts the root in its last hook, after it has said "stopped". Should
/// that have been killed too, the root is unmounted here.
async fn unmounted(containers: &RealContainers, name: &str) -> Result<()> {
    let owned = name.to_owned();
    let merged = containers.blocking(move |inner| {
        // Where it was mounted, not where it would be next time.
        let record = inner.record(&owned)?;
        Ok(record.map_or_else(|| inner.paths.root_dir(&owned), |record| record.root.merged))
    });
    let merged = merged.await?;
    let deadline = Instant::now() + containers.patiently(UNMOUNT);
    while root::is_mount_point(&merged) && monitor_lives(name) && Instant::now() < deadline {
        tokio::time::sleep(INTERVAL).await;
    }
    containers.blocking(move |_| root::unmount(&merged)).await
}

/// Whether a process that liblxc left for the container is there, by the title it gives itself.
fn monitor_lives(name: &str) -> bool {
    let title = format!("[lxc monitor] {} {name}", crate::model::paths::LXC_PATH);
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|process| {
        std::fs::read(process.path().join("cmdline")).is_ok_and(|cmdline| {
            let text = cmdline.split(|byte| *byte == 0).next().unwrap_or_default();
            text == title.as_bytes()
        })
    })
}
