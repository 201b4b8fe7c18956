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

/// What a start script gives to its program to read. A script names other files in its own help.
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
    for path in settings.values("Service.EnvironmentFile").iter().filter(|path| stays(path)) {
        named(format!("reads {path}"), view.exists(path)?);
    }
    for setting in STARTING {
        for line in settings.values(setting) {
            let command = line.trim_start_matches(['@', ':', '+', '!', '-', '|']);
            let prefix = &line[..line.len() - command.len()];
            let mut words = command.split_whitespace();
            let Some(program) = words.next() else { continue };
            if prefix.contains('-') || program.contains(['$', '%', '"', '\'']) {
                continue;
            }
            let Some(path) = place_of(view, program)? else {
                named(format!("starts {program}"), false);
                continue;
            };
            if setting == "Service.ExecStart" {
                for path in named_by_options(words) {
                    let what = format!("starts {program} with {path}");
                    named(what, view.exists(path)? || made_by_script(view, path));
                }
            }
            let text = view.text(&path)?.unwrap_or_default();
            let Some(interpreter) = text.strip_prefix("#!").and_then(interpreter) else { continue };
            let what = format!("starts {program}, a script for {interpreter}");
            named(what, place_of(view, interpreter)?.is_some());
            for path in named_by_script(&text) {
                named(format!("starts {program} with {path}"), view.exists(path)?);
            }
        }
    }
    Ok(problems)
}

/// Where a program is.
fn place_of(view: &View<'_>, program: &str) -> io::Result<Option<String>> {
    let places = if program.starts_with('/') {
        vec![program.to_owned()]
    } else {
        SEARCHED.iter().map(|directory| format!("{directory}/{program}")).collect()
    };
    for place in places {
        if view.exists(&place)? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Whose script it is, by what follows the `#!` of its first line.
fn interpreter(text: &str) -> Option<&str> {
    let mut words = text.lines().next()?.split_whitespace();
    match words.next()? {
        "/usr/bin/env" => words.find(|word| !word.starts_with('-') && !word.contains('=')),
        program => Some(program),
    }
}

/// Whether a script that is written into the container speaks of a file: it may be what makes it.
fn made_by_script(view: &View<'_>, path: &str) -> bool {
    let mut scripts = view.startup.files.iter().filter(|file| file.mode & 0o111 != 0);
    scripts.any(|script| String::from_utf8_lossy(&script.content).contains(path))
}

/// The files that are values of options: `--config-file=/etc/x`, `-c /etc/x`. One that stands alone may be
/// one that the program makes.
fn named_by_options<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut paths = Vec::new();
    let mut after_option = false;
    for word in words {
        let value = match word.split_once('=') {
            Some((option, value)) if option.starts_with('-') => Some(value),
            _ => after_option.then_some(word),
        };
        paths.extend(value.filter(|path| stays(path)));
        after_option = word.starts_with('-') && !word.contains('=');
    }
    paths
}

/// The files that a shell script names written out, unless it looks first whether they are there.
fn named_by_script(text: &str) -> Vec<&str> {
    let tested = |path: &str| {
        ["-e", "-f", "-r", "-s", "-d"].iter().any(|test| {
            text.contains(&format!("{test} {path}")) || text.contains(&format!("{test} \"{path}"))
        })
    };
    let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let named = code.flat_map(|line| OPTION.captures_iter(line));
    named.filter_map(|it| it.get(1)).map(|it| it.as_str()).filter(|path| !tested(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_options_name() {
        let words = "run --a=/etc/a -c /etc/c /etc/alone --b /opt/b --d=$X --e=/run/e /usr/f";
        assert_eq!(named_by_options(words.split(' ')), ["/etc/a", "/etc/c", "/opt/b"]);
    }

    #[test]
    fn files_that_a_script_names() {
        let text = "#!/bin/sh\n# --config-file=/etc/comment\n\
                    A=\"$A --config-file=/etc/a --config-dir /etc/b.d\"\n\
                    [ -f /etc/tested ] && A=\"$A --config-file=/etc/tested\"\n\
                    A=--log-file=/var/log/x\nB=--config-file=/etc/$NAME\necho --x=/etc/help\n";
        assert_eq!(named_by_script(text), ["/etc/a", "/etc/b.d"]);
    }

    #[test]
    fn whose_script() {
        assert_eq!(interpreter("/bin/sh -e\nx"), Some("/bin/sh"));
        assert_eq!(interpreter(" /usr/bin/env -S A=b python3 -u\n"), Some("python3"));
        assert_eq!(interpreter(""), None);
    }
}
