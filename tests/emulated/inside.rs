//! What is tried on the emulated host, boot by boot.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::machine::{ANSWER, WORLD};
use super::support::checks::Checks;
use super::support::cloud::{Cloud, containers};
use super::support::host::Snapshot;
use super::support::process::{self, Running, shell};

/// Said when the power is to be cut.
pub const CUT_ME: &str = "now cut the power";

/// What a host is used for.
pub struct Use {
    /// Said to the program in there.
    pub part: &'static str,
    /// The cloud's scenario, and whether it is one of `light/`.
    pub scenario: &'static str,
    pub light: bool,
    /// Whether it reaches the distribution's packages.
    pub online: bool,
    /// The host's memory.
    pub memory_mib: u32,
    /// Until it has powered off.
    pub limit: Duration,
    /// Boots at whose end a number of checks is said.
    pub boots_with_checks: usize,
}

/// Two light containers, and all that can befall a host; checks after a power cut and after a reboot.
pub const LIGHT: Use = Use {
    part: "light",
    scenario: "light",
    light: true,
    online: false,
    memory_mib: 3072,
    limit: Duration::from_secs(2700),
    boots_with_checks: 2,
};

/// What a busy machine makes of emulation no time limit was made for.
const BOOTSTRAP_LIGHT: [&str; 4] = ["--scenario", LIGHT.scenario, "--set", "patience=4"];

/// A small OpenStack.
pub const CLOUD: Use = Use {
    part: "cloud",
    scenario: "minimal",
    light: false,
    online: true,
    memory_mib: 8192,
    limit: Duration::from_secs(2 * 3600),
    boots_with_checks: 1,
};

/// Which boot this is, and what must outlive it.
const NOTES: &str = "/root/notes";

/// One boot.
pub fn run(part: &str) {
    // Whoever reads the serial line takes a stair of lines for one long line.
    shell("stty -F /dev/ttyS0 -onlcr");
    // Whatever else boots with it has come to its end; beside a build on the real host that takes.
    let mut booted = Command::new("systemctl");
    booted.args(["is-system-running", "--wait"]);
    process::run(booted, Duration::from_secs(300));
    fs::create_dir_all(NOTES).unwrap();
    let boot = fs::read_to_string(note("boot")).unwrap_or_default();
    let cloud = Cloud::installed("aio1");
    if part == CLOUD.part {
        if boot.is_empty() {
            cut_in_a_layer(&cloud);
        }
        let mut checks = Checks::new();
        small_openstack(&mut checks, &cloud);
        return checks.finish();
    }
    match boot.as_str() {
        "" => {
            Snapshot::take().save(Path::new(&note("host")));
            next_boot("cut");
            println!("{CUT_ME}");
            cloud.bootstrap(&BOOTSTRAP_LIGHT);
            panic!("the power was not cut before the cloud was there");
        }
        "cut" => {
            let mut checks = Checks::new();
            used(&mut checks, &cloud);
            next_boot("rebooted");
            fs::write("/run/reboots", "").unwrap();
            // Said before the host ends whoever would say it.
            let ended = panic::catch_unwind(AssertUnwindSafe(|| checks.finish()));
            shell("systemctl reboot");
            if let Err(reason) = ended {
                panic::resume_unwind(reason);
            }
        }
        _ => {
            let mut checks = Checks::new();
            rebooted(&mut checks, &cloud);
            checks.finish();
        }
    }
}

/// A package that no profile asks for: the layer with it is built on this host.
const WISH: &str = "packages.memcached: [tree]\n";

fn bootstrap_minimal(cloud: &Cloud) -> Command {
    cloud.command(&["bootstrap", "--scenario", CLOUD.scenario, "--set", "patience=30"])
}

