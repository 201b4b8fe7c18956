//! One container: what LXC and the kernel know of it, what its units say, what its files should be.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::ground::Ground;
use super::host;
use crate::cloud::files::{Files, ListedFile};
use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::host::ContainerState;
use crate::model::command::Command;
use crate::model::journal::Entry;
use crate::model::paths::Paths;
use crate::model::topology::Container;
use crate::ui::harmless::{below_first, harmless, one_line};

/// How much of a log is kept, from its end.
const LIMIT_BYTES: u64 = 1 << 20;

/// What a container's systemd says of its units, and more of those that failed.
const UNITS: &str = "\
systemctl list-units --all --no-pager --no-legend --plain || :
systemctl list-units --failed --no-pager --no-legend --plain | while read -r unit rest; do
    echo
    systemctl status --no-pager --full --lines=50 \"$unit\" || :
done";

/// A systemd that does not answer in this time is not going to.
const UNITS_PATIENCE: Duration = Duration::from_secs(30);

/// What is told of a control group's memory, in both versions.
const MEMORY: [&str; 12] = [
    "memory.events",
    "memory.current",
    "memory.peak",
    "memory.max",
    "memory.pressure",
    "memory.stat",
    "memory.oom_control",
    "memory.failcnt",
    "memory.usage_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.limit_in_bytes",
    "cgroup.events",
];

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Where what is known of a container stands in the archive.
pub fn directory(container: &Container) -> String {
    format!("containers/{}-{}", container.kind, container.member)
}

/// Its definition, LXC's log, and what the kernel counted of its memory.
pub async fn outside(ground: &Ground, context: &StepContext, container: &Container) -> Result<()> {
    let directory = directory(container);
    ground.findings.add_json(&format!("{directory}/container.json"), container);
    let lxc = Paths::lxc_dir(&container.name);
    for file in ["config", "lxc.log"] {
        let found = context.host.diagnostics.file(&lxc.join(file), LIMIT_BYTES).await;
        ground.findings.take_file(&format!("{directory}/lxc/{file}"), found);
    }
    let name = format!("{directory}/memory.txt");
    ground.findings.take_or_miss(&name, memory(context, container).await);
    Ok(())
}

/// The process id of its init; an error says what it is doing instead of running.
async fn init_pid(context: &StepContext, container: &Container) -> Result<u32> {
    match context.host.containers.state(&container.name).await? {
        ContainerState::Running { init_pid } => Ok(init_pid),
        ContainerState::Stopped => Err(Error::failed("it is stopped")),
        ContainerState::Absent => Err(Error::failed("it does not exist")),
    }
}

async fn memory(context: &StepContext, container: &Container) -> Result<String> {
    let diagnostics = &context.host.diagnostics;
    let process = format!("/proc/{}/cgroup", init_pid(context, container).await?);
    let groups = diagnostics.file(Path::new(&process), LIMIT_BYTES).await?.unwrap_or_default();
    let mut text = String::new();
    for group in memory_groups(&String::from_utf8_lossy(&groups)) {
        for file in MEMORY {
            let path = group.join(file);
            // A host has the files of one version only.
            let Ok(Some(content)) = diagnostics.file(&path, LIMIT_BYTES).await else { continue };
            let content = String::from_utf8_lossy(&content);
            let _ = writeln!(text, "{}:\n{}\n", path.display(), content.trim_end());
        }
    }
    if text.is_empty() {
        return Err(Error::failed("the kernel counts nothing of it"));
    }
    Ok(text)
}

/// Control groups that count a container's memory, given `/proc/PID/cgroup` of its init.
fn memory_groups(text: &str) -> Vec<PathBuf> {
    let group = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let below = match controllers {
            "" => "",
            it if it.split(',').any(|controller| controller == "memory") => "memory",
            _ => return None,
        };
        let path = path.strip_suffix("/init.scope").unwrap_or(path);
        Some(Path::new("/sys/fs/cgroup").join(below).join(path.trim_start_matches('/')))
    };
    text.lines().filter_map(group).collect()
}

/// Its console, its journal (of a stopped one too), and the state of its units.
pub async fn inside(ground: &Ground, context: &StepContext, container: &Container) -> Result<()> {
    let directory = directory(container);
    let diagnostics = &context.host.diagnostics;
    let console = Paths::lxc_dir(&container.name).join("console.log");
    // Only who has printed something there has one.
    match diagnostics.file(&console, LIMIT_BYTES).await {
        Ok(None) => {}
        found => ground.findings.take_file(&format!("{directory}/lxc/console.log"), found),
    }
    let name = format!("{directory}/journal.txt");
    match diagnostics.journal(&container.machine_id, ground.asked.lines).await {
        Ok(entries) => {
            let text: String = entries.iter().map(line).collect();
            ground.findings.add(&name, text.as_bytes());
        }
        Err(error) => ground.findings.missing(&name, error),
    }
    let name = format!("{directory}/units.txt");
    ground.findings.take_or_miss(&name, units(context, container).await);
    Ok(())
}

