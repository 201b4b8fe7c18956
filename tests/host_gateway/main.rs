//! The gateway for real: a container, OpenSSH's clients, and paramiko. Needs what the tests of
//! containers need, and those clients.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and figures are shown"
)]

#[path = "../host_containers/bench.rs"]
#[allow(dead_code, reason = "the tests of containers use all of it")]
mod bench;
mod detached;
mod files;
mod forwarding;
mod gateway;
mod lasting;
mod place;
mod refused;
mod terminals;

use gateway::Gateway;

#[test]
fn commands_tell_their_status_and_keep_their_streams() {
    let gateway = Gateway::new("commands");
    let status = |command: &str| gateway.exec(command, b"").status.code();
    assert_eq!(status("exit 7"), Some(7));
    assert_eq!(status("kill -9 $$"), Some(128 + 9));
    assert_eq!(status("no-such-program 2>/dev/null"), Some(127));
    let output = gateway.exec("echo out; echo err >&2", b"");
    assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));

    // More than any window holds, byte for byte, in both directions.
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let output = gateway.exec("cat", &input);
    assert!(output.stdout == input && output.stderr.is_empty());
    assert_eq!(gateway.exec("head -c 3", &input).stdout, &input[..3]);

    // It is the container, as its root, as after a login.
    assert_eq!(gateway.ok("hostname"), gateway.container.hostname);
    assert_eq!(gateway.ok("id -un; pwd; echo $HOME $USER"), "root\n/root\n/root root");
    assert_eq!(gateway.ok("echo $GREETING"), "hello");
    assert_eq!(gateway.ok("echo \"$SSH_CONNECTION\"").split(' ').count(), 4);
    // Streams can be opened again by name.
    assert_eq!(gateway.exec("echo x > /dev/stderr", b"").stderr, b"x\n");
    assert_eq!(gateway.exec("cat /dev/stdin", b"again").stdout, b"again");
    // SIGPIPE has its default action, and no descriptor leaks in.
    assert_eq!(gateway.ok("yes | head -1; echo ok"), "y\nok");
    assert_eq!(gateway.ok("ls /proc/self/fd").split_whitespace().count(), 4);
    // Limits are those of a process that the gateway did not raise.
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap();
    assert_eq!(gateway.ok("ulimit -n"), own.to_string());

    let mut set = gateway.ssh(&["echo $LC_ONE; echo $TWO"]);
    set.arg0_options(&["-oSetEnv=TWO=zwei", "-oSendEnv=LC_ONE"]).env("LC_ONE", "eins");
    assert_eq!(set.output().unwrap().stdout, b"eins\nzwei\n");
    // A login shell reads its commands.
    let output =
        gateway::feed(&mut gateway.ssh(&[]), b"shopt -q login_shell && echo login; exit 3");
    assert_eq!((output.stdout, output.status.code()), (b"login\n".to_vec(), Some(3)));

    // A daemon that keeps the streams open does not keep the client.
    let begun = std::time::Instant::now();
    gateway.ok("sleep 30 & echo started");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));

    // All of it is told.
    let said = gateway.said();
    for expected in ["admitted SHA256:", "(tester) to ", "command exit 7", "ended with 7 after"] {
        assert!(said.contains(expected), "no `{expected}` in {said}");
    }
    let log = aio::for_tests::gateway_log(&gateway.bench.paths);
    assert!(std::fs::read_to_string(log).unwrap().contains("ended with 7 after"));
}

/// Options that must stand before the destination.
trait Options {
    fn arg0_options(&mut self, options: &[&str]) -> &mut Self;
}

impl Options for std::process::Command {
    fn arg0_options(&mut self, options: &[&str]) -> &mut Self {
        let program = self.get_program().to_owned();
        let rest: Vec<_> = self.get_args().map(std::ffi::OsStr::to_owned).collect();
        let mut command = std::process::Command::new(program);
        command.args(options).args(rest);
        *self = command;
        self
    }
}

#[test]
fn a_second_client_library_finds_all_as_it_expects() {
    let gateway = Gateway::new("paramiko");
    let said = gateway.paramiko(
        "stdin, stdout, stderr = client.exec_command('cat; echo problem >&2; exit 9')\n\
         stdin.write('given'); stdin.channel.shutdown_write()\n\
         print(stdout.read().decode(), stderr.read().decode().strip(), \
         stdout.channel.recv_exit_status())\n\
         stdin, stdout, stderr = client.exec_command('echo $KEY', environment={'KEY': 'value'})\n\
         print(stdout.read().decode().strip())\n\
         sftp = client.open_sftp()\n\
         with sftp.open('/root/made', 'w') as made: made.write('text')\n\
         sftp.chmod('/root/made', 0o640); sftp.rename('/root/made', '/root/moved')\n\
         print(oct(sftp.stat('/root/moved').st_mode), sftp.normalize('.'))\n\
         sftp.symlink('moved', '/root/link'); print(sftp.readlink('/root/link'))\n\
         print('moved' in sftp.listdir('/root'))\n",
    );
    assert_eq!(said, "given problem 9\nvalue\n0o100640 /root\nmoved\nTrue\n");
    assert_eq!(gateway.inside("cat /root/link; stat -c %U:%G /root/link"), "textroot:root");
}
