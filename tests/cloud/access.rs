//! Nobody gets in who should not.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::checks::Checks;
use crate::support::cloud::{Cloud, containers};
use crate::support::openstack::{Client, agent};
use crate::support::process::{run, shell};

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("access: database logins only from where they are needed", || database(cloud));
    checks.check("access: the message queue's users see their own vhost", || queue(cloud));
    checks.check("access: daemons bind their own addresses", || listeners(cloud));
    checks.check("access: a neighbour of the host cannot get in", || neighbour(cloud));
    checks.check("access: containers are unprivileged", || unprivileged(cloud));
    checks.check("access: no secret where others can read", || secrets(cloud));
    checks.check("access: HAProxy's page of statistics", || statistics(cloud));
}

/// Whether a login to a database from the utility container works.
fn login(cloud: &Cloud, host: &str, user: &str, password: &str) -> bool {
    let script = format!(
        "MYSQL_PWD='{password}' mariadb --no-defaults -h {host} -u {user} --connect-timeout=5 -e 'select 1'"
    );
    cloud.inside("utility", &script).status == 0
}

fn database(cloud: &Cloud) {
    let secrets = cloud.secrets();
    let member = cloud.address("galera", 1);
    let balancer = Client::administrator(cloud).virtual_address();
    let heat = &secrets["heat_container_mysql_password"];
    assert!(login(cloud, &balancer, "heat", heat), "through HAProxy it works");
    assert!(!login(cloud, &member, "heat", heat), "not past it");
    assert!(!login(cloud, &member, "admin", &secrets["galera_root_password"]));
    assert!(!login(cloud, &member, "root", &secrets["galera_root_password"]));
    assert!(!login(cloud, &balancer, "root", &secrets["galera_root_password"]));
    assert!(!login(cloud, &member, "haproxy", ""), "the check's user comes from HAProxy alone");
    assert!(!login(cloud, &balancer, "heat", "wrong"));
    let script = format!(
        "MYSQL_PWD='{heat}' mariadb --no-defaults -h {balancer} -u heat -e 'select * from keystone.user'"
    );
    assert_ne!(cloud.inside("utility", &script).status, 0, "heat may not read keystone's tables");
    let script = format!(
        "mariadb --no-defaults -h {balancer} -u haproxy -NBe 'show databases' | grep -v information_schema"
    );
    assert_ne!(cloud.inside("utility", &script).status, 0, "the check's user sees no database");
}

fn queue(cloud: &Cloud) {
    let script = "rabbitmqctl -q list_permissions -p /heat --no-table-headers";
    let users = cloud.inside("rabbit_mq/1", script).ok().stdout;
    let users: BTreeSet<&str> =
        users.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(users.contains("heat") && !users.contains("guest"), "{users:?}");
    let users = cloud.inside("rabbit_mq/1", "rabbitmqctl -q list_users").ok().stdout;
    assert!(!users.contains("guest"), "{users}");
}

fn listeners(cloud: &Cloud) {
    for row in containers(&cloud.status()) {
        let name = row["name"].as_str().unwrap();
        let listening = cloud.inside(name, "ss -Htuln | awk '{print $5}'").ok().stdout;
        for socket in listening.lines() {
            let address = socket.rsplit_once(':').unwrap().0;
            let everywhere = ["0.0.0.0", "*", "[::]"].iter().any(|any| address.starts_with(any));
            assert!(!everywhere, "{name} listens on {socket}");
        }
    }
}

/// A network namespace plays the machine next to this one: it has a link to the host and a route to
/// the cloud's ranges by it.
fn neighbour(cloud: &Cloud) {
    let balancer = Client::administrator(cloud).virtual_address();
    let member = cloud.address("galera", 1);
    let _guard = Neighbour::new();
    // 0: connected, 1: refused, 124: no answer.
    let reach = |address: &str, port: u16| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", Neighbour::NAME, "timeout", "3", "bash", "-c"]);
        command.arg(format!("exec 3<>/dev/tcp/{address}/{port}"));
        run(command, Duration::from_secs(10)).status
    };
    assert_eq!(reach("198.51.100.1", 1), 1, "the link works: the host itself answers");
    for (address, port) in
        [(&balancer, 5000), (&balancer, 3306), (&balancer, 8004), (&member, 3306)]
    {
        assert_ne!(reach(address, port), 0, "the neighbour reached {address}:{port}");
        let host = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}'");
        shell(&host);
    }
}

