//! What containers say in tests, and the Python with which the scripts are tried.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::inspect::{Inspection, Unmet};
use crate::host::python::testing::metadata;
use crate::model::requirement::Requirement;

/// A distribution as it stands in a directory of packages.
pub fn installed(directory: &Path, name: &str, version: &str, requires: &[&str]) {
    let info = directory.join(format!("{name}-{version}.dist-info"));
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("METADATA"), metadata(name, version, requires)).unwrap();
}

/// What a container with Debian 13's Python says when nothing is missing.
pub fn inspection() -> Inspection {
    Inspection {
        used: Vec::new(),
        python: "3.13.5".to_owned(),
        machine: "x86_64".to_owned(),
        libc: "glibc 2.41".to_owned(),
        platforms: ["manylinux_2_41_x86_64", "manylinux_2_17_x86_64", "linux_x86_64"]
            .map(str::to_owned)
            .to_vec(),
        installed: BTreeMap::from([("aio-base".to_owned(), "2.0".to_owned())]),
        missing: Vec::new(),
        unsatisfied_by_checkouts: Vec::new(),
        unreadable_requirements: Vec::new(),
        unsupported_python: Vec::new(),
        syntax_errors: Vec::new(),
        migrations: Vec::new(),
    }
}

/// A requirement that nothing meets.
pub fn unmet(requirement: &str, found: Option<&str>) -> Unmet {
    Unmet {
        requirement: Requirement::parse(requirement).unwrap(),
        required_by: "heat".to_owned(),
        found: found.map(str::to_owned),
    }
}

/// Runs Python text with a directory of packages in front, and returns what it printed. The
/// `packaging` that pip brings along stands in for the one of the container.
pub fn python(packages: &Path, text: &str) -> String {
    let vendored = "import pip._vendor.packaging as it; print(it.__path__[0])";
    let packaging = PathBuf::from(run(Command::new("python3").args(["-c", vendored]), "").trim());
    let link = packages.join("packaging");
    if !link.exists() {
        std::os::unix::fs::symlink(packaging, link).unwrap();
    }
    run(Command::new("python3").arg("-").env("PYTHONPATH", packages), text)
}

fn run(command: &mut Command, input: &str) -> String {
    use std::io::Write;

    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python3 is needed (package python3)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "python3 with pip is needed (package python3-pip): {said}");
    String::from_utf8(output.stdout).unwrap()
}