/// `2026-11-21T15:11:59.250000Z 3 heat-engine[42]: message`.
fn line(entry: &Entry) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(entry.time_us) * 1000);
    let time = time.ok().and_then(|time| time.format(TIME).ok()).unwrap_or_default();
    let pid = entry.pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
    let Entry { priority, unit, message, .. } = entry;
    format!(
        "{time} {priority} {}{pid}: {}\n",
        harmless(&one_line(unit)),
        below_first(&harmless(message))
    )
}

async fn units(context: &StepContext, container: &Container) -> Result<Vec<u8>> {
    init_pid(context, container).await?;
    let command = Command { timeout: Some(UNITS_PATIENCE), ..Command::shell(UNITS) };
    host::text(context.host.containers.run(&container.name, command).await?)
}

/// Templates are prepared once for all containers.
async fn files(ground: &Ground) -> Result<&Arc<Files>> {
    let open = || async {
        let (files, mistakes) = Files::open_without_mistakes(&ground.options.paths)?;
        for mistake in mistakes {
            let why = format!("rendered without what is wrong: {mistake}");
            ground.findings.missing("containers/*/rendered", why);
        }
        Ok(Arc::new(files))
    };
    ground.files.get_or_try_init(open).await
}

/// Its configuration files as `bootstrap` would write them, and which of them the container has. What
/// it has instead is not collected: it may hold secrets that nobody knows any more.
pub async fn rendered(ground: &Ground, context: &StepContext, container: &Container) -> Result<()> {
    let directory = directory(container);
    let files = files(ground).await?;
    let mut table = String::new();
    for listed in files.list(container)? {
        let path = &listed.path;
        let name = format!("{directory}/rendered{path}");
        let state = match files.render(container, path) {
            Ok(file) => {
                ground.findings.add(&name, &file.content);
                compared(context, container, &listed, &file.content).await
            }
            Err(error) => {
                ground.findings.missing(&name, error);
                "not rendered".to_owned()
            }
        };
        let _ = writeln!(table, "{path} {} {}: {state}", listed.owner, listed.mode);
    }
    ground.findings.add(&format!("{directory}/files.txt"), table.as_bytes());
    Ok(())
}

/// How the file in the container compares with what it should be.
async fn compared(
    context: &StepContext,
    container: &Container,
    listed: &ListedFile,
    rendered: &[u8],
) -> String {
    let path = &listed.path;
    let mut wanted = Vec::new();
    if listed.extends_image {
        match context.host.containers.image_file(&container.name, path).await {
            Ok(image) => wanted = image,
            Err(error) => return format!("the image was not read: {error}"),
        }
    }
    wanted.extend_from_slice(rendered);
    let wanted = wanted.as_slice();
    let present = match context.host.containers.read_file(&container.name, path).await {
        Ok(Some(file)) => file.content,
        Ok(None) => return "missing".to_owned(),
        Err(error) => return format!("not read: {error}"),
    };
    if present == wanted {
        return "as it should be".to_owned();
    }
    let lines = |text: &[u8]| text.split(|byte| *byte == b'\n').count();
    let differs = present
        .split(|byte| *byte == b'\n')
        .zip(wanted.split(|byte| *byte == b'\n'))
        .position(|(one, other)| one != other);
    let first = differs.unwrap_or_else(|| lines(&present).min(lines(wanted))) + 1;
    format!("differs from line {first} on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_in_either_version() {
        let groups = |text: &str| -> Vec<String> {
            memory_groups(text).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(groups("0::/lxc.payload.x/init.scope\n"), ["/sys/fs/cgroup/lxc.payload.x"]);
        assert_eq!(
            groups("5:cpu,cpuacct:/a\n3:memory:/lxc.payload.x\n0::/\n"),
            ["/sys/fs/cgroup/memory/lxc.payload.x", "/sys/fs/cgroup/"]
        );
    }

    #[test]
    fn a_line_of_a_journal_says_when_how_bad_and_who() {
        let entry = Entry {
            time_us: 1_795_273_919_250_000,
            unit: "heat-engine".to_owned(),
            pid: Some(42),
            priority: 3,
            message: "Trace\u{1b}[2Jback".to_owned(),
            ..Entry::default()
        };
        let expected = "2026-11-21T15:11:59.250000Z 3 heat-engine[42]: Trace\u{fffd}[2Jback\n";
        assert_eq!(line(&entry), expected);
    }
}
