//! What the kernel counts, and how much of it a cloud needs. Pure.
//!
//! Each limit is counted for somebody ([`Whose`]): that decides what containers take from one another
//! and from the host. `bootstrap` raises those that a setting rules, so that the cloud has its part
//! beside what the host used when the cloud was sized and what the kernel gives a host without
//! containers; of the others a host must have enough.
//!
//! Not here, since nothing comes near (measured as below): POSIX message queues (`fs.mqueue.*` are of
//! each IPC namespace; none in use), pages of pipes (`fs.pipe-user-pages-soft`, 16384 for each user; 70
//! pipes of 16 pages at most), epoll watches (for each user, millions; 1437), tracked connections
//! (`net.netfilter.nf_conntrack_max`, 65536 on the smallest host; 1390), files of one process
//! (`fs.nr_open`, 1048576; systemd asks for 524288).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::facts::HostFacts;

/// Whose use of a limit the kernel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Each user of the host. A container's are nobody else's: it is alone.
    Container,
    /// The maker of a user namespace, for all that happens in it: root, who makes the containers'.
    Root,
    Host,
}

#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What it is called in [`HostFacts::limits`]: the name of a setting, if one rules it.
    pub name: &'static str,
    pub title: &'static str,
    pub whose: Whose,
    /// What one container takes at its busiest, or all of them in the mean.
    pub each: u64,
    /// What a host without containers needs: it stays for everything else.
    pub beside: u64,
    /// What a user does when there is not enough, as a sentence; `None` where `bootstrap` raises it.
    pub advice: Option<&'static str>,
}

/// Ranges of ids, of which every container takes one.
pub const ID_RANGES: &str = "subordinate ids";
/// Processes of the user who starts containers, theirs included.
pub const PROCESSES: &str = "RLIMIT_NPROC";
/// Tasks of the control group that holds those of the containers.
pub const GROUP_TASKS: &str = "pids.max";

const fn raised(
    name: &'static str,
    title: &'static str,
    whose: Whose,
    each: u64,
    beside: u64,
) -> Limit {
    Limit { name, title, whose, each, beside, advice: None }
}

const fn fixed(name: &'static str, title: &'static str, each: u64, advice: &'static str) -> Limit {
    Limit { name, title, whose: Whose::Host, each, beside: 0, advice: Some(advice) }
}

/// All limits. What was measured is a cloud of the scenario `default` at rest: 41 containers, 291
/// processes, Debian 12, kernel 6.18, two cores. `each` is three times that or more, for a cloud that
/// is built, checked and at work.
pub const LIMITS: [Limit; 21] = [
    // security/keys/key.c, by user: 5 for root of each container (one or two for every unit and
    // session), 220 when all of them are the same user. LXC's own guide for servers asks for 2000.
    raised("kernel.keys.maxkeys", "kernel keys", Whose::Container, 2000, 0),
    raised("kernel.keys.maxbytes", "bytes of kernel keys", Whose::Container, 200_000, 0),
    // fs/notify/inotify/inotify_user.c, by maker of the namespace, so that ids of their own do not
    // part containers here: 206 with 652 watches. With Debian's 128 the containers beyond the 15th
    // hang while they start.
    raised("fs.inotify.max_user_instances", "inotify instances", Whose::Root, 100, 4096),
    raised("fs.inotify.max_user_watches", "inotify watches", Whose::Root, 4096, 524_288),
    // kernel/ucount.c, by maker of the namespace: 41 and as many for mounts, 89, 42, 84, 41, 41, 41.
    raised("user.max_user_namespaces", "user namespaces", Whose::Root, 16, 128),
    raised("user.max_mnt_namespaces", "mount namespaces", Whose::Root, 32, 128),
    raised("user.max_net_namespaces", "network namespaces", Whose::Root, 16, 128),
    raised("user.max_uts_namespaces", "host name namespaces", Whose::Root, 16, 128),
    raised("user.max_ipc_namespaces", "IPC namespaces", Whose::Root, 8, 128),
    raised("user.max_pid_namespaces", "process id namespaces", Whose::Root, 8, 128),
    raised("user.max_cgroup_namespaces", "control group namespaces", Whose::Root, 8, 128),
    // kernel/fork.c: 1138, of which one container has 180.
    raised("kernel.threads-max", "threads", Whose::Host, 100, 1024),
    raised("kernel.pid_max", "process ids", Whose::Host, 100, 1024),
    // fs/file_table.c: 11819, those of the host's own among them.
    raised("fs.file-max", "open files", Whose::Host, 1024, 65_536),
    // fs/aio.c: 4096.
    raised("fs.aio-max-nr", "asynchronous requests", Whose::Host, 512, 65_536),
    // drivers/tty/pty.c: 205. `kernel.pty.reserve`, 1024, is not for containers.
    raised("kernel.pty.max", "pseudo terminals", Whose::Host, 16, 2048),
    // net/core/neighbour.c, one table for all network namespaces: 206, at most 40 of one container.
    raised("net.ipv4.neigh.default.gc_thresh2", "neighbours for long", Whose::Host, 15, 512),
    raised("net.ipv4.neigh.default.gc_thresh3", "neighbours", Whose::Host, 30, 1024),
    fixed(
        ID_RANGES,
        "ranges of 65536 subordinate ids",
        1,
        "Remove lines of users that are gone from /etc/subuid and /etc/subgid, or take fewer members \
         (--set KIND.members=1).",
    ),
    fixed(
        PROCESSES,
        "processes of root",
        100,
        "Raise it in the shell that starts the cloud (ulimit -u unlimited) and in \
         /etc/security/limits.conf.",
    ),
    fixed(
        GROUP_TASKS,
        "tasks of the control group that this host is",
        100,
        "This host is a container itself: raise the limit of its tasks from outside.",
    ),
];

