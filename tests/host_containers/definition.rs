//! Defining, changing and throwing away.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use aio::for_tests::{ContainerState, Containers, ErrorKind, Renewed, Stop};

use crate::bench::{bench, run, sh};

#[test]
fn what_is_removed_by_hand_comes_back_fresh_with_its_data() {
    let bench = bench();
    run(async {
        let mut container = bench.container("byhand");
        container.data = vec![bench.data(&container, "/srv/data", "memcache:root")];
        bench.up(&container).await;
        bench.sh(&container, "touch /etc/old /srv/data/kept").await;
        sh(&format!("lxc-stop -k -n {0}; lxc-destroy -n {0}", container.name));
        assert_eq!(bench.containers.state(&container.name).await.unwrap(), ContainerState::Absent);
        let reason = bench.containers.definition_differs(&container).await.unwrap();
        assert_eq!(reason.as_deref(), Some("the container is not defined"));
        assert!(Path::new(&container.data[0].source).join("kept").exists());

        bench.up(&container).await;
        bench.sh(&container, "test ! -e /etc/old && test -e /srv/data/kept").await;
        sh(&format!("lxc-destroy -f -n {}", container.name));
        assert!(Path::new(&container.data[0].source).join("kept").exists());
        bench.up(&container).await;
        bench.sh(&container, "test -e /srv/data/kept").await;
        bench.kill(&container).await;
    });
}

#[test]
fn a_container_is_renewed_while_it_runs_and_keeps_that_over_a_restart() {
    let bench = bench();
    run(async {
        let before = bench.container("renewed");
        bench.up(&before).await;
        let init_pid = bench.init_pid(&before).await;
        // Any directory of a layer will do.
        let renewed = Renewed {
            layers: before.layers.clone(),
            python: before.layers.last().unwrap().clone(),
            home: "/etc/systemd".to_owned(),
        };
        let after = aio::for_tests::Container { renewed: Some(renewed), ..before.clone() };
        let other = aio::for_tests::Container { memory_limit_mib: 300, ..after.clone() };
        assert!(!bench.containers.renew(&before).await.unwrap(), "nothing to renew");
        assert!(!bench.containers.renew(&other).await.unwrap(), "more than that changed");
        bench.sh(&before, "touch /etc/systemd/own").await;

        assert!(bench.containers.renew(&after).await.unwrap());
        let lies_over = "! test -e /etc/systemd/own && test -d /etc/systemd/system && \
                         ! touch /etc/systemd/own 2>/dev/null";
        bench.sh(&after, lies_over).await;
        assert_eq!(bench.init_pid(&after).await, init_pid);
        assert_eq!(bench.containers.definition_differs(&after).await.unwrap(), None);
        bench.containers.stop(&after.name, Stop::Kill).await.unwrap();
        bench.containers.start(&after.name).await.unwrap();
        bench.sh(&after, lies_over).await;
        bench.kill(&after).await;
    });
}

#[test]
fn what_changes_is_noticed_and_changed() {
    let bench = bench();
    run(async {
        let before = bench.container("changing");
        bench.containers.define(&before).await.unwrap();
        let mut after = before.clone();
        after.memory_limit_mib = 300;
        after.units.clear();
        let differs =
            async |container| bench.containers.definition_differs(container).await.unwrap();
        assert_eq!(differs(&after).await.as_deref(), Some("its memory limit mib, units changed"));
        bench.containers.write_files(&before.name, &[kept()]).await.unwrap();
        bench.up(&after).await;
        let masked = bench.output(&after, "systemctl is-enabled memcached").await.text();
        assert_eq!(masked.trim(), "masked");
        bench.sh(&after, "test -e /etc/kept").await;
        bench.kill(&after).await;

        let config = format!("/var/lib/lxc/{}/config", after.name);
        sh(&format!("echo lxc.start.delay = 5 >> {config}"));
        assert!(differs(&after).await.unwrap().contains("configuration differs"));
        bench.containers.define(&after).await.unwrap();
        // As after a power cut.
        std::fs::write(bench.upper(&after).join("etc/hostname"), "").unwrap();
        assert!(differs(&after).await.unwrap().contains("/etc/hostname"));
        bench.containers.define(&after).await.unwrap();
        assert_eq!(differs(&after).await, None);

        // Changes made on top of other layers are of no use.
        let mut moved = after.clone();
        moved.layers.remove(0);
        bench.containers.define(&moved).await.unwrap();
        assert!(!bench.upper(&moved).join("etc/kept").exists());
    });
}

