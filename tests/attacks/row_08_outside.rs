//! Whoever listens on the network outside reads no password, is not believed what he says of himself, and
//! is known to the logs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::{self, Finished, shell};

/// What an attacker claims. Two of the names have underscores, which some servers take for dashes.
const CLAIMS: [&str; 9] = [
    "X-Forwarded-For: 203.0.113.66",
    "X-Forwarded-Proto: claimed",
    "X-Forwarded-Host: claimed.example.org",
    "X-Forwarded-Prefix: /claimed",
    "X_Forwarded_Host: claimed.example.org",
    "x_FORWARDED-proto: claimed",
    "X-Real-IP: 203.0.113.66",
    "x_cluster-client_ip: 203.0.113.66",
    "Forwarded: for=203.0.113.66;host=claimed.example.org;proto=claimed",
];

/// A network outside, with one machine on it.
pub struct Outside {
    /// The namespace, and the interface of the host that leads there.
    name: String,
    /// The host's address there.
    pub address: String,
    client: String,
}

impl Outside {
    /// One for the cloud of that name: two such tests may run beside each other.
    pub fn new(cloud: &str) -> Self {
        let number: u32 = cloud.bytes().map(u32::from).sum::<u32>() % 250;
        Self {
            name: format!("{cloud}-out"),
            address: format!("198.18.{number}.1"),
            client: format!("198.18.{number}.2"),
        }
    }

    /// Makes it.
    pub fn make(&self) {
        let Self { name, address, client } = self;
        self.remove();
        shell(&format!(
            "ip netns add {name}
             ip link add {name} type veth peer name eth0 netns {name}
             ip address add {address}/24 dev {name}
             ip link set {name} up
             ip -n {name} address add {client}/24 dev eth0
             ip -n {name} link set eth0 up
             ip -n {name} link set lo up"
        ));
    }

    /// Takes it away, if it is there.
    pub fn remove(&self) {
        let name = &self.name;
        shell(&format!(
            "ip link delete {name} 2>/dev/null || true; ip netns delete {name} 2>/dev/null || true"
        ));
    }

    fn curl(&self, arguments: &[&str]) -> Finished {
        let mut command = std::process::Command::new("ip");
        command.args(["netns", "exec", &self.name, "curl", "-sS", "-m", "10", "--noproxy", "*"]);
        command.args(arguments);
        process::run(command, Duration::from_secs(20))
    }
}

/// Looks at the cloud from outside.
pub fn checks(cloud: &Cloud, outside: &Outside, checks: &mut Checks) {
    let authority = cloud.config_dir.join("tls/ca.crt");
    let trust = ["--cacert", authority.to_str().unwrap()];
    let page = format!("https://{}:18443/", outside.address);
    let claims: Vec<&str> = CLAIMS.iter().flat_map(|claim| ["-H", claim]).collect();

    checks.check("row 8: outside nothing is said in clear", || {
        for port in [18080, 18443] {
            let url = format!("http://{}:{port}/", outside.address);
            let got = outside.curl(&["-H", "Authorization: secret", &url]);
            assert!(!got.stdout.contains("GET /"), "{url} answered: {}", got.all());
        }
    });
    checks.check("row 8: who trusts the cloud's authority gets in, who does not is warned", || {
        let said = outside.curl(&[&trust[..], &[&page]].concat()).ok().stdout;
        assert!(said.starts_with("GET / HTTP"), "{said}");
        assert_eq!(outside.curl(&[&page]).status, 60, "an unknown authority");
    });
    checks.check("row 8: a client is not believed what he says of himself", || {
        let inside = format!("http://{}:18080/", virtual_address(cloud));
        let said = outside.curl(&[&trust[..], &claims, &[&page]].concat()).ok().stdout;
        assert_told(&said, "https", &outside.client);
        let curl = [&["-sS", "-m", "10", "--noproxy", "*"][..], &claims, &[&inside]].concat();
        let mut command = std::process::Command::new("curl");
        command.args(curl);
        let said = process::run(command, Duration::from_secs(20)).ok().stdout;
        assert_told(&said, "http", "");
    });
    checks.check("row 8: cookies that were given outside are for TLS alone", || {
        let said = outside.curl(&[&trust[..], &["-D", "-", "-o", "/dev/null", &page]].concat());
        let said = said.ok().stdout.to_lowercase();
        let cookie = said.lines().find(|line| line.starts_with("set-cookie:")).unwrap();
        assert!(cookie.contains("; secure"), "{cookie}");
    });
    checks.check("row 8: the log names who came from outside", || {
        let log = cloud.inside("haproxy", "journalctl -o cat -u haproxy").ok().stdout;
        let line = log.lines().find(|line| line.contains(&format!("{}:", outside.client)));
        assert!(line.is_some_and(|line| line.contains("mirror")), "{log}");
    });
    checks.check("row 8: containers trust the cloud's authority, none has its key", || {
        let ask = format!(
            "openssl s_client -connect {0}:18443 -verify_return_error -verify_ip {0} </dev/null",
            outside.address
        );
        cloud.inside("mirror", &ask).ok();
        let key = cloud.config_dir.join("tls/ca.key");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let line = secret_line(&key);
        let below = cloud.state_dir.join("private");
        let holders = shell(&format!("grep -rlF -e '{line}' '{}' || true", below.display()));
        assert_eq!(holders, "", "the authority's key is in these files");
    });
    checks.check("row 8: a further bootstrap keeps the certificates", || {
        let before = std::fs::read(cloud.config_dir.join("tls/outside.crt")).unwrap();
        assert_eq!(cloud.bootstrap(&[]).changed(), 0);
        let after = std::fs::read(cloud.config_dir.join("tls/outside.crt")).unwrap();
        assert!(before == after, "the certificate was made anew");
    });
}

/// What the service was told: this scheme and this client, and nothing that was claimed.
fn assert_told(said: &str, scheme: &str, client: &str) {
    let said = said.to_lowercase();
    assert!(!said.contains("claimed") && !said.contains("203.0.113.66"), "{said}");
    assert!(said.contains(&format!("x-forwarded-proto: {scheme}\n")), "{said}");
    assert!(said.contains(&format!("x-forwarded-for: {client}")), "{said}");
}

fn virtual_address(cloud: &Cloud) -> String {
    let hosts = cloud.inside("haproxy", "ip -4 -o address show dev eth1").ok().stdout;
    let mut addresses = hosts.lines().filter_map(|line| line.split_whitespace().nth(3));
    addresses.nth(1).unwrap().split('/').next().unwrap().to_owned()
}

/// A line of a key's middle.
fn secret_line(key: &PathBuf) -> String {
    let text = std::fs::read_to_string(key).unwrap();
    text.lines().nth(1).unwrap().to_owned()
}
