//! Distributions that the tests make themselves, and the Python with which they try the scripts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::inspect::{Inspection, Unmet};
use crate::commands::dev::requirement::Requirement;

/// Writes a wheel: a ZIP archive without compression.
pub fn wheel(directory: &Path, name: &str, version: &str, tag: &str, requires: &[&str]) {
    let info = format!("{name}-{version}.dist-info");
    let module = format!("{}.py", name.replace('.', "_"));
    let files = [
        (module.clone(), format!("VERSION = '{version}'\n")),
        (format!("{info}/METADATA"), metadata(name, version, requires)),
        (
            format!("{info}/WHEEL"),
            format!("Wheel-Version: 1.0\nGenerator: aio\nRoot-Is-Purelib: true\nTag: {tag}\n"),
        ),
        (format!("{info}/entry_points.txt"), format!("[console_scripts]\n{name} = {name}:main\n")),
        (
            format!("{info}/RECORD"),
            format!("{module},,{}\n{info}/METADATA,,\n{info}/RECORD,,\n", 13 + version.len()),
        ),
    ];
    fs::write(directory.join(format!("{name}-{version}-{tag}.whl")), zip(&files)).unwrap();
}

/// The METADATA of a distribution.
pub fn metadata(name: &str, version: &str, requires: &[&str]) -> String {
    let mut text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    for requirement in requires {
        if let Some((_, marker)) = requirement.split_once("extra == ") {
            text += &format!("Provides-Extra: {}\n", marker.trim_matches(['"', '\'']));
        }
        text += &format!("Requires-Dist: {requirement}\n");
    }
    text + "\nName: not this one\n"
}

/// A distribution as it stands in a directory of packages.
pub fn installed(directory: &Path, name: &str, version: &str, requires: &[&str]) {
    let info = directory.join(format!("{name}-{version}.dist-info"));
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("METADATA"), metadata(name, version, requires)).unwrap();
}

/// What a container with Debian 13's Python says when nothing is missing.
pub fn inspection() -> Inspection {
    Inspection {
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

fn zip(files: &[(String, String)]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (name, text) in files {
        let offset = length(&archive);
        let mut common = Vec::new();
        // Version 2.0, no flags, stored, 1980-01-01 00:00.
        for value in [20u16, 0, 0, 0, 0x21] {
            common.extend(value.to_le_bytes());
        }
        for value in [checksum(text.as_bytes()), length(text.as_bytes()), length(text.as_bytes())] {
            common.extend(value.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend(0u16.to_le_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        // No comment, first disk, no attributes.
        directory.extend([0u8; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = length(&archive);
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\x00\x00\x00\x00");
    archive.extend(count);
    archive.extend(count);
    archive.extend(length(&directory).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend(0u16.to_le_bytes());
    archive
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

/// CRC-32, as ZIP wants it.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = sum & 1;
            sum = (sum >> 1) ^ (0xEDB8_8320 * carry);
        }
    }
    !sum
}
