//! A gateway that a test runs, and the clients that come to it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aio::for_tests::{Container, Topology};

use crate::bench::{Bench, bench, binary, run, sh};

/// Distributions keep paramiko for their own interpreter.
const PYTHON: &str = "/usr/bin/python3";

/// A running gateway in front of one running container.
pub struct Gateway {
    pub bench: Arc<Bench>,
    pub container: Container,
    pub address: SocketAddr,
    pub directory: tempfile::TempDir,
    child: Option<Child>,
}

impl Gateway {
    /// A container of the kind `what` and, beside it, one that does not run; a gateway in the
    /// foreground, and a key that opens it.
    pub fn new(what: &str) -> Self {
        let bench = bench();
        let mut container = bench.container(what);
        container.interfaces = vec![bench.interface(&container, 20)];
        run(bench.up(&container));
        let mut stopped = bench.container("stopped");
        stopped.name.replace_range(stopped.name.len() - 8.., "00000002");
        Topology::new(vec![container.clone(), stopped]).save(&bench.paths).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        sh(&format!(
            "ssh-keygen -q -t ed25519 -N '' -C tester -f {path}/key; \
             ssh-keygen -q -t ecdsa -N '' -f {path}/other; \
             ssh-keygen -q -t rsa -N '' -f {path}/rsa; \
             cat {path}/key.pub {path}/rsa.pub > {path}/authorized"
        ));
        let address = free_address();
        let mut gateway = Self { bench, container, address, directory, child: None };
        gateway.start();
        gateway
    }

    /// Starts it in the foreground and waits until it listens.
    fn start(&mut self) {
        let listen = self.address.to_string();
        let authorized = self.path("authorized");
        let mut command = self.aio(&["gateway", "--listen", &listen]);
        command.args(["--authorized-keys", &authorized]).stdout(Stdio::piped());
        let said = fs::File::create(self.path("said")).unwrap();
        let mut child = command.stderr(said).spawn().unwrap();
        let mut first = [0; 9];
        let read = child.stdout.as_mut().unwrap().read_exact(&mut first);
        assert!(read.is_ok() && &first == b"listening", "{}", self.said());
        self.child = Some(child);
    }

    /// What the gateway said on standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap()
    }

    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// `aio` for the tests' cloud.
    pub fn aio(&self, arguments: &[&str]) -> Command {
        let mut aio = Command::new(binary());
        aio.args(["--name", &self.bench.paths.cloud, "--state-dir"]);
        aio.arg(&self.bench.paths.state_dir).args(arguments);
        // Cargo's own, which makes the linker look in vain for every library.
        aio.env_remove("LD_LIBRARY_PATH").env("NO_COLOR", "1").stdin(Stdio::null());
        aio
    }

    fn options(&self) -> Vec<String> {
        let path = |name: &str| self.path(name);
        [
            "-F/dev/null".to_owned(),
            format!("-oPort={}", self.address.port()),
            format!("-oIdentityFile={}", path("key")),
            "-oIdentitiesOnly=yes".to_owned(),
            "-oBatchMode=yes".to_owned(),
            "-oStrictHostKeyChecking=accept-new".to_owned(),
            format!("-oUserKnownHostsFile={}", path("known")),
            "-oLogLevel=ERROR".to_owned(),
        ]
        .to_vec()
    }

    /// A client of OpenSSH (`ssh`, `scp`, `sftp`) with the right key; destination and command follow.
    pub fn client(&self, program: &str) -> Command {
        let mut client = Command::new(program);
        client.args(self.options()).stdin(Stdio::null());
        client
    }

    pub fn user_at_host(&self, user: &str) -> String {
        format!("{user}@{}", self.address.ip())
    }

    /// `ssh` to the container.
    pub fn ssh(&self, arguments: &[&str]) -> Command {
        let mut ssh = self.client("ssh");
        ssh.arg(self.user_at_host(&self.container.kind)).args(arguments);
        ssh
    }

    /// Runs a command there, with input.
    pub fn exec(&self, command: &str, input: &[u8]) -> Output {
        feed(&mut self.ssh(&[command]), input)
    }

    /// The output of a command that must succeed, trimmed.
    pub fn ok(&self, command: &str) -> String {
        let output = self.exec(command, b"");
        assert!(output.status.success(), "{command}: {output:?}\n{}", self.said());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The same past the gateway.
    pub fn inside(&self, script: &str) -> String {
        run(self.bench.sh(&self.container, script))
    }

    /// Fails unless a process of the container, named by a pattern, ends within the time.
    pub fn gone_within(&self, limit: Duration, pattern: &str) {
        let begun = Instant::now();
        while !self.inside(&format!("pgrep -f '{pattern}' || true")).is_empty() {
            assert!(begun.elapsed() < limit, "`{pattern}` lives on");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for a process of the container.
    pub fn appears(&self, pattern: &str) {
        let begun = Instant::now();
        while self.inside(&format!("pgrep -f '{pattern}' || true")).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(10), "`{pattern}` never came");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a Python script with `client`, a connected client of paramiko.
    pub fn paramiko(&self, script: &str) -> String {
        let begin = format!(
            "import paramiko, sys, time, socket\n\
             client = paramiko.SSHClient()\n\
             client.set_missing_host_key_policy(paramiko.AutoAddPolicy())\n\
             client.connect('{}', {}, '{}', key_filename='{}', look_for_keys=False, \
             allow_agent=False)\n",
            self.address.ip(),
            self.address.port(),
            self.container.kind,
            self.path("key")
        );
        let output = Command::new(PYTHON).args(["-c", &format!("{begin}{script}")]).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}\n{}", self.said());
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = self.aio(&["--quiet", "gateway", "--stop"]).status();
        run(self.bench.kill(&self.container));
    }
}

/// An address that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Runs a command with input, which is written while output is read.
pub fn feed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Whoever reads may stop, as `head` does.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}

/// A file with bytes that do not repeat soon.
pub fn file_of(path: &str, bytes: usize) -> Vec<u8> {
    let content: Vec<u8> =
        (0..bytes.div_ceil(4)).flat_map(|number| (number as u32).to_le_bytes()).collect();
    fs::write(PathBuf::from(path), &content).unwrap();
    content
}
