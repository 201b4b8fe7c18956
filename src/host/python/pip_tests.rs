//! The host's own pip over wheels that the tests make.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::host::python::testing::wheel;

/// Runs pip as whoever runs the tests, with the environment that it has where it runs without rights.
pub(super) fn run_here(program: &Program) -> Result<Finished> {
    let (python, arguments) = program.argv.split_first().unwrap();
    let mut command = Command::new(python);
    command.args(arguments).current_dir(&program.directory).env_clear();
    command.envs(program.environment.clone()).stdin(Stdio::null());
    let output = command.output().doing(|| "run pip".to_owned())?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Finished { status: output.status.code(), stderr })
}

/// Wheels, an empty place for what is fetched, and a cache.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for name in ["wheels", "staging", "cache"] {
        fs::create_dir(place.path().join(name)).unwrap();
    }
    place
}

async fn install(pip: &Pip, place: &TempDir, requirements: &[&str]) -> Result<Vec<String>> {
    let requirements: Vec<Requirement> =
        requirements.iter().map(|text| Requirement::parse(text).unwrap()).collect();
    let staging = place.path().join("staging");
    let places = Places { cache: place.path().join("cache"), wheels: place.path().join("kept") };
    let site = pip.install(&requirements, &staging, &places, &platform()).await?;
    let mut names: Vec<String> = fs::read_dir(site)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".dist-info"))
        .collect();
    names.sort();
    Ok(names)
}

/// Debian 13's Python.
fn platform() -> Platform {
    let tags = ["manylinux_2_41_x86_64", "manylinux_2_17_x86_64", "linux_x86_64"];
    Platform {
        python: "3.13".to_owned(),
        tags: tags.map(str::to_owned).to_vec(),
        machine: "x86_64".to_owned(),
    }
}

fn offline(place: &TempDir) -> Pip {
    Pip::of_directory(&place.path().join("wheels"))
}

#[tokio::test]
async fn the_wheels_are_those_of_the_container_and_nothing_else_comes_along() {
    let place = place();
    let wheels = place.path().join("wheels");
    wheel(&wheels, "aio_plain", "1.0", "py3-none-any", &["aio-unasked"]);
    wheel(&wheels, "aio_plain", "2.0", "py3-none-any", &["aio-unasked"]);
    wheel(&wheels, "aio_built", "1.0", "cp313-cp313-manylinux_2_17_x86_64", &[]);
    wheel(&wheels, "aio_built", "2.0", "cp311-cp311-manylinux_2_17_x86_64", &[]);
    wheel(&wheels, "aio_built", "3.0", "cp313-cp313-manylinux_2_50_x86_64", &[]);
    wheel(&wheels, "aio_stable", "1.0", "cp39-abi3-manylinux_2_17_x86_64", &[]);
    let wanted = ["aio-plain<2", "aio-built", "aio-stable"];
    assert_eq!(
        install(&offline(&place), &place, &wanted).await.unwrap(),
        ["aio_built-1.0.dist-info", "aio_plain-1.0.dist-info", "aio_stable-1.0.dist-info"]
    );
    let kept = entries(&place.path().join("kept")).unwrap();
    let names: Vec<_> = kept.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[1].starts_with("aio_plain-1.0-") && names[1].ends_with(".whl"), "{names:?}");
}

#[tokio::test]
async fn a_users_settings_for_other_purposes_do_not_apply() {
    let place = place();
    wheel(&place.path().join("wheels"), "aio_plain", "2.0", "py3-none-any", &[]);
    let own = place.path().join("pip.conf");
    let settings = "[global]\nrequire-virtualenv = true\nno-input = false\nuser = true\n\
                    [install]\nuser = true\nprefix = /nonexistent/prefix\n\
                    root = /nonexistent/root\ntarget = /nonexistent/target\n\
                    requirement = /nonexistent/list\nlog = /nonexistent/log\n\
                    no-binary = :all:\ndry-run = true\n";
    fs::write(&own, settings).unwrap();
    let pip = offline(&place).with("PIP_CONFIG_FILE", &own);
    let names = install(&pip, &place, &["aio-plain"]).await.unwrap();
    assert_eq!(names, ["aio_plain-2.0.dist-info"]);
    assert!(!Path::new("/nonexistent").exists());
}

