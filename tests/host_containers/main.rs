//! Containers for real: LXC, mounts and namespaces of this machine. Needs root, LXC and, the first
//! time, Debian's packages.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod attach;
mod bench;
mod definition;
mod files;
mod ids;
mod looks;
mod place;
mod publications;
mod roots;

use std::os::unix::fs::MetadataExt;

use aio::for_tests::Containers;
use bench::{bench, run, sh};

#[test]
fn boots_unprivileged_without_a_failed_unit_and_runs_what_is_named() {
    let bench = bench();
    run(async {
        let mut container = bench.container("boot");
        container.interfaces = vec![bench.interface(&container, 10)];
        bench.up(&container).await;
        let init_pid = bench.init_pid(&container).await;

        // Systemd answers as soon as `start` returns.
        let script = "systemctl is-system-running --wait";
        assert_eq!(
            bench.sh(&container, script).await,
            "running",
            "{}",
            failed(&bench, &container).await
        );
        assert_eq!(bench.sh(&container, "hostname").await, container.hostname);
        assert_eq!(bench.sh(&container, "echo $GREETING").await, "hello");

        // Root inside is somebody else outside, and ids on disk are unshifted.
        let (first, _) = bench.ids.slot(container.id_slot).unwrap();
        assert_eq!(std::fs::metadata(format!("/proc/{init_pid}")).unwrap().uid(), first);
        bench.sh(&container, "touch /etc/made-by-root").await;
        let made = bench.upper(&container).join("etc/made-by-root").metadata().unwrap();
        assert_eq!((made.uid(), made.gid()), (0, 0));

        // The unit named may run, one that is not is masked.
        bench.sh(&container, "systemctl start memcached").await;
        let units = ["memcached.service", "rsyslog.service", "nothing.service"].map(str::to_owned);
        let active = bench.containers.active_units(&container.name, &units).await.unwrap();
        assert_eq!(active, [true, false, false]);

        // The network is as the container's model says.
        let link = bench.sh(&container, "ip -brief link show eth1").await;
        assert!(link.contains("00:16:3e:7a:00:0a"), "{link}");
        // Refused by the container itself, so it was reached.
        let refused = std::net::TcpStream::connect("198.18.7.10:9").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        bench.sh(&container, "ping -c 1 -W 2 198.18.7.1").await;
        sh(&format!("ip link show {}", container.interfaces[0].host_name));

        // The memory limit is in force.
        assert_eq!(memory_limit(init_pid), 256 << 20);

        // The journal is on the host, readable without the container.
        bench
            .sh(&container, "echo seen from outside | systemd-cat -t aio-test; journalctl --sync")
            .await;
        let journal = bench.paths.journal_dir().join(&container.machine_id);
        assert!(journal.join("system.journal").is_file());
        assert!(bench.sh(&container, "journalctl -t aio-test -o cat").await.contains("seen"));

        // Stock tools see it.
        assert!(sh("lxc-ls -1 --running").contains(&container.name));
        assert_eq!(
            sh(&format!("lxc-attach -n {} -- hostname", container.name)).trim(),
            container.hostname
        );
        assert!(bench.containers.list().await.unwrap().contains(&container.name));
        bench.kill(&container).await;
    });
}

async fn failed(bench: &bench::Bench, container: &aio::for_tests::Container) -> String {
    bench.output(container, "systemctl --failed --no-legend; systemctl list-jobs").await.text()
}

fn memory_limit(init_pid: u32) -> u64 {
    let groups = std::fs::read_to_string(format!("/proc/{init_pid}/cgroup")).unwrap();
    let find = |controllers: &str| {
        groups.lines().find_map(|line| line.split_once(&format!(":{controllers}:/"))).map(|it| it.1)
    };
    let payload = |path: &str| path.trim_end_matches("/init.scope").to_owned();
    let file = match find("memory") {
        Some(path) => format!("/sys/fs/cgroup/memory/{}/memory.limit_in_bytes", payload(path)),
        None => format!("/sys/fs/cgroup/{}/memory.max", payload(find("").unwrap())),
    };
    std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{file}: {error}"))
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn a_privileged_container_takes_the_same_way() {
    let bench = bench();
    run(async {
        let mut container = bench.container("privileged");
        container.privileged = Some("a test".to_owned());
        container.data = vec![bench.data(&container, "/srv/data", "root:root")];
        bench.up(&container).await;
        let init_pid = bench.init_pid(&container).await;
        assert_eq!(std::fs::metadata(format!("/proc/{init_pid}")).unwrap().uid(), 0);
        bench.sh(&container, "touch /srv/data/kept").await;
        bench.sh(&container, "systemctl start memcached").await;
        bench.kill(&container).await;
        assert_eq!(bench.mounts(&container), Vec::<String>::new());
        assert!(std::path::Path::new(&container.data[0].source).join("kept").exists());
    });
}

#[test]
fn two_start_at_once() {
    let bench = bench();
    run(async {
        let (one, two) = (bench.container("first"), bench.container("second"));
        tokio::join!(bench.up(&one), bench.up(&two));
        let (first, second) = tokio::join!(bench.sh(&one, "hostname"), bench.sh(&two, "hostname"));
        assert_eq!((first, second), (one.hostname.clone(), two.hostname.clone()));
        tokio::join!(bench.kill(&one), bench.kill(&two));
    });
}
