//! Mounted roots: there with the container, gone with it, whoever starts and however it ends.

use std::time::{Duration, Instant};

use aio::for_tests::{ContainerState, Containers, Stop};

use crate::bench::{Bench, bench, run, sh};
use aio::for_tests::Container;

/// The hook that unmounts runs after the container is stopped.
async fn unmounted(bench: &Bench, container: &Container) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !bench.mounts(container).is_empty() {
        assert!(Instant::now() < deadline, "{:#?}", bench.mounts(container));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn stock_tools_start_and_stop_alone() {
    let bench = bench();
    run(async {
        let mut container = bench.container("stock");
        container.data = vec![bench.data(&container, "/srv/data", "root:root")];
        let name = container.name.clone();
        bench.containers.define(&container).await.unwrap();
        assert_eq!(bench.mounts(&container), Vec::<String>::new());
        for stop in ["lxc-stop -k -n", "lxc-stop -n"] {
            sh(&format!("lxc-start -n {name}"));
            // Starting what runs is no error, and waits until it answers.
            bench.containers.start(&name).await.unwrap();
            // The root, its data, its journal, and the place of what the host publishes.
            assert_eq!(bench.mounts(&container).len(), 4, "{:#?}", bench.mounts(&container));
            bench.sh(&container, "touch /srv/data/x /etc/x && systemctl start memcached").await;
            sh(&format!("{stop} {name}"));
            unmounted(&bench, &container).await;
        }
        assert!(bench.upper(&container).join("etc/x").exists());
    });
}

#[test]
fn an_orderly_stop_and_a_kill_leave_nothing_mounted() {
    let bench = bench();
    run(async {
        let container = bench.container("stopped");
        bench.up(&container).await;
        bench.sh(&container, "systemctl is-system-running --wait").await;
        let how = Stop::Orderly(Duration::from_secs(20));
        bench.containers.stop(&container.name, how).await.unwrap();
        assert_eq!(bench.mounts(&container), Vec::<String>::new());
        let journal = bench.sh_outside(&container);
        assert!(journal.contains("Reached target"), "{journal}");

        bench.containers.start(&container.name).await.unwrap();
        bench.kill(&container).await;
        assert_eq!(bench.mounts(&container), Vec::<String>::new());
        bench.kill(&container).await;
        assert_eq!(bench.containers.state(&container.name).await.unwrap(), ContainerState::Stopped);
    });
}

impl Bench {
    /// The journal of a stopped container.
    fn sh_outside(&self, container: &Container) -> String {
        let journal = self.paths.journal_dir().join(&container.machine_id);
        sh(&format!("journalctl -o cat --directory {}", journal.display()))
    }
}

/// Overlayfs would mount it for reading alone, and the container would run so for ever.
#[test]
fn nothing_starts_in_a_root_that_cannot_be_written_to() {
    let bench = bench();
    run(async {
        let container = bench.container("full");
        bench.containers.define(&container).await.unwrap();
        let writable = bench.upper(&container).parent().unwrap().display().to_string();
        sh(&format!(
            "mount -t tmpfs -o size=64k,nr_inodes=4,mode=0755 none {writable} && mkdir {writable}/upper {writable}/work
             touch {writable}/filler"
        ));
        let started = bench.containers.start(&container.name).await;
        sh(&format!("umount {writable}"));
        let error = started.unwrap_err();
        assert!(
            error.to_string().contains("is the disk full? 0 MiB and 0 inodes are free"),
            "{error}"
        );
        unmounted(&bench, &container).await;
        bench.containers.start(&container.name).await.unwrap();
        bench.sh(&container, "touch /etc/x").await;
    });
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing_mounted() {
    let bench = bench();
    run(async {
        let mut container = bench.container("failing");
        container.interfaces = vec![bench.interface(&container, 20)];
        container.interfaces[0].bridge = "no-such-bridge".to_owned();
        bench.containers.define(&container).await.unwrap();
        let error = bench.containers.start(&container.name).await.unwrap_err();
        assert!(error.to_string().contains("no-such-bridge"), "{error}");
        assert!(error.hints.iter().any(|hint| hint.contains("lxc.log")), "{:?}", error.hints);
        unmounted(&bench, &container).await;

        // The hook's own failure is told too.
        container.interfaces.clear();
        container.layers[0] = "no-such-layer".to_owned();
        let error = bench.containers.define(&container).await.unwrap_err();
        assert!(error.to_string().contains("no-such-layer"), "{error}");
        let container = bench.container("failing");
        bench.containers.define(&container).await.unwrap();
        let journal = bench.paths.journal_dir().join(&container.machine_id);
        std::fs::remove_dir_all(&journal).unwrap();
        let reason = bench.containers.definition_differs(&container).await.unwrap().unwrap();
        assert!(reason.contains("/var/log/journal"), "{reason}");
        let error = bench.containers.start(&container.name).await.unwrap_err();
        assert!(error.to_string().contains(&container.machine_id), "{error}");
        unmounted(&bench, &container).await;
    });
}

#[test]
fn a_killed_monitor_leaves_a_root_that_the_next_start_replaces() {
    let bench = bench();
    run(async {
        let container = bench.container("orphan");
        bench.up(&container).await;
        sh(&format!("pkill -9 -f '^\\[lxc monitor\\] /var/lib/lxc {}$'", container.name));
        let deadline = Instant::now() + Duration::from_secs(10);
        while bench.containers.state(&container.name).await.unwrap() != ContainerState::Stopped {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!bench.mounts(&container).is_empty(), "nobody was left to unmount");
        bench.containers.start(&container.name).await.unwrap();
        bench.sh(&container, "touch /etc/works").await;
        bench.kill(&container).await;
        assert_eq!(bench.mounts(&container), Vec::<String>::new());
    });
}

/// What `nobody` gets from a shell script; the kernel keeps no rights for it.
fn as_nobody(script: &str) -> (bool, String) {
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", "sh", "-c", script])
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_user_of_the_host_enters_reads_and_runs_nothing_of_a_root() {
    let bench = bench();
    run(async {
        let container = bench.container("enclosed");
        bench.up(&container).await;
        bench.sh(&container, "cp /bin/dash /opt/rooted && chmod 4755 /opt/rooted").await;
        // Set-user-ID programs go on inside.
        let inside = "setpriv --reuid=65534 --clear-groups /opt/rooted -p -c 'id -u'";
        assert_eq!(bench.sh(&container, inside).await, "0");
        let root = bench.paths.root_dir(&container.name);
        let root = root.display();
        assert_eq!(sh(&format!("ls {root}/opt")).trim(), "rooted");
        for attempt in [
            format!("ls {root}"),
            format!("ls {root}/.."),
            format!("cat {root}/etc/passwd"),
            format!("{root}/opt/rooted -p -c id"),
            format!("cat /var/lib/lxc/{0}/config /var/lib/lxc/{0}/console.log", container.name),
        ] {
            let (done, said) = as_nobody(&attempt);
            assert!(!done && said.is_empty(), "{attempt}: {said}");
        }
        // Of every mount of the container that the host sees.
        for mount in bench.mounts(&container) {
            let point = mount.split(' ').nth(4).unwrap();
            assert!(!as_nobody(&format!("ls -d {point}/.")).0, "{point}");
        }
        // A device node that somebody makes in a layer or on the disk opens nothing.
        let options = sh(&format!("findmnt -no OPTIONS {root}"));
        assert!(options.contains("nodev") && !options.contains("nosuid"), "{options}");
        bench.kill(&container).await;
    });
}

#[test]
fn what_an_earlier_aio_left_mounted_a_level_higher_goes() {
    let bench = bench();
    run(async {
        let container = bench.container("former");
        bench.containers.define(&container).await.unwrap();
        let root = bench.paths.root_dir(&container.name);
        let former = root.parent().unwrap().display();
        sh(&format!("mount -t tmpfs former {former}; mkdir {former}/root"));
        bench.containers.start(&container.name).await.unwrap();
        assert_eq!(bench.mounts(&container).len(), 3, "{:#?}", bench.mounts(&container));
        bench.kill(&container).await;
        sh(&format!("mount -t tmpfs former {former}"));
        bench.kill(&container).await;
        assert_eq!(bench.mounts(&container), Vec::<String>::new());
        sh(&format!("mount -t tmpfs former {former}; mkdir {former}/root"));
        bench.containers.discard(&container.name).await.unwrap();
        assert!(!root.parent().unwrap().exists());
    });
}
