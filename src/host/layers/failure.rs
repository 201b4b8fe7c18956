//! What went wrong, from what APT and dpkg printed: why, and what to do next.

use crate::error::{Error, ErrorKind};

/// An error for a failed tool, from its last lines and the sources that it used.
pub fn explain(tail: &str, what: &str, sources: &str) -> Error {
    let says = |texts: &[&str]| texts.iter().any(|text| tail.contains(text));
    if says(&["No space left on device", "enough free space", "Disk quota exceeded"]) {
        return Error::new(ErrorKind::Host, what).because("the disk is full").output(tail);
    }
    if says(&["NO_PUBKEY", "Missing key", "is not signed", "EXPKEYSIG", "keyring"]) {
        return Error::new(ErrorKind::Host, what)
            .because("the host's Debian keyring does not know the keys that signed the index")
            .output(tail)
            .hint(
                "Install a current debian-archive-keyring package (Debian's own file installs on \
                 other distributions too) and run again.",
            );
    }
    if says(&["Unable to locate package", "has no installation candidate", "unmet dependencies"]) {
        return Error::failed(what)
            .because(first_error(tail))
            .output(tail)
            .hint(format!("The packages come from {}.", uris(sources)))
            .hint("Check the name in the profile against the index of that archive.");
    }
    if says(&["Failed to fetch", "Could not connect", "Temporary failure resolving", "404  Not"]) {
        return Error::new(ErrorKind::Host, what)
            .because(format!("package index unreachable: {}", first_error(tail)))
            .output(tail)
            .hint(format!(
                "Check that this host reaches {} (mirrors stand in /etc/apt/sources.list and \
                 /etc/apt/sources.list.d, proxies in /etc/apt/apt.conf.d).",
                uris(sources)
            ))
            .hint("Run the same command again afterwards: what was downloaded is kept.");
    }
    Error::failed(what).because(first_error(tail)).output(tail)
}

/// APT's first error line, else the last line.
fn first_error(tail: &str) -> String {
    let error = tail.lines().find_map(|line| {
        let line = line.strip_prefix("E: ").or_else(|| line.strip_prefix("dpkg: error: "))?;
        Some(line.trim())
    });
    let last = || tail.lines().last().unwrap_or("it printed nothing").trim();
    error.unwrap_or_else(last).to_owned()
}

/// The addresses in a `.sources` text.
fn uris(sources: &str) -> String {
    let uris: Vec<&str> = sources.lines().filter_map(|line| line.strip_prefix("URIs: ")).collect();
    uris.join(" and ")
}

/// The archive that dpkg could not read, if that is what failed: its file name.
pub fn broken_archive(tail: &str) -> Option<String> {
    let broken = ["corrupt", "unexpected end of file", "lzma error", "not a Debian format archive"];
    if !broken.iter().any(|text| tail.contains(text)) {
        return None;
    }
    let line = tail.lines().find(|line| line.contains("error processing archive"))?;
    let path = line.split_whitespace().find(|word| word.ends_with(".deb"))?;
    path.rsplit('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str = "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n";

    #[test]
    fn an_unreachable_mirror_is_named() {
        let tail = "W: x\nE: Failed to fetch http://mirror.example/debian/InRelease  Could not \
                    connect to 127.0.0.1:9\nE: Some index files failed to download.";
        let error = explain(tail, "fetch the package index", SOURCES);
        assert_eq!(error.kind, ErrorKind::Host);
        assert!(error.causes[0].starts_with("package index unreachable: Failed to fetch"));
        assert!(error.hints[0].contains("http://mirror.example/debian"), "{:?}", error.hints);
    }

    #[test]
    fn an_old_keyring_is_told_from_a_bad_network() {
        let tail = "W: GPG error: trixie InRelease: NO_PUBKEY 6ED0E7B82643E131\nE: Failed to fetch";
        let error = explain(tail, "fetch the package index", SOURCES);
        assert!(error.hints[0].contains("debian-archive-keyring"));
    }

    #[test]
    fn an_unknown_package_is_the_cause() {
        let error = explain("E: Unable to locate package nope\n", "find packages", SOURCES);
        assert_eq!(error.causes, ["Unable to locate package nope"]);
    }

    #[test]
    fn a_broken_archive_is_found() {
        let tail = "dpkg-deb (subprocess): decompressing archive: lzma error: corrupt\n\
            dpkg: error processing archive /var/cache/apt/archives/hello_2_amd64.deb (--unpack):\n";
        assert_eq!(broken_archive(tail).as_deref(), Some("hello_2_amd64.deb"));
        assert_eq!(broken_archive("error processing archive /a/b.deb"), None);
    }
}
