//! What a running container uses, in the words of a profile's `memory`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cloud::open::Access;
use crate::cloud::{Session, require_root};
use crate::error::{Error, Result};
use crate::model::command::Command;
use crate::model::paths::Paths;
use crate::state::topology::Topology;

/// What stands in a profile under `memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Of an idle member with one worker per service, in MiB of PSS.
    pub idle_mib: u64,
    /// What each further worker of all its units adds, in MiB.
    pub per_worker_mib: u64,
}

/// Each process but those that look: its number, its parent's, its share of memory in KiB, its command.
const LOOK: &str = r#"
for process in /proc/[0-9]*; do
    number=${process#/proc/}
    [ "$number" != $$ ] || continue
    share=$(sed -n 's/^Pss: *\([0-9]*\) kB$/\1/p' "$process/smaps_rollup" 2>/dev/null) || continue
    [ -n "$share" ] || continue
    parent=$(sed -n 's/^PPid:\t//p' "$process/status" 2>/dev/null) || continue
    [ "$parent" != $$ ] || continue
    echo "$number $parent $share $(tr '\0' ' ' <"$process/cmdline")"
done
"#;

/// Looks at the first container that `selector` means.
pub async fn measure(paths: &Paths, selector: &str) -> Result<Measured> {
    require_root("profile measure")?;
    let session = Session::recorded(paths, Access::Look).await?;
    let topology = Topology::new(session.site.cloud.containers.clone());
    let name = &topology.select_many(selector)?[0].name;
    let looked = session.host.containers.run(name, Command::shell(LOOK)).await?;
    let processes: Vec<Process> = looked.text().lines().filter_map(Process::read).collect();
    if processes.is_empty() {
        let error = Error::failed(format!("measure the container `{name}`"));
        return Err(error.because("no process can be seen in it").output(looked.tail(20)));
    }
    Ok(Measured::of(&processes))
}

/// A process of a container.
struct Process {
    number: u32,
    parent: u32,
    pss_kib: u64,
    /// Without digits: workers call themselves by their numbers.
    command: String,
}

impl Process {
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, ' ');
        let mut number = || fields.next()?.parse().ok();
        let (own, parent, pss_kib) = (number()?, number()?, number()?);
        let command = fields.next()?.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        Some(Self {
            number: u32::try_from(own).ok()?,
            parent: u32::try_from(parent).ok()?,
            pss_kib,
            command,
        })
    }
}

impl Measured {
    /// Workers are processes whose parent runs the same command, and those that several siblings run. Of
    /// each such group one counts as idle use, at the mean of all.
    fn of(processes: &[Process]) -> Self {
        let mut groups: BTreeMap<(u32, &str), Vec<u64>> = BTreeMap::new();
        for process in processes {
            groups.entry((process.parent, &process.command)).or_default().push(process.pss_kib);
        }
        let forked = |(parent, command): &(u32, &str)| {
            processes.iter().any(|it| it.number == *parent && it.command == *command)
        };
        groups.retain(|group, members| group.0 > 1 && (members.len() > 1 || forked(group)));
        let mean = |members: &Vec<u64>| members.iter().sum::<u64>() / members.len() as u64;
        let each: u64 = groups.values().map(mean).sum();
        let further: u64 = groups.values().map(|it| mean(it) * (it.len() as u64 - 1)).sum();
        let all: u64 = processes.iter().map(|process| process.pss_kib).sum();
        Self {
            idle_mib: all.saturating_sub(further).div_ceil(1024),
            per_worker_mib: each.div_ceil(1024),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> Measured {
        Measured::of(&text.lines().filter_map(Process::read).collect::<Vec<_>>())
    }

    #[test]
    fn one_worker_of_each_kind_is_idle_use() {
        let text = "\
1 0 10240 /sbin/init
20 1 20480 uwsgi --ini x
21 20 102400 uwsgi --ini x
22 20 104448 uwsgi --ini x
30 1 10240 heat-engine: master
31 30 51200 heat-engine: worker(0)
32 30 51200 heat-engine: worker(1)
32 30 51200 heat-engine: worker(2)
40 1 5120 rsyslogd
";
        let expected = Measured { idle_mib: 10 + 20 + 101 + 10 + 50 + 5, per_worker_mib: 151 };
        assert_eq!(measured(text), expected);
    }

    #[test]
    fn what_runs_once_has_no_workers() {
        let text =
            "1 0 1024 init\n2 1 2048 mariadbd\n3 1 1024 a\n4 1 1024 a\n5 2 1024 helper\nnonsense\n";
        assert_eq!(measured(text), Measured { idle_mib: 6, per_worker_mib: 0 });
    }
}
