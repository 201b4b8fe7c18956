use super::*;

const HEAT: &str = r#"
service: heat
summary: x
containers:
  heat_apis:
    summary: x
    memory: {idle_mib: 1, limit_mib: 2}
    units: [{name: heat-api.service}, {name: heat-api-cfn.service}]
    files:
      - {path: /etc/heat/heat.conf, template: a, merge: ini}
      - {path: /etc/heat/api-paste.ini, template: a, merge: ini}
  heat_engine:
    summary: x
    memory: {idle_mib: 1, limit_mib: 2}
    units: [{name: heat-engine.service}]
    files:
      - {path: /etc/heat/heat.conf, template: a, merge: ini}
      - {path: /etc/heat/policy.yaml, template: a}
"#;

const PLAIN: &str = "
service: memcached
summary: x
containers:
  memcached: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
";

fn profiles() -> Profiles {
    Profiles::from_texts([("services/heat.yml", HEAT), ("services/memcached.yml", PLAIN)]).unwrap()
}

/// The names of the files that reach a file of a container.
fn reaching(paths: &[&str], kind: &str, member: u32, file: &str) -> Vec<String> {
    let profiles = profiles();
    let (service, definition) = profiles.kind(kind).unwrap();
    let units: Vec<String> = definition.units.iter().map(|unit| unit.name.clone()).collect();
    let overrides = Overrides::from_texts(paths.iter().map(|path| (*path, ""))).unwrap();
    let target = Target { service, kind, member, units: &units, file };
    let shown = overrides.reaching(&target).into_iter().map(|file| file.shown.clone());
    shown.map(|shown| shown.replace("overrides/", "")).collect()
}

fn check(path: &str) -> Result<Vec<String>> {
    let profiles = profiles();
    let service = &profiles.services["heat"];
    let units = ["heat-engine.service".to_owned()];
    let target =
        Target { service, kind: "heat_engine", member: 1, units: &units, file: "heat.conf" };
    Overrides::from_texts([(path, "")]).unwrap().check(&profiles, [target])
}

#[test]
fn the_most_particular_comes_last() {
    let all = [
        "heat_engine/1/heat.conf",
        "heat/heat-engine.conf",
        "heat/heat.conf",
        "heat.conf",
        "global.conf",
        "heat/heat-api.conf",
        "heat_engine/2/heat.conf",
        "heat/api-paste.ini",
        "memcached.conf",
    ];
    assert_eq!(
        reaching(&all, "heat_engine", 1, "heat.conf"),
        [
            "global.conf",
            "heat.conf",
            "heat/heat.conf",
            "heat/heat-engine.conf",
            "heat_engine/1/heat.conf"
        ]
    );
    assert_eq!(
        reaching(&all, "heat_apis", 1, "heat.conf"),
        ["global.conf", "heat.conf", "heat/heat.conf", "heat/heat-api.conf"]
    );
    assert_eq!(reaching(&all, "heat_apis", 1, "api-paste.ini"), ["heat/api-paste.ini"]);
}

#[test]
fn kinds_may_be_written_with_hyphens() {
    assert_eq!(reaching(&["heat-engine/2/heat.conf"], "heat_engine", 2, "heat.conf").len(), 1);
}

#[test]
fn what_nothing_could_use_is_an_error_with_the_nearest_name() {
    let failure = |path| check(path).unwrap_err();
    assert_eq!(failure("haet.conf").hints, ["did you mean `heat`?"]);
    let error = failure("heat-engine.conf");
    assert!(error.hints.contains(&"It may belong at `heat/heat-engine.conf`.".to_owned()));
    let error = failure("heat/heat-engin.conf");
    assert_eq!(
        error.message,
        "overrides/heat/heat-engin.conf: service `heat` has no unit or file `heat-engin.conf` that takes overrides"
    );
    assert_eq!(error.hints, ["did you mean `heat-engine.conf`?"]);
    assert_eq!(failure("heat/policy.yaml").kind, ErrorKind::Config);
    assert_eq!(failure("heat_engin/1/heat.conf").hints, ["did you mean `heat_engine`?"]);
    assert!(failure("heat_engine/one/heat.conf").message.contains("`one` is not the number"));
    assert!(failure("heat_engine/0/heat.conf").message.contains("`0` is not the number"));
    assert_eq!(failure("heat_engine/1/haet.conf").hints, ["did you mean `heat.conf`?"]);
    assert!(failure("memcached.conf").message.contains("no file of service `memcached`"));
    assert!(failure("README").message.contains("there is no service `README`"));
}

#[test]
fn what_this_cloud_lacks_is_a_warning() {
    let warnings = |path| check(path).unwrap();
    assert!(warnings("heat.conf").is_empty());
    assert!(warnings("heat_engine/1/heat.conf").is_empty());
    assert_eq!(
        warnings("heat_engine/2/heat.conf"),
        [
            "overrides/heat_engine/2/heat.conf: not used: this cloud has no member 2 of `heat_engine`"
        ]
    );
    assert_eq!(
        warnings("heat_apis/1/heat.conf"),
        ["overrides/heat_apis/1/heat.conf: not used: this cloud has no `heat_apis`"]
    );
    assert_eq!(warnings("heat/heat-api.conf").len(), 1);
}

#[test]
fn a_malformed_file_is_named_with_its_line() {
    let error = Overrides::from_texts([("heat.conf", "[DEFAULT]\nnonsense\n")]).unwrap_err();
    assert_eq!(error.message, "overrides/heat.conf:2: neither `[section]` nor `key = value`");
}

#[test]
fn files_are_read_from_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("heat_engine/1")).unwrap();
    std::fs::write(directory.path().join("heat_engine/1/heat.conf"), "[a]\nb = 1\n").unwrap();
    std::fs::write(directory.path().join("heat.conf~"), "junk").unwrap();
    let overrides = Overrides::load(directory.path()).unwrap();
    assert_eq!(overrides.files.len(), 1);
    assert_eq!(overrides.files[0].parts, ["heat_engine", "1", "heat.conf"]);
    assert!(Overrides::load(Path::new("/nonexistent")).unwrap().files.is_empty());
}
