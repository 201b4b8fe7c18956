//! Lists of requirements, in files and in lines.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::declared::malformed;
use crate::commands::dev::source::tree::Tree;
use crate::error::Result;
use crate::model::requirement::{Conditional, not_taken};

/// More files than any project's list is made of.
const MOST_FILES: usize = 100;

/// The requirements in a file as pip reads it, relative to the root; none when it is missing.
pub(super) fn file(tree: &Tree, path: &Path) -> Result<Option<Vec<Conditional>>> {
    let mut list = List { tree, seen: HashSet::new(), found: Vec::new() };
    Ok(list.collect(path)?.then_some(list.found))
}

/// The same for a file that `by` names.
pub(super) fn included(tree: &Tree, path: &Path, by: &str) -> Result<Option<Vec<Conditional>>> {
    refuse_outside(path).map_err(|reason| malformed(tree, by, reason))?;
    file(tree, path)
}

struct List<'a> {
    tree: &'a Tree,
    seen: HashSet<PathBuf>,
    found: Vec<Conditional>,
}

impl List<'_> {
    /// Whether there is such a file.
    fn collect(&mut self, path: &Path) -> Result<bool> {
        if self.seen.len() > MOST_FILES || !self.seen.insert(path.to_owned()) {
            return Ok(true);
        }
        let Some(text) = self.tree.read(path)? else { return Ok(false) };
        // A backslash at a line's end joins it with the next.
        let mut joined = String::new();
        for (index, line) in text.lines().enumerate() {
            if let Some(begun) = line.strip_suffix('\\') {
                joined += begun;
                continue;
            }
            joined += line;
            self.line(path, &joined).map_err(|reason| {
                let file = path.display().to_string();
                malformed(self.tree, &file, format!("line {}: {reason}", index + 1))
            })??;
            joined.clear();
        }
        Ok(true)
    }

    /// What is wrong with the line, or with a file that it includes.
    fn line(&mut self, path: &Path, line: &str) -> Result<Result<()>, String> {
        let Some(file) = inclusion(without_comment(line)) else {
            self.found.extend(requirement(line)?);
            return Ok(Ok(()));
        };
        let beside = path.parent().unwrap_or(Path::new("")).join(file.path);
        refuse_outside(&beside)?;
        if file.constrains {
            // It requires nothing. What versions there are is the container's packages' to say.
            return Ok(Ok(()));
        }
        Ok(self.collect(&plain(&beside)).map(drop))
    }
}

struct Inclusion<'a> {
    path: &'a str,
    constrains: bool,
}

/// `-r FILE`, `-c FILE`.
fn inclusion(line: &str) -> Option<Inclusion<'_>> {
    let options = [("--requirement", false), ("-r", false), ("--constraint", true), ("-c", true)];
    let (rest, constrains) = options
        .into_iter()
        .find_map(|(option, constrains)| Some((line.strip_prefix(option)?, constrains)))?;
    Some(Inclusion { path: rest.trim_start_matches(['=', ' ', '\t']).trim(), constrains })
}

/// Names an inclusion that leads out of the tree by what it says; links are met when it is opened.
fn refuse_outside(path: &Path) -> Result<(), String> {
    let mut depth: usize = 0;
    for part in path.components() {
        let inside = match part {
            Component::Normal(_) => depth.checked_add(1),
            Component::CurDir => Some(depth),
            Component::ParentDir => depth.checked_sub(1),
            Component::RootDir | Component::Prefix(_) => None,
        };
        let outside = || {
            let reason = "it leads out of the checkout, which is read within itself";
            not_taken(&path.display().to_string(), reason)
        };
        depth = inside.ok_or_else(outside)?;
    }
    Ok(())
}

/// A path without `.` and `..`, so that a file is known again.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
    }
    plain
}

