//! Root in a container takes all that it can get: tasks, the memory of who reads its files and hears
//! its commands, and the disk under its console.

use super::support::checks::Checks;
use super::support::cloud::Cloud;
use super::support::process::shell;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("row 10: a container can have no more than 4096 tasks", || {
        let seen = shell(&format!(
            "cat /sys/fs/cgroup/lxc.payload.{0}/pids.max /sys/fs/cgroup/pids/lxc.payload.{0}/pids.max \
             2>/dev/null || true",
            cloud.container("cache", 1)
        ));
        assert_eq!(seen.trim(), "4096");
    });

    checks.check("row 10: a file of 200 GiB in a container is not read into memory", || {
        cloud
            .inside("cache/1", "cp -p /etc/passwd /root/passwd; truncate -s 200G /etc/passwd")
            .ok();
        // A login shell is looked for in it.
        let login = cloud.command(&["attach", "cache/1"]);
        let limited = format!("ulimit -v 2000000; {login:?} < /dev/null > /dev/null");
        let ended = shell(&format!("{limited} && echo whole || echo broken"));
        cloud.inside("cache/1", "cp -p /root/passwd /etc/passwd").ok();
        assert_eq!(ended.trim(), "whole");
    });

    checks.check("row 10: a probe that never stops printing is ended", || {
        cloud
            .inside(
                "cache/1",
                "printf '#!/bin/bash\\nexec yes\\n' > /usr/local/sbin/sh; chmod 755 /usr/local/sbin/sh",
            )
            .ok();
        let begun = std::time::Instant::now();
        let limited = format!("ulimit -v 4000000; {:?}", cloud.command(&["status"]));
        let said = shell(&format!("{limited} 2>&1 || echo failed"));
        shell(&format!(
            "lxc-attach -n {} -- rm /usr/local/sbin/sh",
            cloud.container("cache", 1)
        ));
        assert!(said.contains("more than 64 MiB"), "{said}");
        assert!(begun.elapsed().as_secs() < 30);
    });

    checks.check("row 10: a console's log stays small, whatever is written to the console", || {
        let container = cloud.container("cache", 1);
        cloud.inside("cache/1", "head -c 16M /dev/zero | tr '\\0' x > /dev/console").ok();
        let size = shell(&format!("cat /var/lib/lxc/{container}/console.log* | wc -c"));
        assert!(size.trim().parse::<u64>().unwrap() <= 3 << 20, "{size}");
    });
}
