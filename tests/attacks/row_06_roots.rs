//! A user of the host, helped by root of a container who left a set-user-ID shell there, or alone at
//! the ports of containers.

use super::network::connection;
use super::row_05_guests::virtual_address;
use super::support::checks::Checks;
use super::support::cloud::Cloud;
use super::support::process::shell;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("a user of the host enters, reads and runs nothing of a root", || {
        let container = cloud.container("cache", 1);
        let script = "cp /bin/dash /opt/rooted && chmod 4755 /opt/rooted";
        cloud.inside(&container, script).ok();
        let roots = cloud.state_dir.join("roots").join(&container);
        let find = format!("find '{}' -maxdepth 3 -name rooted", roots.display());
        let rooted = shell(&find);
        let rooted = rooted.trim();
        assert!(!rooted.is_empty(), "the attack lacks its shell: {find}");
        // Every path that the table of mounts betrays, and the shell itself.
        let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
        let mounts = format!("cut -d' ' -f2 /proc/mounts | grep -F '{}'", cloud.name);
        let opened = shell(&format!(
            "for place in $({mounts}); do {nobody} ls \"$place/.\" 2>/dev/null || :; done; \
             {nobody} sh -c \"'{rooted}' -p -c id\" 2>/dev/null || :; \
             {nobody} cat /var/lib/lxc/{container}/* 2>/dev/null || :"
        ));
        assert_eq!(opened.trim(), "");
        cloud.inside(&container, "rm /opt/rooted").ok();
    });
    checks.check("what stands beside the roots is closed too", || {
        // All but the binary and the gateway's public key.
        let state = cloud.state_dir.display();
        let open = shell(&format!(
            "find '{state}' -mindepth 1 -maxdepth 4 -path '{state}/private' -prune -o -print \
             | setpriv --reuid=65534 --regid=65534 --clear-groups \
             sh -c 'while read -r path; do if test -r \"$path\"; then echo \"$path\"; fi; done' \
             | grep -v -e '{state}/bin' -e '{state}/known_hosts' || :"
        ));
        assert_eq!(open.trim(), "");
    });
    checks.check("a user of the host reaches a service through the balancer alone", || {
        let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
        let opens = |who: &str, address: &str, port: u16| {
            let script = format!("{who} {} && echo opened || :", connection(address, port));
            shell(&script).contains("opened")
        };
        let server = cloud.address("cache", 1);
        assert!(!opens(nobody, &server, 11211), "directly");
        assert!(opens(nobody, &virtual_address(cloud), 11211), "through the balancer");
        assert!(opens("", &server, 11211), "root");
    });
}