/// What a line requires; an empty one and a comment require nothing. The error says what else it is.
pub(super) fn requirement(line: &str) -> Result<Option<Conditional>, String> {
    let line = without_comment(line);
    if line.is_empty() {
        return Ok(None);
    }
    Conditional::parse(line).map(Some).map_err(|reason| not_taken(line, &reason))
}

/// A comment begins a line or follows white space: `#egg=` in an address does neither.
pub(super) fn without_comment(line: &str) -> &str {
    let mut before = None;
    for (index, letter) in line.char_indices() {
        if letter == '#' && before.is_none_or(char::is_whitespace) {
            return line[..index].trim();
        }
        before = Some(letter);
    }
    line.trim()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::commands::dev::source::testing::write;

    /// The requirements of a project's list, or what is wrong with it.
    fn read(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), files);
        let tree = Tree::open(directory.path()).unwrap();
        match file(&tree, Path::new("requirements.txt")) {
            Ok(found) => Ok(found.unwrap().iter().map(ToString::to_string).collect()),
            Err(error) => Err(format!("{}: {}", error.message, error.causes.join("; "))),
        }
    }

    #[test]
    fn a_file_is_read_as_pip_reads_it() {
        let text = "# a comment\npbr>=3.1.1 # Apache-2.0\n\n-c constraints.txt\n-r more/one.txt\n\
                    foo[bar]>=1,<2;python_version<'3.13' # BSD\njoined==1, \\\n  !=1.1\n\
                    -r requirements.txt\n";
        let files = [
            ("requirements.txt", text),
            ("more/one.txt", "one\n-r ./two.txt\n-r ../more/one.txt\n"),
            ("more/two.txt", "two\n"),
        ];
        let expected = [
            "pbr>=3.1.1",
            "one",
            "two",
            "foo[bar]>=1,<2; python_version<'3.13'",
            "joined==1,!=1.1",
        ];
        assert_eq!(read(&files).unwrap(), expected);
        let tree = Tree::open(Path::new("/")).unwrap();
        assert_eq!(file(&tree, Path::new("nonexistent.txt")).unwrap(), None);
    }

    #[test]
    fn what_is_no_requirement_is_refused_by_file_and_line() {
        for line in [
            "evil @ file:///tmp/evil",
            "evil@git+https://x.example/y",
            "https://x.example/y.tar.gz",
            "-e git+https://x.example/y#egg=why",
            "--index-url https://x.example",
            "--find-links=/srv",
            "-f /srv",
            "./evil",
            "/tmp/evil",
            "evil.whl",
            "evil==${VERSION}",
            "keystone_auth_admin_password: 0f3a",
        ] {
            let wrong =
                read(&[("requirements.txt", &format!("pbr\n\n{line} # why\n"))]).unwrap_err();
            assert!(
                wrong.contains("requirements.txt: line 3: `") && wrong.contains(line),
                "{wrong}"
            );
        }
        let below = [("requirements.txt", "-r a/b.txt\n"), ("a/b.txt", "fine\nnot fine\n")];
        assert!(read(&below).unwrap_err().contains("a/b.txt: line 2: `not fine`"));
    }

    #[test]
    fn an_inclusion_that_leads_out_is_refused_by_name() {
        for outside in [
            "-r /etc/aio/user_secrets.yml",
            "-r../x",
            "--requirement=a/../../x",
            "-c /etc/shadow",
            "--constraint ../x",
        ] {
            let wrong = read(&[("requirements.txt", &format!("pbr\n{outside}\n"))]).unwrap_err();
            assert!(wrong.contains("line 2: `") && wrong.contains("leads out"), "{wrong}");
        }
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &[("requirements.txt", "-r link.txt\n")]);
        symlink("/etc/passwd", directory.path().join("link.txt")).unwrap();
        let tree = Tree::open(directory.path()).unwrap();
        let error = file(&tree, Path::new("requirements.txt")).unwrap_err();
        assert!(error.message.ends_with("link.txt"), "{error}");
        assert!(error.causes[0].contains("leads out"), "{error}");
    }
}
