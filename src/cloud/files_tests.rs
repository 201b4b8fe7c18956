use std::fs;

use super::*;
use crate::render::testing::builtin_cloud;
use crate::secrets::store;

/// A recorded cloud of the scenario `control` with complete secrets, in a directory of its own.
fn world() -> (tempfile::TempDir, Paths) {
    let directory = tempfile::tempdir().unwrap();
    let paths = Paths::below(directory.path());
    fs::create_dir_all(paths.overrides_dir()).unwrap();
    fs::create_dir_all(paths.cloud_dir()).unwrap();
    let profiles = Profiles::load(&paths.config_dir).unwrap();
    let cloud = builtin_cloud(&profiles, &profiles.scenarios["control"]);
    recorded::save(&paths, &cloud).unwrap();
    let services: Vec<String> =
        cloud.services.iter().map(|service| service.service.clone()).collect();
    let specification = store::specification(&paths.config_dir).unwrap();
    let mut secrets = store::read(&paths.secrets_file()).unwrap();
    secrets.complete(&specification, &services, &mut rand::rng()).unwrap();
    store::write(&secrets, &paths.secrets_file()).unwrap();
    (directory, paths)
}

fn container(files: &Files, kind: &str) -> Container {
    files.cloud.containers.iter().find(|container| container.kind == kind).unwrap().clone()
}

#[test]
fn files_are_listed_and_found_by_the_end_of_their_path() {
    let (_directory, paths) = world();
    fs::write(paths.overrides_dir().join("heat.conf"), "[DEFAULT]\ndebug = true\n").unwrap();
    let files = Files::open(&paths).unwrap();
    let engine = container(&files, "heat_engine");
    let listed = files.list(&engine).unwrap();
    let heat = listed.iter().find(|file| file.path == "/etc/heat/heat.conf").unwrap();
    assert_eq!(heat.template.as_deref(), Some("profiles/templates/heat/heat.conf"));
    assert_eq!(heat.overrides.len(), 1);
    assert!(listed.iter().any(|file| file.path == "/etc/hosts"));
    for name in ["/etc/heat/heat.conf", "heat/heat.conf", "heat.conf"] {
        assert_eq!(files.find(&engine, name).unwrap(), "/etc/heat/heat.conf");
    }
    let error = files.find(&engine, "haet.conf").unwrap_err();
    assert_eq!(
        (error.kind, error.hints),
        (ErrorKind::NotFound, vec!["did you mean `heat.conf`?".to_owned()])
    );
    let balancer = container(&files, "haproxy");
    assert_eq!(files.find(&balancer, "eat.conf").unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn settings_are_the_present_ones_and_named_as_reasons() {
    let (_directory, paths) = world();
    fs::write(paths.variables_file(), "# mine\ndatabase_read_timeout_secs: 17\n").unwrap();
    fs::write(paths.overrides_dir().join("heat.conf"), "[DEFAULT]\ndebug = true\n").unwrap();
    let files = Files::open(&paths).unwrap();
    let engine = container(&files, "heat_engine");
    let text = files.render(&engine, "/etc/heat/heat.conf").unwrap().content;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("read_timeout=17"), "{text}");
    let lines = files.explain(&engine, "/etc/heat/heat.conf").unwrap();
    let reasons = |start: &str| {
        let line = lines.iter().find(|line| line.text.starts_with(start)).unwrap();
        line.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let connection = reasons("connection = ");
    assert!(connection.contains("profiles/templates/common/database.conf:"), "{connection}");
    assert!(connection.contains("user_variables.yml:2"), "{connection}");
    assert!(connection.contains("secret heat_container_mysql_password"), "{connection}");
    assert!(reasons("debug = true").contains("overrides/heat.conf:2"));
}

#[test]
fn a_wrong_file_of_the_users_is_an_error() {
    let (_directory, paths) = world();
    fs::write(paths.variables_file(), "database_read_timeout: 17\n").unwrap();
    let error = Files::open(&paths).err().unwrap();
    assert_eq!(error.hints, ["did you mean `database_read_timeout_secs`?"]);
}

#[test]
fn without_a_cloud_there_are_no_files() {
    let (_directory, mut paths) = world();
    paths.cloud = "other".to_owned();
    assert_eq!(Files::open(&paths).err().unwrap().kind, ErrorKind::NotFound);
}
