//! Where Debian's packages come from on this host.
//!
//! Nothing here knows a mirror. On a Debian host the URIs are those that its own APT uses for
//! Debian's archive, with the containers' suite in place of the host's; on any other host they are
//! mmdebstrap's default.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result, ResultExt};

use super::acquire::without_userinfo;
use super::process::{self, tool};

/// The keyring with which Debian's archive is checked, on the host and in containers.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One place where packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
}

/// What `apt-get indextargets` is asked for, one line for each index.
const TARGET_FORMAT: &str = "$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)";

/// What a layer's id depends on of the host's package sources. Cheap, needs no root.
///
/// # Errors
/// When the host's APT configuration cannot be read.
pub fn fingerprint(suite: &str) -> Result<String> {
    match host_sources(suite)? {
        // A password that changes makes no other layer.
        Some(sources) => Ok(without_userinfo(&render(&sources))),
        None => Ok(format!("default sources of {suite}")),
    }
}

/// The text of a `.sources` file for containers of `suite`.
///
/// # Errors
/// When neither the host's APT nor mmdebstrap says where packages come from.
pub fn sources_text(suite: &str, scratch: &Path) -> Result<String> {
    let sources = match host_sources(suite)? {
        Some(sources) => sources,
        None => default_sources(suite, scratch)?,
    };
    Ok(render(&sources))
}

/// The sources of a Debian host, for another suite; `None` on any other host.
fn host_sources(suite: &str) -> Result<Option<Vec<Source>>> {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let Some(codename) = debian_codename(&release) else { return Ok(None) };
    // APT answers at once when it need not read the indexes, which say whose they are.
    let quick = translate(&index_targets(false)?, &codename, suite);
    if quick.as_ref().is_some_and(|sources| archives(sources, suite) == 1) {
        return Ok(quick);
    }
    Ok(translate(&index_targets(true)?, &codename, suite).or(quick))
}

/// How many places serve `suite` itself.
fn archives(sources: &[Source], suite: &str) -> usize {
    sources.iter().filter(|source| source.suites.iter().any(|name| name == suite)).count()
}

/// What the host's APT fetches, one line of [`TARGET_FORMAT`] each.
fn index_targets(read_indexes: bool) -> Result<String> {
    let mut command = tool("apt-get");
    command.args(["indextargets", "--format", TARGET_FORMAT]);
    if !read_indexes {
        command.args(["--no-release-info", "--option", "Dir::State::lists=/nonexistent"]);
    }
    let finished = process::run(command, &|| false, &mut |_, _| {})?;
    if finished.status.success() {
        return Ok(finished.stdout);
    }
    Err(Error::new(ErrorKind::Host, "read the host's APT sources")
        .output(finished.tail)
        .hint("Make `apt-get indextargets` work on this host."))
}

/// The code name of a Debian host.
fn debian_codename(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
    };
    if value("ID").as_deref() != Some("debian") {
        return None;
    }
    // Testing and unstable may have no code name here; their sources name the suite itself.
    Some(value("VERSION_CODENAME").unwrap_or_else(|| "sid".to_owned()))
}

/// What one index target says.
struct Target<'a> {
    uri: &'a str,
    release: &'a str,
    origin: Option<&'a str>,
}

