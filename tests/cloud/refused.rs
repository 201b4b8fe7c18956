//! Bad input: each with its message, the nearest right name, and nothing changed.

use std::fs;

use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::{Finished, shell};

/// The exit code for a wrong profile or file of the configuration directory.
const CONFIG: i32 = 3;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("refuse: unknown scenario and variable", || names(cloud));
    checks.check("refuse: files of the user that mean nothing", || files(cloud));
    checks.check("refuse: secrets of the wrong kind or name", || secrets(cloud));
    checks.check("refuse: an edited key that encrypts data", || encrypting_key(cloud));
    checks.check("refuse: another number of cluster members", || members(cloud));
    checks.check("refuse: an address range that is taken", || range(cloud));
    checks.check("refuse: bootstrap without root", || not_root(cloud));
    checks.check("refuse: to drop the last copy of data", || last_copy(cloud));
    checks.check("refuse: nothing was changed by all that", || {
        assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    });
}

fn refused(finished: &Finished, status: &[i32], words: &[&str]) {
    assert!(status.contains(&finished.status), "{}: {}", finished.status, finished.all());
    for word in words {
        assert!(finished.stderr.contains(word), "{word} is not in: {}", finished.stderr);
    }
}

fn names(cloud: &Cloud) {
    let scenario = cloud.run(&["bootstrap", "--scenario", "contorl"]);
    refused(&scenario, &[2, CONFIG], &["contorl", "control"]);
    let set = cloud.run(&["bootstrap", "--set", "memcached_cache_mb=1"]);
    refused(&set, &[2, CONFIG], &["memcached_cache_mib"]);
    let kind = cloud.run(&["bootstrap", "--set", "heat_engin.members=2"]);
    refused(&kind, &[2, CONFIG], &["heat_engine"]);
    let kind = cloud.run(&["bootstrap", "--set", "memcached_cache_mib=many"]);
    refused(&kind, &[2, CONFIG], &["memcached_cache_mib"]);
}

/// Writes a file into the configuration directory, runs `bootstrap`, removes the file.
fn with_file(cloud: &Cloud, path: &str, text: &str) -> Finished {
    let file = cloud.config_dir.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    let finished = cloud.run(&["bootstrap"]);
    fs::remove_file(&file).unwrap();
    finished
}

fn files(cloud: &Cloud) {
    let variables = with_file(cloud, "user_variables.yml", "# mine\nmemcached_cach_mib: 3\n");
    refused(&variables, &[CONFIG], &["user_variables.yml:2", "memcached_cache_mib"]);
    let overrides = with_file(cloud, "overrides/haet.conf", "[DEFAULT]\ndebug = true\n");
    refused(&overrides, &[CONFIG], &["haet", "heat"]);
    let profile = with_file(cloud, "profiles/services/mine.yml", "service: mine\nsumary: x\n");
    refused(&profile, &[CONFIG], &["mine.yml:2", "summary"]);
    let built_in = include_str!("../../profiles/services/heat.yml");
    let unknown = built_in.replace("worker: heat-engine", "worker: heat-engin");
    let program = with_file(cloud, "profiles/services/heat.yml", &unknown);
    let missing = "heat-engine.service starts /usr/local/bin/heat-engin, which is not there";
    refused(&program, &[CONFIG], &["heat_engine", missing]);
    let _ = fs::remove_dir_all(cloud.config_dir.join("profiles"));
    let _ = fs::remove_dir_all(cloud.config_dir.join("overrides"));
}

/// Runs `bootstrap` with another text of `user_secrets.yml`, and puts the old one back.
fn with_secrets(cloud: &Cloud, change: impl FnOnce(&Cloud)) -> Finished {
    let file = cloud.config_dir.join("user_secrets.yml");
    let text = fs::read_to_string(&file).unwrap();
    change(cloud);
    let finished = cloud.run(&["bootstrap"]);
    fs::write(&file, text).unwrap();
    finished
}

fn secrets(cloud: &Cloud) {
    let short = with_secrets(cloud, |cloud| cloud.edit_secret("keystone_fernet_key_1", "zu-kurz"));
    refused(&short, &[CONFIG], &["keystone_fernet_key_1", "Fernet", "user_secrets.yml:"]);
    assert!(!short.all().contains("zu-kurz"), "a value is never quoted");
    let unknown = with_secrets(cloud, |cloud| {
        let file = cloud.config_dir.join("user_secrets.yml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text + "heat_sevice_password: x\n").unwrap();
    });
    refused(&unknown, &[CONFIG], &["heat_sevice_password", "heat_service_password"]);
}

fn encrypting_key(cloud: &Cloud) {
    let key = "0123456789abcdef0123456789abcdef";
    let edited = with_secrets(cloud, |cloud| cloud.edit_secret("heat_auth_encryption_key", key));
    refused(&edited, &[CONFIG], &["heat_auth_encryption_key", "decrypted"]);
    assert!(!edited.all().contains(key));
}

fn members(cloud: &Cloud) {
    let galera = cloud.run(&["bootstrap", "--set", "galera.members=1", "--yes"]);
    refused(&galera, &[2, CONFIG, 7], &["galera"]);
    assert_eq!(cloud.lxc_names().len(), 14);
}

fn range(cloud: &Cloud) {
    let taken = shell("ip -4 -o addr show scope global | awk '{print $4; exit}'");
    let own = cloud.config_dir.with_file_name("config-of-another");
    fs::create_dir_all(&own).unwrap();
    let network = shell(&format!(
        "python3 -c 'import ipaddress; print(ipaddress.ip_network(\"{}\", strict=False))' || :",
        taken.trim()
    ));
    if !network.trim().is_empty() {
        let text = format!("networks:\n  management: {}\n", network.trim());
        fs::write(own.join("cloud.yml"), text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aio"));
        command.args(["--name", "aiotwo", "--config-dir"]).arg(&own);
        command.arg("--state-dir").arg(own.join("state")).args(["bootstrap", "--prepare-only"]);
        let finished = crate::support::process::run(command, std::time::Duration::from_secs(60));
        refused(&finished, &[2, CONFIG, 4], &[network.trim().split('/').next().unwrap()]);
    }
    fs::remove_dir_all(&own).unwrap();
}

fn not_root(cloud: &Cloud) {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().display().to_string();
    shell(&format!("cp {} {place}/aio; chmod 755 {place} {place}/aio", env!("CARGO_BIN_EXE_aio")));
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(directory.path().join("aio")).args(["--name", &cloud.name, "bootstrap"]);
    let finished = crate::support::process::run(command, std::time::Duration::from_secs(60));
    assert_ne!(finished.status, 0);
    assert!(finished.stderr.contains("root"), "{}", finished.stderr);
}

fn last_copy(cloud: &Cloud) {
    let finished = cloud.run(&["rebuild", "galera/1", "galera/2", "galera/3", "--data"]);
    assert_ne!(finished.status, 0);
    assert!(finished.stderr.contains("--force"), "{}", finished.stderr);
}
