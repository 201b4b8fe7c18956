//! What the host says, and what `aio` says about it and the cloud.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::ground::Ground;
use crate::cloud::opened::Opened;
use crate::cloud::{Session, desired, secrets};
use crate::commands::bootstrap::run::look;
use crate::commands::status::Status;
use crate::commands::upgrade::Standing;
use crate::config::cloud::CloudOptions;
use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::model::command::Output;
use crate::model::facts::HostFacts;
use crate::steps::health;
use crate::steps::site::Site;

/// How much of what a tool says is kept, from its end.
const LIMIT_BYTES: usize = 4 << 20;

/// Tools that only look: the file with what they say, and how they are called.
const TOOLS: [(&str, &[&str]); 14] = [
    ("nftables.txt", &["nft", "list", "ruleset"]),
    ("addresses.json", &["ip", "-j", "addr"]),
    ("links.json", &["ip", "-j", "-s", "link"]),
    ("routes.json", &["ip", "-j", "route", "show", "table", "all"]),
    ("routes6.json", &["ip", "-j", "-6", "route", "show", "table", "all"]),
    ("rules.json", &["ip", "-j", "rule"]),
    ("sockets.txt", &["ss", "-Htlnu"]),
    ("kernel-log.txt", &["dmesg", "--ctime"]),
    ("df.txt", &["df", "-hT"]),
    ("inodes.txt", &["df", "-hi"]),
    ("free.txt", &["free", "-m"]),
    ("lxc.txt", &["lxc-ls", "-f"]),
    ("failed-units.txt", &["systemctl", "--failed", "--no-pager"]),
    ("versions.txt", &["dpkg-query", "-W", "lxc*", "liblxc*", "nftables", "iproute2", "systemd"]),
];

/// Files of the kernel, and the name under which each is kept.
const FILES: [(&str, &str); 10] = [
    ("meminfo.txt", "/proc/meminfo"),
    ("mounts.txt", "/proc/self/mountinfo"),
    ("vmstat.txt", "/proc/vmstat"),
    ("swaps.txt", "/proc/swaps"),
    ("loadavg.txt", "/proc/loadavg"),
    ("cmdline.txt", "/proc/cmdline"),
    ("pressure-cpu.txt", "/proc/pressure/cpu"),
    ("pressure-io.txt", "/proc/pressure/io"),
    ("pressure-memory.txt", "/proc/pressure/memory"),
    ("os-release.txt", "/etc/os-release"),
];

/// Which `aio` this is, and how it was called.
pub fn program(ground: &Ground) -> Result<()> {
    let paths = &ground.options.paths;
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "binary": std::env::current_exe().ok(),
        "arguments": ground.asked.arguments,
        "root": rustix::process::geteuid().is_root(),
        "cloud": paths.cloud,
        "config_dir": paths.config_dir,
        "state_dir": paths.state_dir,
    });
    ground.findings.add_json("aio.json", &value);
    Ok(())
}

/// The host's facts, asked for once.
async fn facts<'a>(ground: &'a Ground, context: &StepContext) -> Result<&'a HostFacts> {
    ground.facts.get_or_try_init(|| context.host.diagnostics.facts()).await
}

/// What was asked for on the command line of an imagined `aio plan`: nothing.
fn no_choices(ground: &Ground) -> CloudOptions {
    CloudOptions { name: ground.options.paths.cloud.clone(), ..CloudOptions::default() }
}

/// The facts alone, which are always there, and what `aio size --output json` prints.
pub async fn size(ground: &Ground, context: &StepContext) -> Result<()> {
    let facts = facts(ground, context).await?;
    ground.findings.add_json("host/facts.json", facts);
    let choices = no_choices(ground);
    let opened = Opened::read(&ground.options.paths, &choices);
    let sized = opened.and_then(|opened| Ok(opened.decide(facts, &choices)?.report(facts)));
    match sized {
        Ok(value) => ground.findings.add_json("size.json", &value),
        Err(error) => ground.findings.missing("size.json", error),
    }
    Ok(())
}

pub async fn tools(ground: &Ground, context: &StepContext) -> Result<()> {
    for (name, call) in TOOLS {
        let name = format!("host/{name}");
        let said = match call {
            [program, arguments @ ..] => context.host.diagnostics.tool(program, arguments).await,
            [] => continue,
        };
        ground.findings.take_or_miss(&name, said.and_then(text));
    }
    Ok(())
}

/// What a tool said; one that failed and said nothing is missing.
pub fn text(output: Output) -> Result<Vec<u8>> {
    if output.stdout.is_empty() && !output.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let status = output.status;
        return Err(Error::failed(format!("it exited with {status}")).because(said));
    }
    let mut text = output.stdout;
    if let Some(from) = text.len().checked_sub(LIMIT_BYTES).filter(|from| *from > 0) {
        // Whole lines: half a secret could not be known as one.
        let cut = text[from..].iter().position(|byte| *byte == b'\n');
        text.drain(..cut.map_or(text.len(), |cut| from + cut + 1));
    }
    text.extend_from_slice(&output.stderr);
    Ok(text)
}

pub async fn kernel(ground: &Ground, context: &StepContext) -> Result<()> {
    for (name, path) in FILES {
        match context.host.diagnostics.file(Path::new(path), LIMIT_BYTES as u64).await {
            // Not every kernel has all of them.
            Ok(None) => {}
            found => ground.findings.take_file(&format!("host/{name}"), found),
        }
    }
    Ok(())
}

fn session(ground: &Ground, site: Arc<Site>, host: &Arc<Host>) -> Session {
    Session { paths: ground.options.paths.clone(), site, host: Arc::clone(host) }
}

/// What `aio plan --output json` prints. Without a cloud everything is to be done: only whether it
/// could be begun is asked.
pub async fn plan(ground: &Ground, context: &StepContext) -> Result<()> {
    let facts = facts(ground, context).await?;
    let desired = desired::load_on(facts, &ground.options, &no_choices(ground)).await?;
    if !desired.notes.is_empty() {
        ground.findings.add("plan-notes.txt", desired.notes.join("\n").as_bytes());
    }
    if ground.cloud.is_none() {
        return Ok(());
    }
    let session = session(ground, desired.site(), &context.host);
    let report = look(&ground.options, &session, &desired).await?;
    ground.findings.add_json("plan.json", &report);
    Ok(())
}

/// What `aio status` and `aio ls` print as JSON.
pub async fn status(ground: &Ground, context: &StepContext) -> Result<()> {
    let Some(cloud) = ground.cloud.clone() else { return Ok(()) };
    let recorded = secrets::recorded(&ground.options.paths, &cloud).await?;
    let secrets::Recorded { values, unapplied } = recorded;
    let site = Arc::new(Site { unapplied, ..Site::new(cloud, values) });
    let session = session(ground, Arc::clone(&site), &context.host);
    let health = health::observe(&session.context(), &site).await?;
    ground.findings.add_json("ls.json", &health.containers);
    let upgrade = Standing::find(&ground.options.paths)?;
    ground.findings.add_json("status.json", &Status { cloud: health, upgrade });
    Ok(())
}
