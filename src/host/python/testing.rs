//! Distributions that tests make themselves.

use std::fs;
use std::path::Path;

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