/// The host's sources of Debian's archive with `suite` in place of the host's own suite.
fn translate(targets: &str, codename: &str, suite: &str) -> Option<Vec<Source>> {
    let mut targets: Vec<Target<'_>> = targets.lines().filter_map(parse_target).collect();
    // Others also publish for Debian's suites. The host's indexes say who made them; where they are
    // not fetched yet or not read, the usual name of the directory must do.
    if targets.iter().any(|target| target.origin.is_some()) {
        targets.retain(|target| target.origin == Some("Debian"));
    } else {
        targets.retain(|target| {
            let path = target.uri.trim_end_matches('/');
            path.ends_with("/debian") || path.ends_with("/debian-security")
        });
    }
    let own = [codename, "stable", "testing", "unstable", "sid", "oldstable", "oldoldstable"];
    let mut sources: Vec<Source> = Vec::new();
    let mut add = |uri: &str, suite: String| {
        let uri = uri.trim_end_matches('/').to_owned();
        match sources.iter_mut().find(|source| source.uri == uri) {
            Some(source) if source.suites.contains(&suite) => {}
            Some(source) => source.suites.push(suite),
            None => sources.push(Source { uri, suites: vec![suite] }),
        }
    };
    for name in own {
        for target in targets.iter().filter(|target| target.release == name) {
            add(target.uri, suite.to_owned());
        }
        for pocket in ["updates", "security"] {
            let pocket_of = format!("{name}-{pocket}");
            for target in targets.iter().filter(|target| target.release == pocket_of) {
                add(target.uri, format!("{suite}-{pocket}"));
            }
        }
    }
    (archives(&sources, suite) > 0).then_some(sources)
}

/// One line of [`TARGET_FORMAT`], if it is about binary packages of `main`.
fn parse_target(line: &str) -> Option<Target<'_>> {
    let mut fields = line.split('|');
    let (created_by, uri, release) = (fields.next()?, fields.next()?, fields.next()?);
    let (component, origin) = (fields.next()?, fields.next()?);
    if created_by != "Packages" || component != "main" {
        return None;
    }
    // APT leaves the placeholder where it does not know.
    let origin = (!origin.is_empty() && !origin.starts_with("$(")).then_some(origin);
    // Containers cannot read a mirror that is a directory of the host, and a snapshot of one suite
    // need not hold the other.
    let usable = (uri.starts_with("http://") || uri.starts_with("https://"))
        && !uri.contains("/snapshot.debian.org/");
    usable.then_some(Target { uri, release, origin })
}

/// mmdebstrap's own default for `suite`.
fn default_sources(suite: &str, scratch: &Path) -> Result<Vec<Source>> {
    let root = scratch.join("default-sources");
    if root.exists() {
        std::fs::remove_dir_all(&root).doing(|| format!("remove {}", root.display()))?;
    }
    let mut command = tool("mmdebstrap");
    command.args(["--quiet", "--simulate", "--variant=custom", "--skip=update", "--mode=root"]);
    command.arg(format!("--keyring={KEYRING}")).arg(suite).arg(&root);
    let finished = process::run(command, &|| false, &mut |_, _| {})?;
    let text = std::fs::read_to_string(root.join("etc/apt/sources.list"));
    let _ = std::fs::remove_dir_all(&root);
    match text {
        Ok(text) if finished.status.success() => Ok(parse_one_line(&text)),
        _ => Err(Error::new(ErrorKind::Host, "ask mmdebstrap where Debian's packages come from")
            .output(finished.tail)
            .hint("Install a current mmdebstrap and run again.")),
    }
}

/// `deb [options] URI SUITE COMPONENT…` lines.
fn parse_one_line(text: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("deb ") else { continue };
        let rest = match rest.trim_start().strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else { continue };
        let uri = uri.trim_end_matches('/').to_owned();
        match sources.iter_mut().find(|source| source.uri == uri) {
            Some(source) => source.suites.push(suite.to_owned()),
            None => sources.push(Source { uri, suites: vec![suite.to_owned()] }),
        }
    }
    sources
}