struct Neighbour;

impl Neighbour {
    const NAME: &str = "aiotest-nb";

    fn new() -> Self {
        let name = Self::NAME;
        shell(&format!(
            "ip netns add {name}
             ip link add aiotestnb0 type veth peer name aiotestnb1 netns {name}
             ip addr add 198.51.100.1/24 dev aiotestnb0
             ip link set aiotestnb0 up
             ip -n {name} addr add 198.51.100.2/24 dev aiotestnb1
             ip -n {name} link set aiotestnb1 up
             ip -n {name} route add default via 198.51.100.1"
        ));
        Self
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "delete", "aiotestnb0"]).status();
        let _ = Command::new("ip").args(["netns", "delete", Self::NAME]).status();
    }
}

fn unprivileged(cloud: &Cloud) {
    for row in containers(&cloud.status()) {
        let name = row["name"].as_str().unwrap();
        if row["unprivileged"] == false {
            println!("  {name} is privileged");
            continue;
        }
        let map = format!("cat /proc/$(lxc-info -n {name} -p -H)/uid_map");
        let map: Vec<u64> =
            shell(&map).split_whitespace().take(3).map(|number| number.parse().unwrap()).collect();
        assert!(map[0] == 0 && map[1] >= 65_536, "{name}: {map:?}");
    }
}

fn secrets(cloud: &Cloud) {
    let secrets = cloud.secrets();
    let values: Vec<&String> = secrets.values().filter(|value| value.len() >= 8).collect();
    let patterns = tempfile::NamedTempFile::new().unwrap();
    let text: String = values.iter().map(|value| format!("{value}\n")).collect();
    fs::write(patterns.path(), text).unwrap();
    let root = cloud.state_dir.parent().unwrap().display().to_string();

    // What any user of the host can read.
    shell(&format!("chmod 644 {}", patterns.path().display()));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "grep", "-rlsF", "-f"]);
    command.arg(patterns.path()).args([root.as_str(), "/var/lib/lxc", "/run/lxc", "/var/log/lxc"]);
    let found = run(command, Duration::from_secs(120));
    assert_eq!(found.stdout, "", "files with secrets that anyone can read");

    // Logs of `aio` itself, LXC's definitions and arguments of processes, whoever may read them.
    let script = format!(
        "grep -rlsF -f {patterns} $(find {root} -type d -name log) $(find {root} -type d -name specs) \
         $(find /var/lib/lxc -name config -path '*{name}_*') || :
         for process in /proc/[0-9]*; do
             if tr '\\0' ' ' <$process/cmdline 2>/dev/null | grep -qF -f {patterns}; then echo $process; fi
         done",
        patterns = patterns.path().display(),
        name = cloud.name
    );
    let mut command = Command::new("sh");
    command.args(["-uc", &script]);
    assert_eq!(run(command, Duration::from_secs(60)).stdout, "", "logs and arguments with secrets");

    let file = cloud.config_dir.join("user_secrets.yml");
    assert_eq!(shell(&format!("stat -c %a {}", file.display())).trim(), "600");
    let private = cloud.state_dir.join("private");
    assert_eq!(shell(&format!("stat -c '%a %u' {}", private.display())).trim(), "700 0");
}

/// From the host alone: no kind of container says that it needs it.
fn statistics(cloud: &Cloud) {
    use base64::Engine as _;

    let page = Client::administrator(cloud).at(1936);
    let password = &cloud.secrets()["haproxy_stats_password"];
    let agent = agent(Duration::from_secs(10));
    let status = |credentials: &str| {
        let login = base64::engine::general_purpose::STANDARD.encode(credentials);
        let request = agent.get(format!("{page}/"));
        let answer = request.header("Authorization", format!("Basic {login}")).call().unwrap();
        answer.status().as_u16()
    };
    assert_eq!(status(&format!("haproxy:{password}")), 200);
    assert_eq!(status("haproxy:wrong"), 401);
    let refused = cloud.inside("utility", &format!("curl -s {page}/"));
    assert_eq!(refused.status, 7, "{}", refused.all());
}
