//! A cloud that spoke in clear speaks TLS everywhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::openstack::Client;
use crate::support::process::{self, Finished};

/// What nobody who listens may hear.
const WORD: &str = "xyzzy-plugh-plover";

/// Where databases are reached, their replication in its three ways, and the message queue.
const DATABASE: u16 = 3306;
const REPLICATION: [u16; 3] = [4567, 4568, 4444];
const QUEUE: u16 = 5672;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("tls: everywhere", || everywhere(cloud));
}

fn everywhere(cloud: &Cloud) {
    let heard = listen(|| speak(cloud, "--skip-ssl"));
    assert!(
        heard.contains(&DATABASE) && heard.contains(&REPLICATION[0]),
        "who listens hears: {heard:?}"
    );

    // Its containers are defined anew in the same run: one at a time they would not find one another.
    let variables = cloud.config_dir.join("user_variables.yml");
    let before = fs::read_to_string(&variables).unwrap_or_default();
    fs::write(&variables, format!("{before}packages.galera: [tree]\n")).unwrap();
    cloud.bootstrap(&["--set", "tls=everywhere"]);
    cloud.inside("galera/1", "command -v tree").ok();
    cloud.healthy_within(Duration::from_secs(10));
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    let heard = listen(|| {
        speak(cloud, "");
        // A whole copy of the databases crosses the network.
        cloud.ok(&["rebuild", "galera/2"]);
    });
    for port in REPLICATION.into_iter().chain([DATABASE, QUEUE]) {
        assert!(!heard.contains(&port), "in clear at {heard:?}");
    }
    let address = Client::administrator(cloud).virtual_address();
    let authority = cloud.config_dir.join("tls/ca.crt");
    let keystone = format!("https://{address}:5000/v3");
    curl(&["--cacert", authority.to_str().unwrap(), &keystone]).ok();
    assert_eq!(curl(&[&keystone]).status, 60, "an unknown authority");
    assert_ne!(curl(&[&format!("http://{address}:5000/v3")]).status, 0, "an answer in clear");
    let refused = cloud.inside("utility", "mariadb --skip-ssl -e 'SELECT 1'");
    assert!(refused.stderr.contains("Access denied"), "a login in clear: {}", refused.all());
    let greeting = format!(
        "printf 'AMQP\\0\\0\\11\\1' | timeout 3 bash -c 'cat >&3; cat <&3' 3<>/dev/tcp/{address}/{QUEUE}"
    );
    let answer = cloud.inside("utility", &greeting).stdout;
    assert!(!answer.contains("RabbitMQ"), "the message queue answers in clear: {answer}");
    cloud.ok(&["verify"]);
}

/// Says the word to the databases, and has it said back.
fn speak(cloud: &Cloud, option: &str) {
    let row = format!(
        "CREATE OR REPLACE DATABASE said; CREATE TABLE said.words (word TEXT); \
         INSERT INTO said.words VALUES ('{WORD}'); SELECT word FROM said.words"
    );
    cloud.inside("utility", &format!("mariadb {option} -e \"{row}\"")).ok();
}

/// The ports at which the word passed meanwhile.
fn listen(meanwhile: impl FnOnce()) -> BTreeSet<u16> {
    let mut listener = Command::new("python3")
        .args(["-c", include_str!("listen.py"), WORD])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(listener.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    meanwhile();
    listener.stdin.take().unwrap().write_all(b"\n").unwrap();
    line.clear();
    said.read_line(&mut line).unwrap();
    assert!(listener.wait().unwrap().success());
    line.split_whitespace().map(|port| port.parse().unwrap()).collect()
}

fn curl(arguments: &[&str]) -> Finished {
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "10", "--noproxy", "*"]).args(arguments);
    process::run(command, Duration::from_secs(20))
}
