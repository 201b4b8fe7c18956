//! Root in a container takes all that it can get: tasks, the memory of who reads its files and hears
//! its commands, and the disk under its console.

use super::support::checks::Checks;
use super::support::cloud::Cloud;
use super::support::process::shell;

/// Runs a command and prints the most memory that it or a child of its had at once, in KiB.
const MOST: &str = "import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("row 10: a container can have no more than 4096 tasks", || {
        let seen = shell(&format!(
            "cat /sys/fs/cgroup/lxc.payload.{0}/pids.max /sys/fs/cgroup/pids/lxc.payload.{0}/pids.max \
             2>/dev/null || true",
            cloud.container("cache", 1)
        ));
        assert_eq!(seen.trim(), "4096");
    });

    checks.check("row 10: a file of 1 GiB in a container is not read into memory", || {
        let file = "/etc/memcached.conf";
        cloud.inside("cache/1", &format!("cp -p {file} /root/; truncate -s 1G {file}")).ok();
        // What stands in it is compared, and put right.
        let said = shell(&format!("python3 -c '{MOST}' {:?}", cloud.command(&["plan"])));
        let most: u64 = said.lines().last().unwrap().parse().unwrap();
        assert!(most < 300 << 10, "{most} KiB");
        cloud.bootstrap(&[]);
        cloud.inside("cache/1", &format!("cmp {file} /root/memcached.conf")).ok();
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
