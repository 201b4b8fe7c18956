//! Directories of the host that appear in a running container: who sees what, and when they go.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};

use aio::for_tests::{Access, Containers, Directory, Publication, Stop};

use crate::bench::{bench, run};

/// Somebody on the host.
const OWNER: u32 = 1234;

#[test]
fn a_checkout_is_its_readers_alone_cannot_be_changed_and_goes_with_a_restart() {
    let bench = bench();
    run(async {
        let container = bench.container("publish");
        bench.up(&container).await;
        let containers = &bench.containers;
        let name = &container.name;
        let reader = bench.sh(&container, "id -u memcache").await.parse().unwrap();
        let tree = tempfile::tempdir().unwrap();
        let file = tree.path().join("code.py");
        std::fs::write(&file, "pass\n").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        for path in [&file, &tree.path().to_owned()] {
            chown(path, Some(OWNER), Some(OWNER)).unwrap();
        }
        let publication = Publication {
            unit: "memcached.service".to_owned(),
            drop_in: "[Service]\nEnvironment=PUBLISHED=yes\n".to_owned(),
            directories: BTreeMap::from([(
                "tree".to_owned(),
                Directory {
                    source: tree.path().to_owned(),
                    access: Access::Read { owner: OWNER, reader },
                },
            )]),
            files: BTreeMap::from([("deep/file".to_owned(), b"generated".to_vec())]),
            programs: BTreeMap::from([("bin/say".to_owned(), b"#!/bin/sh\necho said\n".to_vec())]),
        };
        containers.publish(name, &publication, false).await.unwrap();
        let place = Publication::path_in_container("memcached.service");
        let seen = bench.sh(&container, &format!("stat -c %U {place}/tree/code.py")).await;
        assert_eq!(seen, "memcache");
        let read = format!("runuser -u memcache -- cat {place}/tree/code.py");
        assert_eq!(bench.sh(&container, &read).await, "pass");
        let others = format!("runuser -u nobody -- cat {place}/tree/code.py");
        assert!(!bench.output(&container, &others).await.success());
        assert_eq!(bench.sh(&container, &format!("cat {place}/deep/file")).await, "generated");
        let run = format!("runuser -u memcache -- {place}/bin/say");
        assert_eq!(bench.sh(&container, &run).await, "said");
        for change in ["touch tree/x", "chmod 0777 tree/code.py", "rm tree/code.py", "touch x"] {
            let script = format!("cd {place} && {change}");
            assert!(!bench.output(&container, &script).await.success(), "{change}");
        }
        let remount = format!("mount -o remount,bind,rw {place}/tree");
        assert!(!bench.output(&container, &remount).await.success());
        let show = "systemctl daemon-reload; systemctl show -P Environment memcached.service";
        assert!(bench.sh(&container, show).await.contains("PUBLISHED=yes"));

        // Saved on the host, seen inside.
        std::fs::write(&file, "print()\n").unwrap();
        assert_eq!(bench.sh(&container, &read).await, "print()");
        containers.withdraw(name, "memcached.service").await.unwrap();
        containers.withdraw(name, "memcached.service").await.unwrap();
        assert_eq!(bench.sh(&container, "find /dev/.aio -mindepth 1").await, "/dev/.aio/units");

        for keep in [false, true] {
            containers.publish(name, &publication, keep).await.unwrap();
            containers.stop(name, Stop::Kill).await.unwrap();
            assert_eq!(bench.mounts(&container), Vec::<String>::new());
            assert!(file.exists(), "an unmounted checkout is whole");
            containers.start(name).await.unwrap();
            assert_eq!(bench.output(&container, &read).await.success(), keep);
        }
        containers.withdraw(name, "memcached.service").await.unwrap();
        bench.kill(&container).await;
    });
}
