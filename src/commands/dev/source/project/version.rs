//! The version that a work tree's tags give it.

use std::path::Path;

use git2::DescribeOptions;

use crate::commands::dev::source::open;

/// Tags that may be versions: with a dot, from a digit to a digit. Names such as `queens-eol` do
/// not hide the version before them.
const VERSIONS: [&str; 2] = ["[0-9]*.*[0-9]", "v[0-9]*.*[0-9]"];

/// The nearest tag's version; after `N` more commits the development version `.devN` of the next
/// one, as pbr counts. None when no tag is a version.
pub(super) fn from_tags(root: &Path) -> Option<String> {
    let (repository, found) = open::open(root).ok()?;
    if found != root.canonicalize().ok()? {
        return None;
    }
    let described = VERSIONS.iter().filter_map(|pattern| {
        let mut options = DescribeOptions::new();
        options.describe_tags().pattern(pattern);
        repository.describe(&options).ok()?.format(None).ok()
    });
    described.filter_map(|described| version_of(&described)).next()
}

/// `24.0.0` or `24.0.0-15-gdeadbee`, as a version.
fn version_of(described: &str) -> Option<String> {
    let described = described.strip_prefix('v').unwrap_or(described);
    let after = described.rsplit_once("-g").and_then(|(rest, _)| {
        let (tag, count) = rest.rsplit_once('-')?;
        Some((tag, count.parse::<u32>().ok()?))
    });
    match after {
        None => parse(described).map(|_| described.to_owned()),
        Some((tag, 0)) => parse(tag).map(|_| tag.to_owned()),
        Some((tag, count)) => {
            let (before, last) = parse(tag)?;
            Some(format!("{before}{}.dev{count}", last.checked_add(1)?))
        }
    }
}

/// The first development version after a version, which a development version is itself; none when that
/// has no number to count on.
pub fn next_development(version: &str) -> Option<String> {
    if version.contains(".dev") {
        return Some(version.to_owned());
    }
    let (before, last) = parse(version)?;
    Some(format!("{before}{}.dev0", last.checked_add(1)?))
}

/// A version that ends with a number that can be counted on: what is before it, and the number.
/// `24.0.0`, `24.0.0rc1`, `24.0.0.0b2`.
fn parse(version: &str) -> Option<(&str, u32)> {
    let is_version = version.starts_with(|letter: char| letter.is_ascii_digit())
        && version.chars().all(|letter| letter.is_ascii_digit() || ".abrc".contains(letter));
    let before = version.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let last = version.get(before.len()..)?.parse().ok()?;
    is_version.then_some((before, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_version_and_counts_on() {
        let version = |described| version_of(described).unwrap();
        assert_eq!(version("24.0.0"), "24.0.0");
        assert_eq!(version("v1.2"), "1.2");
        assert_eq!(version("24.0.0-15-gdeadbee"), "24.0.1.dev15");
        assert_eq!(version("24.0.0.0rc1-3-gdeadbee"), "24.0.0.0rc2.dev3");
        assert_eq!(version("24.0.9-1-gdeadbee"), "24.0.10.dev1");
        assert_eq!(next_development("24.0.9").unwrap(), "24.0.10.dev0");
        assert_eq!(next_development("24.0.10.dev0").unwrap(), "24.0.10.dev0");
        for none in ["queens-eol", "release-1.0", "1.0-final", "1.0-final-3-gdeadbee"] {
            assert_eq!(version_of(none), None, "{none}");
        }
    }
}