#[tokio::test]
async fn a_users_hardening_applies() {
    let place = place();
    let wheels = place.path().join("wheels");
    wheel(&wheels, "aio_plain", "1.0", "py3-none-any", &[]);
    wheel(&wheels, "aio_plain", "2.0", "py3-none-any", &[]);
    let constraints = place.path().join("constraints.txt");
    fs::write(&constraints, "aio-plain<2\n").unwrap();
    let constrained = offline(&place).with("PIP_CONSTRAINT", &constraints);
    let names = install(&constrained, &place, &["aio-plain"]).await.unwrap();
    assert_eq!(names, ["aio_plain-1.0.dist-info"]);

    let hashing = offline(&place).with("PIP_REQUIRE_HASHES", Path::new("1"));
    let error = install(&hashing, &place, &["aio-plain==2.0"]).await.unwrap_err();
    assert!(error.causes[0].contains("require hashes"), "{error}");
}

#[tokio::test]
async fn modules_of_the_working_directory_and_of_pythonpath_are_not_run() {
    let place = place();
    wheel(&place.path().join("wheels"), "aio_plain", "2.0", "py3-none-any", &[]);
    fs::write(place.path().join("pip.py"), "raise SystemExit('not this one')").unwrap();
    let variables = [
        ("PYTHONPATH", place.path()),
        ("PIP_NO_INDEX", Path::new("1")),
        ("PIP_FIND_LINKS", &place.path().join("wheels")),
        ("PIP_CONFIG_FILE", Path::new("/dev/null")),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.as_os_str().to_owned()));
    let pip = Pip { settings: Settings::from(variables.into_iter()), ..offline(&place) };
    install(&pip, &place, &["aio-plain"]).await.unwrap();
}

#[tokio::test]
async fn a_requirement_that_only_exists_as_source_is_named() {
    let place = place();
    let wheels = place.path().join("wheels");
    wheel(&wheels, "aio_plain", "2.0", "py3-none-any", &[]);
    fs::write(wheels.join("aio_source-1.0.tar.gz"), "").unwrap();
    let error =
        install(&offline(&place), &place, &["aio-plain", "aio-source>=1"]).await.unwrap_err();
    assert_eq!(error.message, "fetch aio-source>=1");
    assert!(error.causes[0].contains("no wheel of it for Python 3.13 on x86_64"), "{error}");
}

#[tokio::test]
async fn requirements_that_exclude_one_another_are_told_in_pips_words() {
    let place = place();
    let wheels = place.path().join("wheels");
    wheel(&wheels, "aio_plain", "1.0", "py3-none-any", &[]);
    wheel(&wheels, "aio_plain", "2.0", "py3-none-any", &[]);
    let wanted = ["aio-plain>=2", "aio-plain<2"];
    let error = install(&offline(&place), &place, &wanted).await.unwrap_err();
    assert!(error.output.unwrap().contains("conflicting"), "{:?}", error.causes);
}

#[tokio::test]
async fn an_index_out_of_reach_is_not_taken_for_a_missing_wheel() {
    let place = place();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let index = format!("http://{closed}/simple");
    let pip = Pip::with_variables(&[
        ("PIP_INDEX_URL", index.as_str()),
        ("PIP_RETRIES", "1"),
        ("PIP_CONFIG_FILE", "/dev/null"),
    ]);
    let error = install(&pip, &place, &["aio-plain"]).await.unwrap_err();
    assert!(error.causes[0].contains("index could not be reached"), "{error}");
}

#[tokio::test]
async fn a_host_without_pip_is_told_the_package() {
    let place = place();
    let python = place.path().join("python3");
    fs::write(&python, "#!/bin/sh\necho \"$0: No module named pip\" >&2; exit 1\n").unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let pythons = vec![python.display().to_string(), "/nonexistent/python3".into()];
    let pip = Pip { pythons, ..offline(&place) };
    let error = install(&pip, &place, &["aio-plain"]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Host);
    assert_eq!(error.hints, ["Install it: apt install python3-pip"]);
}
