//! The programs that a unit starts, and the files that its start names.

use std::io;
use std::sync::LazyLock;

use regex::Regex;

use super::unit_file::Settings;
use super::view::{View, stays};

/// What runs when a unit starts, in this order.
const STARTING: [&str; 4] =
    ["Service.ExecCondition", "Service.ExecStartPre", "Service.ExecStart", "Service.ExecStartPost"];

/// Where systemd looks for a program without a directory.
const SEARCHED: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// What a start gives to its program to read. Other options may name what the program makes, and a
/// script's own help others again.
static OPTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"--config-(?:file|dir)[= ](/(?:etc|usr|opt)/[\w./@+-]+)(?:[\s"']|$)"#)
        .unwrap_or_else(|_| unreachable!("a constant expression"))
});

/// Sentences that name what a unit's start wants and does not find.
pub(super) fn problems(
    view: &View<'_>,
    unit: &str,
    settings: &Settings,
) -> io::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut named = |what: String, found: bool| {
        if !found {
            problems.push(format!("{unit} {what}, which is not there"));
        }
    };
    let first = settings.values("Service.ExecStartPre");
    let comes =
        |path: &str| Ok::<_, io::Error>(view.exists(path)? || view.may_be_made(path, first));
    for path in settings.values("Service.EnvironmentFile").iter().filter(|path| stays(path)) {
        named(format!("reads {path}"), comes(path)?);
    }
    let elsewhere = !settings.values("Service.ExecSearchPath").is_empty();
    for line in STARTING.iter().flat_map(|setting| settings.values(setting)) {
        for command in line.split(" ; ") {
            let plain = command.trim_start_matches(['@', ':', '+', '!', '-', '|']);
            let optional = command[..command.len() - plain.len()].contains('-');
            let Some(program) = plain.split_whitespace().next() else { continue };
            if optional || program.contains(['$', '%', '"', '\'']) {
                continue;
            }
            let path = match place_of(view, program)? {
                Place::There(path) => path,
                Place::Unknown => continue,
                Place::Missing => {
                    let absolute = program.starts_with('/');
                    let comes = if absolute { view.may_be_made(program, &[]) } else { elsewhere };
                    named(format!("starts {program}"), comes);
                    continue;
                }
            };
            for path in read_by(plain) {
                named(format!("starts {program} with {path}"), comes(path)?);
            }
            let text = view.text(&path)?.unwrap_or_default();
            let Some(interpreter) = text.strip_prefix("#!").and_then(interpreter) else { continue };
            let found = !matches!(place_of(view, interpreter)?, Place::Missing);
            named(format!("starts {program}, a script for {interpreter}"), found);
            for path in read_by(&text).into_iter().filter(|path| !is_tested(&text, path)) {
                named(format!("starts {program} with {path}"), comes(path)?);
            }
        }
    }
    Ok(problems)
}

/// Where a program is.
enum Place {
    There(String),
    Missing,
    /// Where whoever starts first may put it.
    Unknown,
}

fn place_of(view: &View<'_>, program: &str) -> io::Result<Place> {
    let absolute = program.starts_with('/');
    let places = if absolute {
        vec![program.to_owned()]
    } else {
        SEARCHED.iter().map(|directory| format!("{directory}/{program}")).collect()
    };
    for place in places {
        if view.exists(&place)? {
            return Ok(Place::There(place));
        }
    }
    Ok(if absolute && !stays(program) { Place::Unknown } else { Place::Missing })
}

/// Whose script it is, by what follows the `#!` of its first line.
fn interpreter(text: &str) -> Option<&str> {
    let mut words = text.lines().next()?.split_whitespace();
    match words.next()? {
        "/usr/bin/env" => words.find(|word| !word.starts_with('-') && !word.contains('=')),
        program => Some(program),
    }
}

/// The files that a command line or a script gives to a program to read.
fn read_by(text: &str) -> Vec<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let named = code.flat_map(|line| OPTION.captures_iter(line));
    named.filter_map(|it| it.get(1)).map(|it| it.as_str()).collect()
}

/// Whether a shell script looks first whether a file is there.
fn is_tested(text: &str, path: &str) -> bool {
    ["-e", "-f", "-r", "-s", "-d"].iter().any(|test| {
        text.contains(&format!("{test} {path}")) || text.contains(&format!("{test} \"{path}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_read() {
        let text = "#!/bin/sh\n# --config-file=/etc/comment\n\
                    A=\"$A --config-file=/etc/a --config-dir /etc/b.d\"\n\
                    A=--log-file=/var/log/x\nB=--config-file=/etc/$NAME\necho --x=/etc/help\n";
        assert_eq!(read_by(text), ["/etc/a", "/etc/b.d"]);
        assert_eq!(read_by("/usr/bin/x --config-file /etc/x"), ["/etc/x"]);
        assert!(is_tested("[ -f /etc/a ] && A=--config-file=/etc/a", "/etc/a"));
        assert!(!is_tested(text, "/etc/a"));
    }

    #[test]
    fn whose_script() {
        assert_eq!(interpreter("/bin/sh -e\nx"), Some("/bin/sh"));
        assert_eq!(interpreter(" /usr/bin/env -S A=b python3 -u\n"), Some("python3"));
        assert_eq!(interpreter(""), None);
    }
}
