//! A small world for network tests: this process in a network namespace of its own that plays the
//! host, and further namespaces that play containers and neighbours. Nothing of it outlives the
//! test, whatever kills it: namespaces go with their last process.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const INSIDE: &str = "AIO_TEST_IN_NAMESPACE";
const ROLE: &str = "AIO_TEST_ROLE";

/// Runs the calling test again in a fresh network namespace; returns true in there.
pub fn in_own_namespace(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        sh("ip link set dev lo up");
        return true;
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "host tests need root: they make bridges and namespaces"
    );
    let output = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "the test did not run in its namespace:\n{said}");
    false
}

/// Runs a shell script that must succeed.
pub fn sh(script: &str) -> String {
    checked(script, Command::new("sh").args(["-euc", script]).output().unwrap())
}

fn checked(script: &str, output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}\n{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Another machine: a network namespace that lives as long as this value.
pub struct Machine {
    holder: Child,
    peers: RefCell<Vec<String>>,
}

impl Machine {
    pub fn new() -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "600"]).spawn().unwrap();
        let machine = Self { holder, peers: RefCell::default() };
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let path = format!("/proc/{}/ns/net", machine.holder.id());
        let started = Instant::now();
        while std::fs::read_link(&path).is_ok_and(|other| other == own) {
            assert!(started.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(5));
        }
        machine.sh("ip link set dev lo up");
        machine
    }

    /// Gives it an interface whose other end is `peer` on the host.
    pub fn plug(&self, name: &str, peer: &str, address: &str) {
        let id = self.holder.id();
        sh(&format!(
            "ip link add name {peer} type veth peer name {name} netns {id}; \
             ip link set dev {peer} up"
        ));
        self.sh(&format!("ip address add {address} dev {name}; ip link set dev {name} up"));
        self.peers.borrow_mut().push(peer.to_owned());
    }

    /// The same on a bridge of the host.
    pub fn plug_into(&self, bridge: &str, name: &str, peer: &str, address: &str) {
        self.plug(name, peer, address);
        sh(&format!("ip link set dev {peer} master {bridge}"));
    }

    pub fn sh(&self, script: &str) -> String {
        checked(script, self.enter("sh").args(["-euc", script]).output().unwrap())
    }

    fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.holder.id().to_string(), program]);
        command
    }

    fn as_role(&self, role: &str) -> Command {
        let mut command = self.enter(std::env::current_exe().unwrap().to_str().unwrap());
        command.args(["--exact", "plays_a_role", "--nocapture"]).env(ROLE, role);
        command
    }

    /// Listens there; whoever connects is told the address from which it seems to come.
    pub fn serve(&self, address: &str) -> Server {
        let mut child =
            self.as_role(&format!("serve {address}")).stdout(Stdio::piped()).spawn().unwrap();
        // The test harness and then the role say that they have started.
        let mut said = String::new();
        let mut stdout = child.stdout.take().unwrap();
        while !said.contains("listening") {
            let mut buffer = [0; 256];
            let length = stdout.read(&mut buffer).unwrap();
            assert!(length > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        Server(child)
    }

    /// Connects from there: what the server said, or why not.
    pub fn connect(&self, address: &str) -> Result<String, String> {
        let output = self.as_role(&format!("connect {address}")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|line| line.split_once("answer: "));
        match line.unwrap_or_else(|| panic!("{text}")).1.split_once(' ').unwrap() {
            ("ok", peer) => Ok(peer.to_owned()),
            (_, why) => Err(why.to_owned()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The namespace takes them along, but not at once.
        for peer in self.peers.borrow().iter() {
            let _ = Command::new("ip").args(["link", "delete", "dev", peer]).status();
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A process that listens, until dropped.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Listens on the host itself, in a thread that lives as long as the process.
pub fn serve_here(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || answer_all(&listener));
}

fn answer_all(listener: &TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let peer = stream.peer_addr().unwrap().ip().to_string();
        let _ = stream.write_all(peer.as_bytes());
    }
}

/// Connects from the host itself.
pub fn connect_here(address: &str) -> Result<String, String> {
    let address: SocketAddr = address.parse().unwrap();
    let timeout = Duration::from_millis(1500);
    let mut stream =
        TcpStream::connect_timeout(&address, timeout).map_err(|error| error.kind().to_string())?;
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(|error| error.kind().to_string())?;
    Ok(said)
}

/// What this binary does when [`Machine`] runs it in another namespace.
pub fn play_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.split_once(' ').unwrap() {
        ("serve", address) => {
            let listener = TcpListener::bind(address).unwrap();
            println!("listening");
            answer_all(&listener);
        }
        (_, address) => match connect_here(address) {
            Ok(peer) => println!("answer: ok {peer}"),
            Err(why) => println!("answer: failed {why}"),
        },
    }
}

/// All that `aio` could leave behind on a host, as text that can be compared.
pub fn snapshot() -> String {
    // Without what changes by itself: indexes, and whether somebody is on a bridge at the moment.
    sh(
        "ip -oneline link show | sed -E 's/^[0-9]*: //; s/NO-CARRIER,|,LOWER_UP| state [A-Z]+//g' | sort; \
        ip -oneline -4 address show | sed 's/^[0-9]*: //' | sort; \
        ip -4 route show table all | sed 's/linkdown//; s/ *$//' | sort; ip rule show; \
        nft -s list ruleset; \
        grep -r . /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/ip_forward \
             /proc/sys/net/ipv4/conf/*/accept_redirects | sort",
    )
}

/// Fails with the lines that differ from an earlier snapshot.
pub fn assert_unchanged(before: &str) {
    let after = snapshot();
    let only = |one: &str, other: &str| -> Vec<String> {
        one.lines().filter(|line| !other.lines().any(|l| l == *line)).map(str::to_owned).collect()
    };
    let (gone, new) = (only(before, &after), only(&after, before));
    assert!(before == after, "gone: {gone:#?}\nnew: {new:#?}");
}
