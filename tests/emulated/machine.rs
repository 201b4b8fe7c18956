//! The emulated machine: QEMU without any acceleration, its serial line, its one way to the world.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::disks::Disks;
use super::inside::Use;

/// What is heard at [`WORLD`], which stands for all that is outside of the host.
pub const ANSWER: &str = "the world\n";

/// Where the host finds the world: an address of QEMU's own network, on port 80.
pub const WORLD: &str = "10.0.2.100";

/// A machine that runs.
pub struct Machine {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Machine {
    /// Turns it on.
    pub fn boot(disks: &Disks, used: &Use) -> Self {
        fs::write(disks.emulator.join("disks/world"), ANSWER).unwrap();
        // `restrict`: it reaches nobody but an address at which a program answers.
        let restrict = if used.online { "off" } else { "on" };
        let network = format!(
            "user,id=net,restrict={restrict},guestfwd=tcp:{WORLD}:80-cmd:/bin/cat /disks/world"
        );
        let drive = |name: &str| format!("file=/disks/{name},if=virtio,format=raw,cache=unsafe");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "chroot"]);
        command.arg(&disks.emulator).arg("qemu-system-x86_64");
        command.args(["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
        command.args([
            "-m",
            &used.memory_mib.to_string(),
            "-nographic",
            "-nodefaults",
            "-serial",
            "stdio",
        ]);
        command.args(["-kernel", "/disks/vmlinuz", "-initrd", "/disks/initrd", "-append"]);
        command.arg("root=/dev/vda rw console=ttyS0 quiet apparmor=1 security=apparmor");
        command.args(["-drive", &drive("system"), "-drive", &drive("state")]);
        command.args(["-netdev", &network, "-device", "virtio-net-pci,netdev=net"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut serial = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while serial.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                println!("    | {text}");
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line of the serial console.
    pub fn until(&mut self, wanted: &str, limit: Duration) {
        assert!(self.listen(limit, |line| line == wanted), "`{wanted}` was not said");
    }

    /// Cuts its power. What it said.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.seen
    }

    /// Waits until it powers off. What it said.
    pub fn finish(mut self, limit: Duration) -> Vec<String> {
        self.listen(limit, |_| false);
        if self.child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_secs(1));
        }
        let ended = self.child.try_wait().unwrap().is_some();
        let seen = self.kill();
        assert!(ended, "the host did not power off within {limit:?}");
        seen
    }

    /// Whether a line was said before the machine's end or the limit.
    fn listen(&mut self, limit: Duration, wanted: impl Fn(&str) -> bool) -> bool {
        let started = Instant::now();
        loop {
            match self.lines.recv_timeout(limit.saturating_sub(started.elapsed())) {
                Ok(line) => {
                    let found = wanted(&line);
                    self.seen.push(line);
                    if found {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}
