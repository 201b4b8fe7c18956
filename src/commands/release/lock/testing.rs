//! Releases for the tests of this module.

use super::wanted::Wanted;
use crate::commands::release::day;

/// The day on which tests ask.
pub const TODAY_IS: &str = "2026-11-30";

/// One of packages, one of wheels, and one that follows development.
pub const RELEASES: [(&str, &str); 3] = [
    ("releases/1.0.yml", "release: \"1.0\"\nsummary: x\nsuite: trixie\n"),
    (
        "releases/2.0.yml",
        "release: \"2.0\"\nsummary: x\npython:\n  version: \"3.13\"\n  home: /opt/x\n  as_of: \
         \"2026-10-20\"\n  requirements: [uv]\n",
    ),
    (
        "releases/next.yml",
        "release: next\nsummary: x\nextends: \"2.0\"\nby_name: true\npython: {as_of: today}\n",
    ),
];

/// What is asked for, of an index alone.
pub fn wanted(release: &str, as_of: Option<&str>) -> Wanted {
    let as_of = as_of.map(|text| day::parse(text).unwrap());
    Wanted { release: release.to_owned(), from: Vec::new(), as_of, file: None }
}
