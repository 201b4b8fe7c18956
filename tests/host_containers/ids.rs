//! Each container's ids are its own: whoever is root in one is nobody to the next, and what the kernel
//! counts by user is counted for each alone.

use aio::for_tests::{Container, Containers};

use crate::bench::{Bench, bench, run};

/// Makes keys until the kernel refuses one more, and says how many.
const FILL: &str = r#"perl -e 'my ($n, $kind) = (0, "user");
    while ($n < 100000) {
        my ($name, $text) = ("fill$$.$n", "x");
        last if syscall(248, $kind, $name, $text, 1, -4) < 0;
        $n++;
    }
    print $n'"#;

impl Bench {
    /// First id and count of the host that stand for a running container's.
    async fn ids_of(&self, container: &Container) -> (u32, u32) {
        let pid = self.init_pid(container).await;
        let map = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        assert_eq!(map("uid_map"), map("gid_map"));
        let map = map("uid_map");
        let fields: Vec<u32> = map.split_whitespace().map(|field| field.parse().unwrap()).collect();
        let [0, first, count] = fields[..] else { panic!("{map}") };
        (first, count)
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn two_containers_share_no_id_and_no_quota() {
    let bench = bench();
    run(async {
        let (one, two) = (bench.container("apart"), bench.container("beside"));
        bench.up(&one).await;
        bench.up(&two).await;
        let (first, second) = (bench.ids_of(&one).await, bench.ids_of(&two).await);
        assert_eq!((first.1, second.1), (65_536, 65_536));
        assert!(first.0.abs_diff(second.0) >= 65_536, "{first:?} {second:?}");

        // A unit's start takes keys of root's. Where one container has used its share up its
        // neighbour does not notice.
        let made = async |container| bench.sh(container, FILL).await.parse::<u32>().unwrap();
        let all = made(&one).await;
        assert!((50..100_000).contains(&all), "{all} keys");
        // Some were of commands that have ended since.
        assert!(made(&one).await < 50);
        bench.sh(&two, "systemctl start memcached").await;
        let others = made(&two).await;
        assert!(others >= 50, "{all} keys of one left {others} to the other");
        bench.kill(&one).await;
        bench.kill(&two).await;
    });
}

#[test]
fn ids_change_under_a_container_of_old_and_its_files_stay_its_own() {
    let bench = bench();
    run(async {
        let mut container = bench.container("moved");
        container.data = vec![bench.data(&container, "/srv/data", "memcache:root")];
        bench.up(&container).await;
        let before = bench.ids_of(&container).await;
        let make = "touch /srv/data/kept /etc/kept && chown memcache /srv/data/kept";
        bench.sh(&container, make).await;
        bench.kill(&container).await;
        container.id_slot = 63;
        let reason = bench.containers.definition_differs(&container).await.unwrap().unwrap();
        assert_eq!(reason, "its id slot changed");
        bench.up(&container).await;
        assert_ne!(bench.ids_of(&container).await, before);
        let owners = "stat -c %U:%G /srv/data /srv/data/kept /etc/kept / | xargs";
        let expected = "memcache:root memcache:root root:root root:root";
        assert_eq!(bench.sh(&container, owners).await, expected);
        bench.sh(&container, "systemctl start memcached && journalctl --list-boots").await;
        bench.kill(&container).await;

        // Of ids that the cloud does not have nothing is made.
        container.id_slot = 64;
        let error = bench.containers.define(&container).await.unwrap_err();
        assert!(error.to_string().contains("no ids of its own"), "{error}");
    });
}
