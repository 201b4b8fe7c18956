//! Lists of requirements, in files and in lines.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::text_of;
use crate::error::Result;

/// The requirements in a file as pip reads it, relative to the root; none when it is missing.
pub(super) fn file(root: &Path, path: &Path) -> Result<Option<Vec<String>>> {
    let mut found = Vec::new();
    let is_there = collect(root, path, &mut HashSet::new(), &mut found)?;
    Ok(is_there.then_some(found))
}

fn collect(
    root: &Path,
    path: &Path,
    seen: &mut HashSet<PathBuf>,
    found: &mut Vec<String>,
) -> Result<bool> {
    if !seen.insert(path.to_owned()) {
        return Ok(true);
    }
    let Some(text) = text_of(root, path)? else { return Ok(false) };
    // A backslash at a line's end joins it with the next.
    for line in text.replace("\\\r\n", "").replace("\\\n", "").lines() {
        if let Some(included) = included(without_comment(line)) {
            let beside = path.parent().unwrap_or(Path::new("")).join(included);
            collect(root, &beside, seen, found)?;
        } else {
            found.extend(requirement(line));
        }
    }
    Ok(true)
}

/// The file of `-r FILE`.
fn included(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("--requirement").or_else(|| line.strip_prefix("-r"))?;
    Some(rest.trim_start_matches(['=', ' ', '\t']))
}

/// What a line requires. Constraints (`-c`), options and addresses without a name require nothing.
pub(super) fn requirement(line: &str) -> Option<String> {
    let line = without_comment(line);
    // Options of a single requirement, such as its hashes.
    let line = line.split(" --").next().unwrap_or(line).trim();
    if line.is_empty() {
        return None;
    }
    let editable = line.strip_prefix("-e ").or_else(|| line.strip_prefix("--editable "));
    let address = editable.or_else(|| is_address(line).then_some(line));
    match address {
        Some(address) => {
            let name = address.split_once("#egg=")?.1;
            Some(name.split('&').next().unwrap_or(name).to_owned())
        }
        None if line.starts_with('-') => None,
        None => Some(line.to_owned()),
    }
}

/// An address alone, not `NAME @ ADDRESS`.
fn is_address(line: &str) -> bool {
    line.split_once("://").is_some_and(|(scheme, _)| {
        scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    })
}

/// A comment begins a line or follows white space: `#egg=` in an address does neither.
fn without_comment(line: &str) -> &str {
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
    use super::*;

    #[test]
    fn a_file_is_read_as_pip_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("more")).unwrap();
        let text = "# a comment\npbr>=3.1.1 # Apache-2.0\n\n-c constraints.txt\n-r more/one.txt\n\
                    foo[bar]>=1,<2;python_version<'3.13' # BSD\n--index-url https://x.example\n\
                    hashed==1 \\\n  --hash=sha256:00\n-e git+https://x.example/y#egg=why\n\
                    named @ https://x.example/z.tar.gz\n-r requirements.txt\n";
        std::fs::write(directory.path().join("requirements.txt"), text).unwrap();
        std::fs::write(directory.path().join("more/one.txt"), "one\n-r two.txt\n").unwrap();
        std::fs::write(directory.path().join("more/two.txt"), "two\n").unwrap();
        let found = file(directory.path(), Path::new("requirements.txt")).unwrap().unwrap();
        let expected = [
            "pbr>=3.1.1",
            "one",
            "two",
            "foo[bar]>=1,<2;python_version<'3.13'",
            "hashed==1",
            "why",
            "named @ https://x.example/z.tar.gz",
        ];
        assert_eq!(found, expected);
        assert_eq!(file(directory.path(), Path::new("none.txt")).unwrap(), None);
    }

    #[test]
    fn an_address_alone_requires_what_it_names() {
        assert_eq!(requirement("git+https://x.example/y@main#egg=why").as_deref(), Some("why"));
        assert_eq!(requirement("https://x.example/y.tar.gz"), None);
        assert_eq!(requirement("git+ssh://git@x.example/y"), None);
        let named = "y@https://x.example/y.tar.gz";
        assert_eq!(requirement(named).as_deref(), Some(named));
    }
}
