//! Root of two containers: he is somebody else in each, to files, to keys and to limits.

use super::support::checks::Checks;
use super::support::cloud::Cloud;
use super::support::process::shell;

/// Makes keys until the kernel refuses one more, and says how many.
#[cfg(target_arch = "x86_64")]
const FILL: &str = r#"perl -e 'my ($n, $kind) = (0, "user");
    while ($n < 100000) {
        my ($name, $text) = ("fill$$.$n", "x");
        last if syscall(248, $kind, $name, $text, 1, -4) < 0;
        $n++;
    }
    print $n'"#;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("no two containers share an id", || {
        let mut firsts: Vec<u32> = cloud.lxc_names().iter().map(|name| first_id(name)).collect();
        firsts.sort_unstable();
        assert!(firsts.len() >= 3, "{firsts:?}");
        assert!(firsts.windows(2).all(|pair| pair[1] - pair[0] >= 65_536), "{firsts:?}");
    });
    #[cfg(target_arch = "x86_64")]
    checks.check("keys that one container uses up are not missing in another", || {
        let fill = |member| {
            let made = cloud.inside(&cloud.container("cache", member), FILL).ok().stdout;
            made.trim().parse::<u32>().unwrap()
        };
        assert!(fill(1) > 0);
        // Some were of commands that have ended since.
        assert!(fill(1) < 50);
        let restart = "systemctl restart memcached";
        cloud.inside(&cloud.container("cache", 2), restart).ok();
        assert!(fill(2) >= 50);
    });
}

/// The host's id that is root of a running container.
fn first_id(container: &str) -> u32 {
    let pid = shell(&format!("lxc-info -pH -n {container}"));
    let map = shell(&format!("cat /proc/{}/uid_map", pid.trim()));
    map.split_whitespace().nth(1).unwrap().parse().unwrap()
}
