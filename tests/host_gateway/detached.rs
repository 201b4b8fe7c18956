//! A gateway in the background, and the client's configuration.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::gateway::{Gateway, free_address};

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_outlives_its_terminal_is_named_to_a_second_one_and_is_stopped() {
    let gateway = Gateway::new("detached");
    let address = free_address().to_string();
    let authorized = gateway.path("authorized");
    let start = |more: &[&str]| {
        let mut command = gateway.aio(&["gateway", "--detach", "--listen", &address]);
        command.args(["--authorized-keys", &authorized]).args(more).output().unwrap()
    };
    // On a terminal that is gone as soon as it has started.
    let script = format!(
        "{} --name {} --state-dir {} gateway --detach --listen {address} --authorized-keys \
         {authorized}",
        crate::bench::binary().display(),
        gateway.bench.paths.cloud,
        gateway.bench.paths.state_dir.display()
    );
    let output = Command::new("script").args(["-qec", &script, "/dev/null"]).output().unwrap();
    let (said, _) = texts(&output);
    assert!(said.contains(&format!("listening on {address} (process ")), "{said}");
    std::thread::sleep(Duration::from_millis(500));
    let status = gateway.aio(&["gateway", "--status"]).output().unwrap();
    let (running, _) = texts(&status);
    assert!(running.contains(&address) && running.lines().count() == 2, "{running}");

    let output = start(&[]);
    let (_, error) = texts(&output);
    assert_eq!(output.status.code(), Some(5), "{error}");
    assert!(error.contains("the gateway of cloud `aiotg` (process "), "{error}");
    assert!(error.contains("gateway --stop"), "{error}");
    // Somebody else's port.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut other = gateway.aio(&["gateway", "--listen", &port, "--authorized-keys", &authorized]);
    let output = other.output().unwrap();
    let (_, error) = texts(&output);
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(error.contains("another program listens there"), "{error}");
    // No key.
    let mut keyless = gateway.aio(&["gateway", "--listen", &port]);
    let output = keyless.env("HOME", "/nonexistent").env_remove("SUDO_USER").output().unwrap();
    let (_, error) = texts(&output);
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(error.contains("/nonexistent/.ssh") && error.contains("ssh-keygen"), "{error}");

    // What it prints makes `ssh NAME` work without a question, as any user.
    let printed = gateway.aio(&["gateway", "--print-ssh-config"]).output().unwrap();
    let config = gateway.path("config");
    std::fs::write(&config, &printed.stdout).unwrap();
    let key = format!("-oIdentityFile={}", gateway.path("key"));
    for host in ["aiotg-detached", &gateway.container.name] {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            &config,
            "-oBatchMode=yes",
            "-oIdentitiesOnly=yes",
            &key,
            host,
            "hostname",
        ]);
        let output = ssh.stdin(Stdio::null()).output().unwrap();
        let (said, error) = texts(&output);
        assert_eq!(said.trim(), gateway.container.hostname, "{error}");
    }
    let known = gateway.bench.paths.known_hosts_file();
    let readable = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"])
        .arg(&known)
        .output()
        .unwrap();
    assert!(readable.stdout.starts_with(b"aio-gateway-aiotg ssh-ed25519 "), "{readable:?}");

    // Stopping ends what runs through it, and leaves nothing outside of the cloud's directory.
    let mut ssh = Command::new("ssh");
    let port = address.rsplit(':').next().unwrap();
    ssh.args(["-F", &config, "-oBatchMode=yes", "-oIdentitiesOnly=yes", &key]);
    ssh.args(["-p", port, "aiotg-detached", "sleep 4731"]).stderr(Stdio::null());
    let mut ssh = ssh.stdin(Stdio::null()).spawn().unwrap();
    gateway.appears("[s]leep 4731");
    assert!(aio::for_tests::stop_gateway(&gateway.bench.paths).unwrap());
    assert_eq!(ssh.wait().unwrap().code(), Some(255));
    gateway.gone_within(Duration::from_secs(5), "[s]leep 4731");
    assert!(!known.exists());
    assert!(!aio::for_tests::stop_gateway(&gateway.bench.paths).unwrap());
    let status = gateway.aio(&["gateway", "--status"]).output().unwrap();
    assert_eq!(status.status.code(), Some(6));
    // The key stays: a client that knows it knows the next gateway.
    let output = start(&["--output", "json"]);
    let (said, error) = texts(&output);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!(said["address"], address);
    let again = gateway.aio(&["gateway", "--print-ssh-config"]).output().unwrap();
    assert!(again.status.success());
    let line = std::fs::read(&known).unwrap();
    assert_eq!(line, readable.stdout);
}
