//! Root in a container replaces a program that `aio` runs there, and types into the terminal of
//! whoever asks for the cloud's health.

use super::support::checks::Checks;
use super::support::cloud::Cloud;
use super::support::process::shell;

/// Types a line into every terminal that it can reach, and goes on as what it replaces.
const SHELL: &str = r#"#!/usr/bin/perl
for my $t ("/dev/tty", "/dev/stdin", "/dev/stdout", "/dev/stderr") {
    open(T, "+<", $t) or open(T, "<", $t) or next;
    ioctl(T, 0x5412, $_) for split //, "typed by a container\n";
}
open(T, ">", "/tmp/was-run");
exec("/bin/sh", @ARGV);
"#;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("row 2: a command in a container cannot type into the caller's terminal", || {
        let container = cloud.container("cache", 1);
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str| place.path().join(name).display().to_string();
        std::fs::write(file("sh"), SHELL).unwrap();
        // Health probes run `sh`, and find this one first.
        shell(&format!(
            "lxc-attach -n {container} -- tee /usr/local/sbin/sh < {} > /dev/null; \
             lxc-attach -n {container} -- chmod 755 /usr/local/sbin/sh",
            file("sh")
        ));
        let status = format!("{:?}", cloud.command(&["status"]));
        std::fs::write(
            file("asks"),
            format!(
                "{status} > /dev/null 2>&1\nread -t 2 heard < /dev/tty\necho \"heard:$heard.\""
            ),
        )
        .unwrap();
        // Somebody sits there: without, the end of the input would come before what is typed.
        let said = shell(&format!("sleep 5 | script -qec 'bash {}' /dev/null", file("asks")));
        shell(&format!(
            "lxc-attach -n {container} -- rm /tmp/was-run; \
             lxc-attach -n {container} -- rm /usr/local/sbin/sh"
        ));
        assert!(said.contains("heard:.") && !said.contains("typed"), "{said}");
    });
}