/// Says that the power is to be cut when a layer is half written.
fn cut_in_a_layer(cloud: &Cloud) {
    fs::create_dir_all(&cloud.config_dir).unwrap();
    fs::write(cloud.config_dir.join("user_variables.yml"), WISH).unwrap();
    next_boot("cut");
    let bootstrap = Running::start(bootstrap_minimal(cloud));
    let layers = cloud.state_dir.join("private/layers");
    let unpacked = || {
        let written = shell(&format!("ls -d {}/.build-*/new/root/usr || :", layers.display()));
        (!written.is_empty()).then_some(())
    };
    process::eventually(Duration::from_secs(900), unpacked, "a layer that is being built");
    println!("{CUT_ME}");
    bootstrap.finish(CLOUD.limit).ok();
    panic!("the power was not cut before the cloud was there");
}

/// From layers to a token.
fn small_openstack(checks: &mut Checks, cloud: &Cloud) {
    let built = checks.needed("bootstrap of minimal, after a power cut in a layer's build", || {
        println!("{}", process::run(bootstrap_minimal(cloud), CLOUD.limit).ok().stderr);
        cloud.inside("memcached", "tree --version").ok();
    });
    if !built {
        return;
    }
    checks.check("a token", || println!("{}", cloud.ok(&["openstack", "token", "issue"])));
    checks.check("status", || println!("{}", cloud.ok(&["status"])));
    checks.check("nothing to do", || {
        let again = process::run(cloud.command(&["bootstrap"]), CLOUD.limit).ok();
        assert!(again.stderr.contains(" 0 changed"), "{}", again.all());
    });
    checks.check("containers are confined by AppArmor", || confined(cloud));
    checks.check("nothing was denied", nothing_denied);
}

fn note(name: &str) -> String {
    format!("{NOTES}/{name}")
}

/// Written so that a power cut leaves it.
fn next_boot(name: &str) {
    fs::write(note("boot"), name).unwrap();
    shell("sync");
}

/// The first day with it.
fn used(checks: &mut Checks, cloud: &Cloud) {
    checks.check("the host is told apart", told_apart);
    let again = checks.needed("bootstrap after a power cut in the middle of it", || {
        cloud.bootstrap(&BOOTSTRAP_LIGHT);
        cloud.healthy_within(Duration::from_secs(60));
        assert_eq!(cloud.bootstrap(&[]).changed(), 0);
        cloud.ok(&["verify"]);
    });
    if !again {
        return;
    }
    checks.check("attach", || {
        assert_eq!(cloud.inside("cache", "hostname; id -u").ok().stdout.lines().count(), 2);
    });
    checks.check("containers are confined by AppArmor", || confined(cloud));
    checks.check("a memory limit holds, and status says so", || memory_limit(cloud));
    checks.check("an override on the live cloud", || overridden(cloud));
    checks.check("rebuild", || {
        cloud.ok(&["rebuild", "cache"]);
        cloud.healthy_within(Duration::from_secs(60));
    });
    checks.check("upgrade of the package", || upgraded(cloud));
    checks.check("nothing was denied", nothing_denied);
    cloud.inside("cache", "echo precious >/var/lib/kept/data; echo also >/etc/changed").ok();
}

fn told_apart() {
    let mut command = Command::new("aio");
    command.args(["size", "--scenario", "light", "--output", "json"]);
    let size = process::run(command, Duration::from_secs(60)).ok().json();
    let kernel = &size["facts"]["kernel"];
    assert_eq!(kernel["cgroup"], "unified", "{kernel}");
    assert_eq!((&kernel["systemd"], &kernel["apparmor"]), (&true.into(), &true.into()));
    // LXC's own bridge is there already.
    let nat = size["cloud"]["networks"]["networks"].as_array().unwrap();
    assert!(nat.iter().all(|network| network["range"] != "10.0.3.0/24"), "{nat:?}");
    assert_eq!(size["obstacles"], serde_json::json!([]));
}

