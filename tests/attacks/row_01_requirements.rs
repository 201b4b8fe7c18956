//! Row 1: what a checkout or a container asks for runs nothing on the host.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::dev_mode::{Checkout, page, restore};
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::{Running, eventually, shell};

/// The user as whom nothing of the host's runs.
const UNPRIVILEGED: &str = "65533";

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("row 1: a checkout's requirement runs nothing", || requirement(cloud));
    checks.check("row 1: a container's Python makes the host run nothing", || report(cloud));
    checks.check("row 1: what is fetched is fetched without rights", || without_rights(cloud));
    checks.check("row 1: a checkout is swapped in all the same", || swapped(cloud));
}

/// A project whose build says so in a file.
fn evil(at: &Path) -> std::path::PathBuf {
    let marker = at.with_extension("built");
    fs::create_dir_all(at).unwrap();
    let project = "[build-system]\nrequires=[]\nbuild-backend=\"b\"\nbackend-path=[\".\"]\n";
    fs::write(at.join("pyproject.toml"), project).unwrap();
    let backend = format!(
        "import os\nopen({marker:?}, 'w').write(str(os.getuid()))\n\
         def prepare_metadata_for_build_wheel(d, c=None):\n raise SystemExit(1)\n\
         def build_wheel(d, c=None, m=None):\n raise SystemExit(1)\n"
    );
    fs::write(at.join("b.py"), backend).unwrap();
    marker
}

fn requirement(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let at = checkout.beside("evil");
    let marker = evil(&at);
    for line in [
        format!("evil @ file://{}", at.display()),
        format!("evil@file://{}", at.display()),
        at.display().to_string(),
        format!("-e {}", at.display()),
        format!("file://{}#egg=evil", at.display()),
        "--find-links=/".to_owned(),
        "evil.whl".to_owned(),
    ] {
        checkout.write("requirements.txt", &format!("# mine\n{line}\n"));
        checkout.refused(cloud, &["requirements.txt", "line 2", &line]);
        assert!(!marker.exists(), "`{line}` ran as {}", fs::read_to_string(&marker).unwrap());
    }
    assert_eq!(page(cloud), "packaged\n");
}

fn report(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let at = checkout.beside("evil");
    let marker = evil(&at);
    let unmet = format!(
        "{{\"requirement\": \"evil @ file://{}\", \"required_by\": \"web\", \"found\": null}}",
        at.display()
    );
    let lie = format!(
        "cp -P /usr/bin/python3 /usr/bin/python3.honest
         cat > /usr/bin/python3.lying <<'EOF'
#!/bin/sh
[ \"$*\" = '-I -' ] || exec /usr/bin/python3.honest \"$@\"
/usr/bin/python3.honest -I - | sed 's|\"missing\": \\[\\]|\"missing\": [{unmet}]|'
EOF
         chmod 755 /usr/bin/python3.lying
         mv /usr/bin/python3.lying /usr/bin/python3"
    );
    cloud.inside("web", &lie).ok();
    let finished = checkout.swap(cloud, &[]);
    cloud.inside("web", "mv /usr/bin/python3.honest /usr/bin/python3").ok();
    restore(cloud);
    assert!(!marker.exists(), "it ran as {}", fs::read_to_string(&marker).unwrap());
    assert_ne!(finished.status, 0, "{}", finished.all());
    assert!(finished.stderr.contains("addresses are not followed"), "{}", finished.stderr);
}

/// An index that never answers holds pip where it can be looked at.
fn without_rights(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    checkout.write("requirements.txt", "aio-of-nobody>=1\n");
    let index = TcpListener::bind("127.0.0.1:0").unwrap();
    let from = checkout.root.to_str().unwrap();
    let mut command: Command = cloud.command(&["dev", "web", "--from", from, "--detach"]);
    let address = format!("http://someone:password@{}/simple", index.local_addr().unwrap());
    command.env("PIP_INDEX_URL", address).env("A_SECRET", "of-root").env("PIP_RETRIES", "0");
    let running = Running::start(command);
    index.set_nonblocking(true).unwrap();
    let limit = Duration::from_secs(20);
    let connection = eventually(limit, || index.accept().ok(), "pip asks the index").0;
    let pid = eventually(
        Duration::from_secs(20),
        || {
            let found = shell("pgrep --uid 65533 --full 'pip download' || true");
            found.lines().next().map(str::to_owned)
        },
        "pip without rights",
    );
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{status}");
    }
    let ids = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let four = [UNPRIVILEGED; 4].join("\t");
    assert_eq!(ids("Uid:"), format!("Uid:\t{four}"));
    assert_eq!(ids("Gid:"), format!("Gid:\t{four}"));
    assert_eq!(ids("Groups:").trim(), "Groups:");
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("A_SECRET"));
    let session = shell(&format!("ps -o sid= -p {pid}"));
    assert_ne!(session.trim(), shell("ps -o sid= -p $$").trim());
    let root = format!("/proc/{pid}/root");
    for hidden in ["etc/shadow", "etc/aio", "var", "home", "proc/1"] {
        assert!(!Path::new(&root).join(hidden).exists(), "{hidden} is seen");
    }
    let write = format!(
        "nsenter --target {pid} --mount --root --wd -S 65533 -G 65533 -- touch /x /tmp/x /usr/x"
    );
    let written = shell(&format!("{write} 2>&1 || true"));
    assert_eq!(
        written.matches("Read-only file system").count() + written.matches("No such").count(),
        3,
        "{written}"
    );
    drop(connection);
    drop(index);
    let finished = running.finish(Duration::from_secs(60));
    restore(cloud);
    assert!(finished.stderr.contains("aio-of-nobody>=1"), "{}", finished.stderr);
    let left = shell("pgrep --uid 65533 || true");
    assert_eq!(left, "", "nothing of it is left");
}

fn swapped(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    checkout.swap(cloud, &[]).ok();
    assert_eq!(page(cloud), "from a checkout\n");
    restore(cloud);
    assert_eq!(page(cloud), "packaged\n");
}
