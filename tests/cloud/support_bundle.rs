//! What is given to others when something is broken.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;

use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::openstack::{Client, request};

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("support: a bundle without a secret", || without_a_secret(cloud));
    checks.check("support: a bundle of what is broken", || of_what_is_broken(cloud));
}

/// Files by their names below the archive's one directory.
fn unpacked(file: &Path, directory: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(file).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let (top, name) = path.split_once('/').unwrap();
        assert_eq!(top, directory, "{path}");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(name.to_owned(), content);
    }
    files
}

fn contains(content: &[u8], part: &str) -> bool {
    content.windows(part.len()).any(|window| window == part.as_bytes())
}

/// What is written of a value in files, logs and addresses. The unit tests have more.
fn forms(value: &str) -> Vec<String> {
    let in_address: String = value
        .bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let json = serde_json::to_string(value).unwrap();
    vec![
        value.to_owned(),
        in_address,
        json.trim_matches('"').to_owned(),
        value.replace('\'', r"'\''"),
        value.replace('$', "$$"),
        STANDARD.encode(value),
    ]
}

fn without_secrets(files: &BTreeMap<String, Vec<u8>>, cloud: &Cloud) {
    for (secret, value) in cloud.secrets() {
        for form in forms(&value) {
            for (name, content) in files {
                assert!(!contains(content, &form), "a form of {secret} is in {name}");
            }
        }
    }
}

fn without_a_secret(cloud: &Cloud) {
    let client = Client::administrator(cloud);
    let (token, project) = client.token();
    // A token that a service was given, and one that somebody wrote into the journal.
    let url = format!("{}/v1/{project}/stacks", client.at(8004));
    assert_eq!(request("GET", &url, Some(&token), None, Duration::from_secs(30)).status, 200);
    let password = &cloud.secrets()["heat_service_password"];
    let log = format!("logger -t leak 'X-Auth-Token: {token} and {token} by {password}'");
    cloud.inside("heat_engine", &log).ok();
    cloud.inside("heat_engine", "journalctl --sync || sleep 2").ok();

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bundle.tar.gz");
    let arguments = ["support-bundle", file.to_str().unwrap(), "--output", "json"];
    let finished = cloud.run(&arguments).ok();
    println!("  it took {:.1} s", finished.elapsed.as_secs_f64());
    let bundle = finished.json();
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o600);
    assert_eq!(bundle["bytes"], metadata.len());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing stands beside it");
    let files = unpacked(&file, bundle["directory"].as_str().unwrap());
    assert_eq!(bundle["members"].as_array().unwrap().len(), files.len());
    println!("  {} files, {} bytes, missing: {}", files.len(), metadata.len(), bundle["missing"]);

    let mut expected: Vec<String> = [
        "README.txt",
        "errors.txt",
        "aio.json",
        "size.json",
        "plan.json",
        "status.json",
        "ls.json",
        "config/cloud.yml",
        "config/user_secrets.names.txt",
        "state/topology.json",
        "state/cloud.json",
        "state/steps.jsonl",
        "host/facts.json",
        "host/nftables.txt",
        "host/addresses.json",
        "host/routes.json",
        "host/mounts.txt",
        "host/meminfo.txt",
        "host/df.txt",
        "containers/heat_engine-1/rendered/etc/heat/heat.conf",
    ]
    .map(str::to_owned)
    .into();
    for row in crate::support::cloud::containers(&cloud.status()) {
        let kind = row["kind"].as_str().unwrap();
        for name in ["container.json", "lxc/config", "memory.txt", "journal.txt", "units.txt"] {
            expected.push(format!("containers/{kind}-{}/{name}", row["member"]));
        }
    }
    for name in &expected {
        assert!(files.contains_key(name), "{name} is missing: {}", bundle["missing"]);
    }
    let text = |name: &str| String::from_utf8_lossy(&files[name]).into_owned();
    let status: serde_json::Value = serde_json::from_slice(&files["status.json"]).unwrap();
    assert_eq!(status["cloud"], cloud.name.as_str());
    let conf = text("containers/heat_engine-1/rendered/etc/heat/heat.conf");
    assert!(conf.contains("[masked: heat_container_mysql_password]"), "{conf}");
    let listed = text("containers/heat_engine-1/files.txt");
    let line = listed.lines().find(|line| line.starts_with("/etc/heat/heat.conf ")).unwrap();
    assert!(line.ends_with(": as it should be"), "{listed}");
    let journal = text("containers/heat_engine-1/journal.txt");
    let leaked =
        "X-Auth-Token: [masked: token] and [masked: token] by [masked: heat_service_password]";
    assert!(journal.contains(leaked), "what was said around the secrets is there: {journal}");
    for (name, content) in &files {
        assert!(!contains(content, &token), "the token is in {name}");
    }
    without_secrets(&files, cloud);
    let again = cloud.run(&arguments);
    assert_eq!(again.status, 7, "{}", again.all());
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
}

/// A stopped container and a file of the user's that means nothing are named, and stop nothing.
fn of_what_is_broken(cloud: &Cloud) {
    let variables = cloud.config_dir.join("user_variables.yml");
    let before = fs::read(&variables).ok();
    fs::write(&variables, "mirror_password: hunter2hunter2\nbroken: [\n").unwrap();
    cloud.ok(&["stop", "memcached"]);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bundle.tar.gz");
    let finished =
        cloud.run(&["support-bundle", file.to_str().unwrap(), "--lines", "50", "--output", "json"]);
    match before {
        Some(text) => fs::write(&variables, text).unwrap(),
        None => fs::remove_file(&variables).unwrap(),
    }
    cloud.ok(&["start", "memcached"]);
    let bundle = finished.ok().json();
    let files = unpacked(&file, bundle["directory"].as_str().unwrap());
    let missing = bundle["missing"].as_array().unwrap();
    let reason = |name: &str| {
        let found = missing.iter().find(|missing| missing["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {missing:?}"))["reason"].to_string()
    };
    assert!(reason("containers/memcached-1/units.txt").contains("stopped"));
    assert!(reason("plan.json").contains("user_variables.yml"));
    let journal = String::from_utf8_lossy(&files["containers/memcached-1/journal.txt"]);
    assert!(!journal.is_empty(), "a stopped container has a journal");
    let settings = String::from_utf8_lossy(&files["config/user_variables.yml"]);
    assert_eq!(settings, "mirror_password: [masked: mirror_password]\nbroken: [\n");
    without_secrets(&files, cloud);
    cloud.healthy_within(Duration::from_secs(60));
}
