//! Bad luck: members lost under load, a power cut, a reboot.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::seeing;
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::faults;
use crate::support::load;
use crate::support::openstack::Client;
use crate::support::process::{eventually, shell};

/// What a user may see of a lost member here, on a host that does other things too. The figures of
/// `scripts/bench` are stricter: they take the median of five.
const SLOWEST_SECS: f64 = 15.0;
const FAILED_PERCENT: f64 = 25.0;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    for fault in [faults::Fault::Killed, faults::Fault::CutThenKilled] {
        for kind in ["keystone", "galera"] {
            let name = format!("fault: a {kind} {} under load", fault.word());
            checks.check(&name, || lost_under_load(cloud, kind, fault));
        }
        let name = format!("fault: a rabbit_mq {} while stacks are made", fault.word());
        checks.check(&name, || queue_lost(cloud, fault));
    }
    checks.check("fault: a client pauses within a request", || paused(cloud));
    checks.check("fault: a client asks again at once", || asked_again(cloud));
    checks.check("fault: lines for a collector that is cut off", || lines_kept(cloud));
    checks.check("fault: power cut", || power_cut(cloud));
    checks.check("fault: reboot", || reboot(cloud));
}

fn lost_under_load(cloud: &Cloud, kind: &str, fault: faults::Fault) {
    let user = load::prepare(cloud, &Client::administrator(cloud));
    let victim = faults::victim(cloud, kind);
    let seen = load::run(&user, Duration::from_secs(15), Duration::from_secs(5), || {
        fault.strike(&victim);
    });
    println!("  {victim} {}: {}", fault.word(), seen.line());
    assert!(seen.slowest_secs() <= SLOWEST_SECS, "{}", seen.line());
    assert!(seen.failed_percent() <= FAILED_PERCENT, "{}", seen.line());
    come_back(cloud, &victim);
}

fn queue_lost(cloud: &Cloud, fault: faults::Fault) {
    let administrator = Client::administrator(cloud);
    let (token, project) = administrator.token();
    let victim = faults::victim(cloud, "rabbit_mq");
    fault.strike(&victim);
    let name = format!("during-{}", fault.word().replace(' ', "-"));
    let (took, status) = administrator.make_stack(&token, &project, &name);
    println!("  {victim} {}: the stack took {:.1} s", fault.word(), took.as_secs_f64());
    assert_eq!(status, "CREATE_COMPLETE");
    assert!(took < Duration::from_secs(40));
    administrator.delete_stack(&token, &project, &name);
    come_back(cloud, &victim);
}

/// The body comes longer after the head than uwsgi waits by default, as it does on a host that stands
/// still for a moment.
fn paused(cloud: &Cloud) {
    let host = Client::administrator(cloud).virtual_address();
    let user = json!({"name": "nobody", "domain": {"name": "Default"}, "password": "x"});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let body = json!({"auth": {"identity": identity}}).to_string();
    let mut stream = TcpStream::connect((host.as_str(), 5000)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(
        stream,
        "POST /v3/auth/tokens HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    thread::sleep(Duration::from_secs(6));
    stream.write_all(body.as_bytes()).unwrap();
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).unwrap();
    assert!(status.contains(" 401 "), "nobody may sign in, but the request was read: {status}");
}

/// One connection, many requests whose answers have no body: none is cut off.
fn asked_again(cloud: &Cloud) {
    let host = Client::administrator(cloud).virtual_address();
    let mut stream = BufReader::new(TcpStream::connect((host.as_str(), 8004)).unwrap());
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    for number in 0..300 {
        write!(stream.get_mut(), "HEAD /v1/nobody/stacks HTTP/1.1\r\nHost: {host}\r\n\r\n")
            .unwrap();
        let answer: Vec<_> = stream
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        assert!(answer.iter().any(|line| line.contains(" 401 ")), "request {number}: {answer:?}");
    }
}

/// What goes into a connection that is already dead is not lost.
fn lines_kept(cloud: &Cloud) {
    const LINES: usize = 20;
    let collector = cloud.container("rsyslog", 1);
    faults::cut(&collector);
    let say = format!(
        "for number in $(seq {LINES}); do logger -t kept \"line $number.\"; sleep 0.1; done"
    );
    cloud.inside("utility", &say).ok();
    faults::Fault::Killed.strike(&collector);
    come_back(cloud, &collector);
    let file = format!("/var/log/containers/{}.log", cloud.container("utility", 1));
    let count = format!("grep -o ' kept.* line .*[.]' {file} | sort -u | wc -l");
    let arrived = || {
        let count = cloud.inside(&collector, &count).ok().stdout;
        (count.trim() == LINES.to_string()).then_some(())
    };
    eventually(Duration::from_secs(30), arrived, "every line at its collector");
}

fn come_back(cloud: &Cloud, name: &str) {
    let started = Instant::now();
    cloud.ok(&["start", name]);
    cloud.healthy_within(Duration::from_secs(60));
    println!("  {name} is back after {:.1} s", started.elapsed().as_secs_f64());
}

/// What must be there again after everything stopped at once.
struct Kept {
    administrator: Client,
    token: String,
    project: String,
    users: String,
}

const COUNT_USERS: &str = "mariadb -NBe 'select count(*) from keystone.user'";

impl Kept {
    fn new(cloud: &Cloud, name: &str) -> Self {
        let administrator = Client::administrator(cloud);
        let (token, project) = administrator.token();
        let (_, status) = administrator.make_stack(&token, &project, name);
        assert_eq!(status, "CREATE_COMPLETE");
        let users = cloud.inside("galera/1", COUNT_USERS).ok().stdout;
        Self { administrator, token, project, users }
    }

    fn check(&self, cloud: &Cloud, name: &str) {
        for member in ["galera/1", "galera/2", "galera/3"] {
            assert_eq!(cloud.inside(member, COUNT_USERS).ok().stdout, self.users, "{member}");
        }
        // The token of before is still good, so the signing keys are; and so is what was stored.
        self.administrator.delete_stack(&self.token, &self.project, name);
        seeing::stack(cloud, &format!("after-{name}"));
        assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    }
}

fn power_cut(cloud: &Cloud) {
    let kept = Kept::new(cloud, "power-cut");
    cloud.cut_power();
    let started = Instant::now();
    cloud.ok(&["start"]);
    cloud.healthy_within(Duration::from_secs(60));
    println!("  healthy {:.1} s after the power cut", started.elapsed().as_secs_f64());
    kept.check(cloud, "power-cut");
}

/// Nothing is left but files: no container, bridge, route, rule, mount or raised limit.
fn reboot(cloud: &Cloud) {
    let kept = Kept::new(cloud, "reboot");
    faults::forget_everything_but_files(cloud);
    let links = shell("ip -o link show type bridge");
    assert!(cloud.config_dir.join("cloud.yml").exists(), "files are there");
    let took = faults::boot(cloud, Duration::from_secs(180), Duration::from_secs(60));
    println!("  healthy {:.1} s after the reboot", took.as_secs_f64());
    assert_ne!(shell("ip -o link show type bridge"), links, "its bridges are back");
    thread::sleep(Duration::from_secs(1));
    kept.check(cloud, "reboot");
}