/// One limit on one host, for one cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    pub name: &'static str,
    pub title: &'static str,
    pub whose: Whose,
    /// How many there may be; absent where nobody could tell.
    pub most: Option<u64>,
    /// How many others have now; absent where nobody could tell.
    pub used: Option<u64>,
    /// How many the cloud needs.
    pub needed: u64,
    /// To what `bootstrap` raises it.
    pub raised: Option<u64>,
    /// What a user does about it: it is not enough.
    pub advice: Option<&'static str>,
}

impl Limit {
    /// What that many containers need.
    fn needed(&self, containers: u64) -> u64 {
        match self.whose {
            Whose::Container => self.each,
            Whose::Root | Whose::Host => self.each * containers,
        }
    }

    /// The least value of the setting that rules it.
    fn least(&self, containers: u64, used: u64) -> u64 {
        self.beside + used + self.needed(containers)
    }

    fn count(&self, facts: &HostFacts, containers: u64, existing: bool) -> Count {
        let fact = facts.limits.get(self.name).copied().unwrap_or_default();
        // What is used now is the cloud's own when it is there already.
        let used = fact.used.filter(|_| !existing);
        let needed = self.needed(containers);
        let least = self.least(containers, used.unwrap_or(0));
        let short = |least: u64| fact.most.is_some_and(|most| most < least);
        let lacks = !existing && self.advice.is_some() && short(least);
        Count {
            name: self.name,
            title: self.title,
            whose: self.whose,
            most: fact.most,
            used,
            needed,
            raised: (self.advice.is_none() && short(least)).then_some(least),
            advice: self.advice.filter(|_| lacks),
        }
    }
}

/// All limits on a host, for a cloud of that many containers. `existing`: it is there already.
pub fn counts(facts: &HostFacts, containers: u64, existing: bool) -> Vec<Count> {
    LIMITS.iter().map(|limit| limit.count(facts, containers, existing)).collect()
}

/// What else of the host's limits is in use, by name.
pub fn used(facts: &HostFacts) -> BTreeMap<String, u64> {
    facts.limits.iter().filter_map(|(name, fact)| Some((name.clone(), fact.used?))).collect()
}

/// Kernel settings for a cloud of that many containers, by name, and the least value of each. `used`
/// is what else was in use when the cloud was sized.
pub fn settings(containers: u64, used: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let ruled = LIMITS.iter().filter(|limit| limit.advice.is_none());
    let least = |limit: &Limit| limit.least(containers, used.get(limit.name).copied().unwrap_or(0));
    ruled.map(|limit| (limit.name.to_owned(), least(limit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::LimitFact;

    fn facts(limits: &[(&str, u64, u64)]) -> HostFacts {
        let file = include_str!("../../../tests/facts/trixie-systemd-16g.json");
        let mut facts: HostFacts = serde_json::from_str(file).unwrap();
        for (name, most, used) in limits {
            let fact = LimitFact { most: Some(*most), used: Some(*used) };
            facts.limits.insert((*name).to_owned(), fact);
        }
        facts
    }

    fn count(facts: &HostFacts, containers: u64, existing: bool, name: &str) -> Count {
        counts(facts, containers, existing).into_iter().find(|count| count.name == name).unwrap()
    }

    #[test]
    fn what_is_counted_by_user_does_not_grow_with_the_cloud() {
        let settings = |containers| settings(containers, &BTreeMap::new());
        assert_eq!(settings(3)["kernel.keys.maxkeys"], settings(41)["kernel.keys.maxkeys"]);
        let instances = "fs.inotify.max_user_instances";
        assert_eq!(settings(41)[instances] - settings(1)[instances], 4000);
        assert!(settings(41)[instances] >= 8192);
    }

    #[test]
    fn a_second_cloud_gets_its_part_beside_the_first() {
        let name = "net.ipv4.neigh.default.gc_thresh3";
        let host = facts(&[(name, 1024, 206)]);
        assert_eq!(count(&host, 41, false, name).raised, Some(1024 + 206 + 30 * 41));
        assert_eq!(settings(41, &used(&host))[name], 1024 + 206 + 30 * 41);
        assert_eq!(count(&facts(&[(name, 4096, 206)]), 41, false, name).raised, None);
        // Once it is there, what is used is its own.
        assert_eq!(count(&host, 41, true, name).used, None);
    }

    #[test]
    fn what_nothing_raises_is_told_with_a_way_out() {
        for name in [ID_RANGES, PROCESSES, GROUP_TASKS] {
            let enough = count(&facts(&[(name, 10_000, 500)]), 41, false, name);
            assert_eq!((enough.raised, enough.advice), (None, None));
            let short = facts(&[(name, 530, 500)]);
            assert!(count(&short, 41, false, name).advice.is_some());
            assert!(count(&short, 41, true, name).advice.is_none());
            assert!(count(&facts(&[]), 41, false, name).advice.is_none(), "nobody could tell");
        }
    }
}
