//! Connections from inside the container.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::gateway::{Gateway, feed, free_address};

const ASK: &[u8] = b"version\r\nquit\r\n";

#[test]
fn ports_and_sockets_of_the_container_are_reached_whatever_they_listen_on() {
    let gateway = Gateway::new("forwarding");
    let own = gateway.container.interfaces[0].addresses[0].0.to_string();
    gateway.inside(&format!(
        "systemctl stop memcached; mkdir -p /run/t; chown memcache /run/t; \
         for where in '-l 127.0.0.1 -p 11311' '-l {own} -p 11312' '-s /run/t/sock'; do \
         setsid memcached -u memcache $where >/dev/null 2>&1 & done; sleep 0.5"
    ));
    let ask = |target: &str| {
        let mut ssh = gateway.client("ssh");
        ssh.args(["-W", target, &gateway.user_at_host(&gateway.container.kind)]);
        feed(&mut ssh, ASK)
    };
    // One listens on the loopback alone, the other on the container's address alone.
    for target in ["localhost:11311", "127.0.0.1:11311", "localhost:11312", "127.0.0.1:11312"] {
        let output = ask(target);
        assert!(output.stdout.starts_with(b"VERSION"), "{target}: {output:?} {}", gateway.said());
    }
    assert!(ask(&format!("{own}:11311")).stdout.starts_with(b"VERSION"));
    assert!(ask(&format!("{}:11312", gateway.container.kind)).stdout.starts_with(b"VERSION"));
    let refused = ask("localhost:9");
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(gateway.said().contains("connect to localhost:9 in the container"), "{text}");

    // As an editor does it: one connection that forwards a port and a socket.
    let (port, path) = (free_address().port(), gateway.path("sock"));
    let mut ssh = gateway.client("ssh");
    ssh.args([
        "-N",
        "-L",
        &format!("{port}:localhost:11312"),
        "-L",
        &format!("{path}:/run/t/sock"),
    ]);
    ssh.arg(gateway.user_at_host(&gateway.container.kind)).stderr(Stdio::null());
    let mut ssh = ssh.spawn().unwrap();
    let begun = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // Large values in both directions through one connection.
    let value = vec![b'v'; 900_000];
    stream.write_all(format!("set k 0 0 {}\r\n", value.len()).as_bytes()).unwrap();
    stream.write_all(&value).unwrap();
    stream.write_all(b"\r\nget k\r\nquit\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"STORED\r\nVALUE k 0 900000\r\n") && answer.len() > 900_000);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(ASK).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("VERSION"), "{answer}");
    ssh.kill().unwrap();
    ssh.wait().unwrap();

    // The other way round is not offered.
    let mut ssh = gateway.ssh(&["true"]);
    let remote = format!("-R{port}:localhost:1");
    let output = crate::Options::arg0_options(&mut ssh, &[&remote, "-oExitOnForwardFailure=yes"]);
    assert_eq!(output.output().unwrap().status.code(), Some(255));
}
