//! Clients that are slow, and clients that go.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::gateway::{Gateway, feed, file_of};

/// A master connection that others use.
fn master(gateway: &Gateway) -> (Child, String) {
    let control = gateway.path("control");
    let mut ssh = gateway.ssh(&[]);
    let mut ssh = crate::Options::arg0_options(&mut ssh, &["-N", "-M", "-S", &control])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !std::path::Path::new(&control).exists() {
        assert!(begun.elapsed() < Duration::from_secs(10) && ssh.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(20));
    }
    (ssh, control)
}

#[test]
fn a_slow_reader_stalls_nobody_else_and_memory_stays_small() {
    let gateway = Gateway::new("slow");
    let (mut ssh, control) = master(&gateway);
    let shared = |command: &str| {
        let mut ssh = gateway.ssh(&[command]);
        let ssh = crate::Options::arg0_options(&mut ssh, &["-S", &control]);
        std::mem::replace(ssh, std::process::Command::new("true"))
    };
    file_of(&gateway.path("big"), 200_000_000);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = resident();
    // One command does not read for a while, a client does not read at all.
    let big = std::fs::File::open(gateway.path("big")).unwrap();
    let mut sleeper = shared("sleep 8; cat | sha256sum").stdin(big).stdout(Stdio::piped()).spawn();
    let mut silent = shared("cat /dev/zero").stdout(Stdio::piped()).spawn();
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..5 {
        let begun = Instant::now();
        assert!(shared("true").status().unwrap().success());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    std::thread::sleep(Duration::from_secs(2));
    let after = resident();
    println!("gateway: {before} MiB before, {after} MiB with two slow readers");
    assert!(after < before + 64, "{before} MiB, then {after} MiB");
    let output = sleeper.as_mut().unwrap().wait().unwrap();
    assert!(output.success(), "{}", gateway.said());
    let mut sum = String::new();
    let mut stdout = sleeper.unwrap().stdout.take().unwrap();
    std::io::Read::read_to_string(&mut stdout, &mut sum).unwrap();
    let expected = crate::bench::sh(&format!("sha256sum < {}", gateway.path("big")));
    assert_eq!(sum, expected);
    let silent = silent.as_mut().unwrap();
    silent.kill().unwrap();
    silent.wait().unwrap();
    gateway.gone_within(Duration::from_secs(5), "[c]at /dev/zero");

    // Everything sent comes back although nobody waits for it to be read.
    let input = std::fs::read(gateway.path("big")).unwrap();
    let begun = Instant::now();
    let output = feed(&mut shared("cat"), &input[..50_000_000]);
    assert!(output.stdout == input[..50_000_000], "{}", output.stdout.len());
    println!("50 MB there and back in {:.1} s", begun.elapsed().as_secs_f64());
    // Room on disk is given back with the channel.
    let spool = gateway.bench.paths.gateway_dir().join("spool");
    assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0);
    ssh.kill().unwrap();
    ssh.wait().unwrap();
}

#[test]
fn a_client_that_goes_takes_its_command_with_it() {
    let gateway = Gateway::new("going");
    let begin = |options: &[&str], command: &str| {
        let mut ssh = gateway.ssh(&[command]);
        let ssh = crate::Options::arg0_options(&mut ssh, options);
        ssh.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let limit = Duration::from_secs(5);
    // Without a terminal, with something in the background, and one that ignores the first signal.
    let commands: [(&[&str], &str); 4] = [
        (&[], "sleep 4721 & sleep 4721"),
        (&[], "trap '' TERM HUP; while :; do sleep 4722; done"),
        (&["-tt"], "sleep 4723"),
        (&["-tt"], "trap '' TERM HUP; while :; do sleep 4724; done"),
    ];
    for (number, (options, command)) in (4721..).zip(commands) {
        let pattern = format!("[s]leep {number}");
        let mut ssh = begin(options, command);
        gateway.appears(&pattern);
        ssh.kill().unwrap();
        ssh.wait().unwrap();
        gateway.gone_within(limit, &pattern);
    }
    // A shell with a job in the foreground that does not care.
    let mut ssh = begin(&["-tt"], "bash -i");
    let mut stdin = ssh.stdin.take().unwrap();
    let script = b"sh -c \"trap '' HUP TERM; while :; do sleep 4725; done\"\n";
    std::io::Write::write_all(&mut stdin, script).unwrap();
    gateway.appears("[s]leep 4725");
    ssh.kill().unwrap();
    ssh.wait().unwrap();
    gateway.gone_within(limit, "[s]leep 4725");

    // A client that closes its channel and stays, and one that sends a signal.
    let said = gateway.paramiko(
        "channel = client.get_transport().open_session()\n\
         channel.exec_command('sleep 4726'); time.sleep(0.5); channel.close()\n\
         stdin, stdout, stderr = client.exec_command('pgrep -c -f \"[s]leep 4727\"')\n\
         print(stdout.read().decode().strip())\n",
    );
    assert_eq!(said, "0\n");
    gateway.gone_within(limit, "[s]leep 4726");

    // The gateway itself, killed: nothing that came through it lives on.
    let mut ssh = begin(&[], "sleep 4728 & sleep 4728");
    gateway.appears("[s]leep 4728");
    crate::bench::sh(&format!("kill -9 {}", gateway.pid()));
    gateway.gone_within(limit, "[s]leep 4728");
    ssh.wait().unwrap();
    let said = gateway.said();
    assert!(said.contains("abandoned, ended with 143"), "{said}");
}