fn kept() -> aio::for_tests::ContainerFile {
    aio::for_tests::ContainerFile {
        path: "/etc/kept".to_owned(),
        owner: "root:root".to_owned(),
        mode: 0o644,
        content: b"x".to_vec(),
    }
}

#[test]
fn data_begins_as_told_and_goes_when_told() {
    let bench = bench();
    run(async {
        let mut container = bench.container("data");
        let empty = bench.data(&container, "/srv/empty", "memcache:adm");
        let mut copied = bench.data(&container, "/etc/systemd", "root:root");
        copied.from_image = true;
        copied.keep = true;
        "0755".clone_into(&mut copied.mode);
        container.data = vec![empty, copied];
        bench.up(&container).await;
        let seen = bench.sh(&container, "stat -c '%U:%G %a' /srv/empty; ls /etc/systemd").await;
        assert!(seen.starts_with("memcache:adm 750"), "{seen}");
        assert!(seen.contains("system.conf") || seen.contains("system"), "{seen}");
        bench.sh(&container, "touch /srv/empty/x /etc/systemd/x").await;
        let sources: Vec<&Path> = container.data.iter().map(|it| Path::new(&it.source)).collect();
        assert_eq!(sources[1].join("x").metadata().unwrap().uid(), 0);
        for refused in [
            bench.containers.discard(&container.name).await,
            bench.containers.discard_data(&container).await,
            bench.containers.define(&container).await,
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("running"), "{error}");
        }
        bench.kill(&container).await;

        bench.containers.discard(&container.name).await.unwrap();
        assert!(sources[0].join("x").exists());
        assert!(!bench.paths.container_dir(&container.name).exists());
        assert!(!bench.paths.root_dir(&container.name).parent().unwrap().exists());
        assert!(!Path::new("/var/lib/lxc").join(&container.name).exists());
        bench.containers.discard_data(&container).await.unwrap();
        assert!(!sources[0].exists());
        assert!(sources[1].join("x").exists());
        bench.containers.discard(&container.name).await.unwrap();
    });
}

#[test]
fn containers_of_others_are_left_alone() {
    let bench = bench();
    run(async {
        let container = bench.container("foreign");
        let directory = format!("/var/lib/lxc/{}", container.name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(format!("{directory}/config"), "lxc.uts.name = mine\n").unwrap();
        let defined = bench.containers.define(&container).await.unwrap_err();
        let discarded = bench.containers.discard(&container.name).await.unwrap_err();
        let listed = bench.containers.list().await.unwrap().contains(&container.name);
        let text = std::fs::read_to_string(format!("{directory}/config")).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!((defined.kind, discarded.kind), (ErrorKind::Refused, ErrorKind::Refused));
        assert!(!listed);
        assert_eq!(text, "lxc.uts.name = mine\n");
    });
}

#[test]
fn nobody_but_root_reaches_ids_that_are_not_shifted() {
    let bench = bench();
    run(async {
        let container = bench.container("modes");
        bench.containers.define(&container).await.unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&bench.paths.state_dir), 0o711);
        assert_eq!(mode(&bench.paths.private_dir()), 0o700);
        let root = bench.paths.root_dir(&container.name);
        let own = root.parent().unwrap();
        assert_eq!((mode(own), mode(own.parent().unwrap())), (0o710, 0o711));
        assert_eq!(mode(&bench.paths.spec_file(&container.name)), 0o600);
        let config = Path::new("/var/lib/lxc").join(&container.name).join("config");
        assert_eq!(mode(&config), 0o640);
    });
}