fn confined(cloud: &Cloud) {
    for container in containers(&cloud.status()) {
        let name = container["name"].as_str().unwrap();
        // In there, the profile of a namespace of its own is all that is to be seen.
        let profile = shell(&format!("cat /proc/$(lxc-info -pHn {name})/attr/current"));
        assert!(profile.contains(&format!("lxc-{name}")), "{profile}");
        assert!(profile.contains("(enforce)"), "{profile}");
        let root = cloud.inside(name, "cat /proc/self/uid_map").ok().stdout;
        assert!(!root.trim_start().starts_with("0 0 "), "{root}");
    }
}

fn nothing_denied() {
    let log = shell("journalctl --no-pager --quiet --dmesg --output=cat");
    let denied: Vec<_> = log.lines().filter(|line| line.contains("DENIED")).collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

fn memory_limit(cloud: &Cloud) {
    let cache = || {
        let status = cloud.status();
        containers(&status).find(|row| row["kind"] == "cache").unwrap().clone()
    };
    let limit = cache()["memory_limit_mib"].as_u64().unwrap();
    let greedy = format!("python3 -c 'b\"x\" * ({limit} + 50 << 20)'");
    let greedy = cloud.inside("cache", &greedy);
    assert_eq!(greedy.status, 137, "{limit} MiB, {}", greedy.all());
    let cache = cache();
    assert_eq!(cache["memory_kills"], 1, "{cache}");
    assert_eq!(cache["health"], "healthy", "{cache}");
    let table = cloud.ok(&["status"]);
    let said = format!("1 process was killed at its memory limit of {limit} MiB");
    assert!(table.contains(&said), "{table}");
}

fn overridden(cloud: &Cloud) {
    fs::write(cloud.config_dir.join("user_variables.yml"), "cache_mib: 24\n").unwrap();
    let changed = cloud.bootstrap(&[]).changed_steps();
    assert!(changed.iter().all(|step| step.contains("/cache/")), "{changed:?}");
    assert!(
        cloud
            .inside(
                "cache",
                "tr '\\0' ' ' <$(ls -d /proc/$(pidof memcached))/cmdline; \
        grep -x -- '-m 24' /etc/memcached.conf"
            )
            .ok()
            .stdout
            .contains("-m 24")
    );
    cloud.ok(&["verify", "cache"]);
}

/// The cloud goes on with what it was made with; the next `bootstrap` takes the new.
fn upgraded(cloud: &Cloud) {
    let inits = || -> Vec<String> {
        let pids =
            cloud.lxc_names().into_iter().map(|name| shell(&format!("lxc-info -pHn {name}")));
        pids.collect()
    };
    let before = inits();
    shell("dpkg --install /root/packages/newer.deb");
    assert_eq!(inits(), before);
    cloud.healthy_within(Duration::from_secs(10));
    let plan = cloud.ok(&["plan"]);
    assert!(plan.contains("copy of the binary") && plan.contains("another version"), "{plan}");
    assert_eq!(cloud.bootstrap(&[]).changed(), 1);
    assert_eq!(inits(), before);
}

/// After a reboot, and to the end.
fn rebooted(checks: &mut Checks, cloud: &Cloud) {
    checks.check("the boot unit brought the cloud back, with its data", || came_back(cloud));
    checks.check("a boot unit that fails says what to do", || boot_unit_fails(cloud));
    checks.check("a clock that is an hour off", || {
        shell("date --set '+1 hour'");
        assert_eq!(cloud.bootstrap(&[]).changed(), 0);
        cloud.ok(&["verify"]);
        shell("date --set '-1 hour'");
    });
    checks.check("a full disk is refused before anything changes", || full_disk(cloud));
    let docker = Firewall::on("docker");
    checks.check("the firewall of docker comes", || passes(cloud));
    checks.check("two clouds side by side, behind it", || second_cloud(cloud));
    drop(docker);
    let ufw = Firewall::on("ufw");
    checks.check("the firewall of ufw comes", || passes(cloud));
    checks.check("destroy left the host as it was before", || {
        destroyed(cloud);
        assert!(!rules().contains("aio1"), "{}", rules());
        drop(ufw);
        let mut differences =
            Snapshot::take().differences(&Snapshot::load(Path::new(&note("host"))));
        // The user's own file, dpkg's, LXC's, a getty's, the firewalls', and what came with modules.
        let theirs = ["user_variables", "dpkg.log", "lxc.pivot", "getty", "netfilter.nf_"];
        let firewalls = ["docker", "containerd", "/etc/cni", "ufw", "nft: table ip", "netns"];
        let known = || theirs.iter().chain(&firewalls);
        differences.retain(|line| !known().any(|word| line.contains(word)));
        assert!(differences.is_empty(), "{differences:#?}");
    });
    let firewalld = Firewall::on("firewalld");
    checks.check("behind the firewall of firewalld", || {
        let before = rules();
        passes(cloud);
        destroyed(cloud);
        assert_eq!(rules(), before);
    });
    drop(firewalld);
    checks.check("nothing was denied after the reboot", nothing_denied);
    checks.check("the package goes without a trace", removed);
}

fn came_back(cloud: &Cloud) {
    cloud.healthy_within(Duration::from_secs(120));
    let unit = || shell("systemctl show --property=ActiveState,After aio-aio1.service");
    process::eventually(
        Duration::from_secs(30),
        || unit().contains("ActiveState=active\n").then_some(()),
        "the boot unit's end",
    );
    assert!(unit().contains("network-online.target"), "{}", unit());
    let kept = cloud.inside("cache", "cat /var/lib/kept/data /etc/changed").ok().stdout;
    assert_eq!(kept, "precious\nalso\n");
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
}

fn boot_unit_fails(cloud: &Cloud) {
    shell("systemctl stop aio-aio1");
    let layers = cloud.state_dir.join("private/layers");
    let away = layers.with_extension("away");
    fs::rename(&layers, &away).unwrap();
    shell("! systemctl start aio-aio1 2>/dev/null");
    let said = shell("systemctl status --no-pager --full aio-aio1 || true");
    fs::rename(&away, &layers).unwrap();
    assert!(said.contains("aio bootstrap"), "{said}");
    shell("systemctl start aio-aio1");
    cloud.healthy_within(Duration::from_secs(60));
}

fn full_disk(cloud: &Cloud) {
    let filler = cloud.state_dir.join("filler");
    let free = "$(($(stat -f -c '%a*%S' /var/lib/aio) - 100000000))";
    shell(&format!("fallocate -l {free} {}", filler.display()));
    let other = Cloud::installed("aio3");
    copy_profiles(cloud, &other);
    let refused = other.run(&["bootstrap", "--scenario", "light"]);
    fs::remove_file(&filler).unwrap();
    assert_eq!(refused.status, 4, "{}", refused.all());
    assert!(refused.stderr.contains("disk"), "{}", refused.stderr);
    assert!(other.lxc_names().is_empty());
    fs::remove_dir_all(&other.config_dir).unwrap();
}

fn copy_profiles(from: &Cloud, to: &Cloud) {
    fs::create_dir_all(&to.config_dir).unwrap();
    let [from, to] = [from, to].map(|it| it.config_dir.join("profiles").display().to_string());
    shell(&format!("cp -r {from} {to}"));
}

/// Built and destroyed beside the first, which does not notice.
fn second_cloud(cloud: &Cloud) {
    let second = Cloud::installed("aio2");
    copy_profiles(cloud, &second);
    let before = rules();
    passes(&second);
    let addresses = |cloud: &Cloud| cloud.address("cache", 1);
    assert_ne!(addresses(cloud), addresses(&second));
    second.ok(&["destroy", "--yes"]);
    assert_eq!(rules(), before);
    assert!(second.lxc_names().is_empty());
    assert!(!second.config_dir.join("cloud.yml").exists());
    cloud.healthy_within(Duration::from_secs(5));
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    cloud.ok(&["verify"]);
    fs::remove_dir_all(cloud.config_dir.join("clouds")).unwrap();
}

/// Keeps the layers, which could not be built here again.
fn destroyed(cloud: &Cloud) {
    cloud.ok(&["destroy", "--yes", "--keep-images"]);
    assert!(cloud.lxc_names().is_empty());
    assert!(!Path::new("/etc/systemd/system/aio-aio1.service").exists());
}

/// Turns a firewall on, and off again when dropped.
struct Firewall(&'static str);

impl Firewall {
    fn on(name: &str) -> Self {
        let (on, off) = match name {
            "docker" => {
                ("systemctl start docker", "systemctl stop docker docker.socket containerd")
            }
            "ufw" => ("ufw --force enable", "ufw disable"),
            // Its start ends before its rules are there.
            _ => (
                "systemctl start firewalld; until firewall-cmd --quiet --state; do sleep 1; done",
                "systemctl stop firewalld",
            ),
        };
        let mut command = Command::new("sh");
        command.args(["-euc", on]);
        process::run(command, Duration::from_secs(180)).ok();
        Self(off)
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        shell(self.0);
    }
}

/// All rules of everybody; what firewalld trusts is among them. The chains that firewalld makes when
/// its zone gets a first interface stay until it is reloaded, without a way to them: they are left out.
fn rules() -> String {
    let all = shell(
        "nft --stateless list ruleset; \
         ! systemctl --quiet is-active firewalld || firewall-cmd --list-all-zones",
    );
    let mut zone = false;
    let kept = all.lines().filter(|line| {
        zone |= line.starts_with("\tchain ") && line.contains("_trusted");
        let kept = !zone && !line.is_empty();
        zone &= *line != "\t}";
        kept
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// The cloud's packets go through a firewall that came, and nobody else's reach it.
fn passes(cloud: &Cloud) {
    cloud.bootstrap(&BOOTSTRAP_LIGHT);
    cloud.healthy_within(Duration::from_secs(60));
    // The world, and each other by way of HAProxy.
    let script = format!("cat </dev/tcp/{WORLD}/80");
    let answer = cloud.run(&["attach", "cache", "--", "timeout", "20", "bash", "-euc", &script]);
    assert_eq!(answer.stdout, ANSWER, "{}", answer.stderr);
    cloud.ok(&["verify"]);
    stranger(&cloud.address("cache", 1));
    nobody_reaches_the_host(cloud);
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
}

/// Whatever a firewall lets into the host, no container opens a connection there.
fn nobody_reaches_the_host(cloud: &Cloud) {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = "$(ip route show default | cut -d' ' -f3)";
    let knock = format!("exec 3<>/dev/tcp/{gateway}/{port}");
    let said = cloud.run(&["attach", "cache", "--", "timeout", "5", "bash", "-uc", &knock]).status;
    assert_ne!(said, 0, "a container reached the host");
}

/// Somebody on a network beside the host's does not get in.
fn stranger(address: &str) {
    shell(
        "ip netns add stranger; ip link add street type veth peer name door netns stranger; \
         ip address add 198.51.100.1/24 dev street; ip link set street up; \
         ip -n stranger address add 198.51.100.2/24 dev door; ip -n stranger link set door up; \
         ip -n stranger route add default via 198.51.100.1",
    );
    let reach = |address: &str| {
        let knock = format!("exec 3<>/dev/tcp/{address}/11211");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "stranger", "timeout", "3", "bash", "-euc", &knock]);
        process::run(command, Duration::from_secs(20)).status
    };
    let status = reach(address);
    shell("ip link delete street; ip netns delete stranger");
    assert_eq!(status, 124, "neither let in nor turned away");
}

fn removed() {
    shell("rm -r /etc/aio; apt-get purge -qq -y aio >/dev/null");
    shell("umount /var/lib/aio; rmdir /var/lib/aio");
    let left = shell(
        "find / -xdev \\( -name aio -o -name 'aio[-_.1]*' -o -name _aio \\) \
         -not -path '/proc/*' -not -path '/root/*'",
    );
    assert_eq!(left, "");
}