/// The text of a `.sources` file.
fn render(sources: &[Source]) -> String {
    let mut text = String::new();
    for source in sources {
        let separator = if text.is_empty() { "" } else { "\n" };
        let _ = write!(
            text,
            "{separator}Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: {KEYRING}\n",
            source.uri,
            source.suites.join(" "),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: &str = "\
Packages|https://download.docker.com/linux/debian/|bookworm|stable|Docker
Packages|https://packages.example/debian/|bookworm|main|Example
Translations|http://mirror.example/debian/|bookworm|main|Debian
";

    fn text(targets: &str, codename: &str) -> Option<String> {
        translate(targets, codename, "trixie").map(|sources| render(&sources))
    }

    #[test]
    fn the_hosts_mirrors_serve_the_containers_suite() {
        let targets = format!(
            "{OTHERS}\
Packages|http://mirror.example/debian/|bookworm|main|Debian
Packages|http://mirror.example/debian/|bookworm|contrib|Debian
Packages|http://mirror.example/debian/|bookworm-updates|main|Debian
Packages|http://mirror.example/debian/|bookworm-backports|main|Debian Backports
Packages|https://security.example/debian-security/|bookworm-security|main|Debian
"
        );
        insta::assert_snapshot!(text(&targets, "bookworm").unwrap(), @r"
        Types: deb
        URIs: http://mirror.example/debian
        Suites: trixie trixie-updates
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

        Types: deb
        URIs: https://security.example/debian-security
        Suites: trixie-security
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
        ");
    }

    #[test]
    fn before_the_first_update_the_usual_directory_tells_debians_archive() {
        let targets = "\
Packages|http://mirror.example/debian/|bookworm|main|$(ORIGIN)
Packages|http://mirror.example/debian-security|bookworm-security|main|$(ORIGIN)
Packages|https://packages.example/tool|bookworm|main|$(ORIGIN)
";
        let text = text(targets, "bookworm").unwrap();
        assert!(text.contains("Suites: trixie\n") && text.contains("Suites: trixie-security\n"));
        assert!(!text.contains("packages.example"), "{text}");
    }

    #[test]
    fn a_second_archive_is_noticed() {
        let targets = "\
Packages|http://mirror.example/debian/|bookworm|main|$(ORIGIN)
Packages|https://packages.example/tool/debian/|bookworm|main|$(ORIGIN)
";
        let sources = translate(targets, "bookworm", "trixie").unwrap();
        assert_eq!(archives(&sources, "trixie"), 2);
        let known = targets.replacen("$(ORIGIN)", "Debian", 1).replace("$(ORIGIN)", "Example");
        let sources = translate(&known, "bookworm", "trixie").unwrap();
        assert_eq!(archives(&sources, "trixie"), 1);
    }

    #[test]
    fn suites_by_status_are_understood() {
        let targets = "Packages|http://mirror.example/debian/|stable|main|Debian\n";
        assert!(text(targets, "trixie").unwrap().contains("Suites: trixie\n"));
    }

    #[test]
    fn what_containers_cannot_reach_or_need_not_have_is_left_out() {
        let targets = "\
Packages|file:/srv/debian/|bookworm|main|Debian
Packages|http://snapshot.debian.org/archive/debian/20250101T000000Z/|bookworm|main|Debian
";
        assert_eq!(text(targets, "bookworm"), None);
        assert_eq!(text(OTHERS, "bookworm"), None);
    }

    #[test]
    fn only_debian_hosts_have_sources_of_their_own() {
        let release = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(debian_codename(release).as_deref(), Some("bookworm"));
        assert_eq!(debian_codename("ID=debian\n").as_deref(), Some("sid"));
        assert_eq!(debian_codename("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(debian_codename("ID=raspbian\nVERSION_CODENAME=bookworm\n"), None);
    }

    #[test]
    fn mmdebstraps_default_is_read() {
        let text = "deb http://a.example/debian trixie main\n\
                    deb [signed-by=/k.gpg] http://a.example/debian trixie-updates main\n\
                    deb [ arch=amd64 signed-by=/k.gpg ] http://b.example/sec trixie-security main\n";
        let sources = parse_one_line(text);
        let suites: Vec<Vec<String>> = sources.iter().map(|source| source.suites.clone()).collect();
        assert_eq!(suites, [vec!["trixie", "trixie-updates"], vec!["trixie-security"]]);
        assert_eq!(sources[1].uri, "http://b.example/sec");
    }
}
