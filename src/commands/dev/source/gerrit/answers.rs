//! What Gerrit answers
//! (<https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html>), as far as it
//! counts here.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;

/// How much of a stranger's line is shown.
const LONGEST_SHOWN: usize = 120;
/// The longest name of a project or of a branch.
const LONGEST_NAME: usize = 250;

/// A change.
#[derive(Clone, Debug, Deserialize)]
pub struct ChangeInfo {
    pub project: String,
    pub branch: String,
    pub status: Status,
    #[serde(rename = "_number")]
    pub number: NonZeroU32,
    /// The newest patch set alone, by its commit, where that is asked for.
    #[serde(default)]
    revisions: BTreeMap<String, RevisionInfo>,
}

#[derive(Clone, Debug, Deserialize)]
struct RevisionInfo {
    #[serde(rename = "_number")]
    number: NonZeroU32,
}

impl ChangeInfo {
    /// Says what is wrong with it.
    pub fn problem(&self) -> Option<String> {
        if !is_project_name(&self.project) {
            return Some(format!("`{}` is no name of a project", shown(&self.project)));
        }
        if !is_branch_name(&self.branch) {
            return Some(format!("`{}` is no name of a branch", shown(&self.branch)));
        }
        self.newest().is_none().then(|| "it has no patch set".to_owned())
    }

    /// Its newest patch set.
    pub fn newest(&self) -> Option<u32> {
        self.revisions.values().map(|revision| revision.number.get()).max()
    }
}

/// How far a change is. A draft of old is open.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Merged,
    Abandoned,
    #[default]
    #[serde(other)]
    New,
}

/// The commit of a patch set.
#[derive(Clone, Debug, Deserialize)]
pub struct CommitInfo {
    pub commit: String,
    #[serde(default)]
    pub parents: Vec<Parent>,
    #[serde(default)]
    pub subject: String,
    /// Not in a list of changes.
    #[serde(default)]
    pub message: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Parent {
    pub commit: String,
}

/// The changes above and below one.
#[derive(Clone, Debug, Deserialize)]
pub struct RelatedChanges {
    pub changes: Vec<RelatedChange>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RelatedChange {
    pub commit: CommitInfo,
    /// None of these where the commit is no change's.
    #[serde(rename = "_change_number")]
    pub number: Option<NonZeroU32>,
    #[serde(rename = "_revision_number")]
    pub patch_set: Option<NonZeroU32>,
    #[serde(rename = "_current_revision_number")]
    pub newest: Option<NonZeroU32>,
    /// Servers of old do not say.
    #[serde(default)]
    pub status: Status,
}

/// Whether it can be the name of a project: it becomes a part of addresses.
pub fn is_project_name(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    name.len() <= LONGEST_NAME
        && !name.starts_with('-')
        && !name.contains("..")
        && name.split('/').all(is_part)
        && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"._/-".contains(&letter))
}

fn is_branch_name(name: &str) -> bool {
    let is_odd = |letter: char| letter.is_control() || letter.is_whitespace();
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('-')
        && !name.contains(is_odd)
}

/// Whether it is a Change-Id.
pub fn is_change_id(text: &str) -> bool {
    text.strip_prefix('I')
        .is_some_and(|rest| rest.len() == 40 && rest.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// What a stranger wrote, as a part of a line.
pub fn shown(text: &str) -> String {
    let harmless = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    let mut shown: String = text.chars().take(LONGEST_SHOWN).map(harmless).collect();
    if text.chars().nth(LONGEST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_projects_lead_nowhere_else() {
        for name in ["openstack/nova", "All-Projects", "a/b/c.d_e", "nova"] {
            assert!(is_project_name(name), "{name}");
        }
        for name in [
            "", "/nova", "nova/", "-nova", "a//b", "a/../b", "a/./b", "..", "a b", "ä", "a?b",
            "a..b",
        ] {
            assert!(!is_project_name(name), "{name}");
        }
        assert!(!is_project_name(&"x".repeat(251)));
    }

    #[test]
    fn what_is_shown_is_short_and_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
        let long = shown(&"ä".repeat(500));
        assert!(long.chars().count() == LONGEST_SHOWN + 1 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_change_says_what_is_wrong_with_it() {
        let text = r#"{"project":"a/../b","branch":"master","status":"DRAFT","_number":7}"#;
        let change: ChangeInfo = serde_json::from_str(text).unwrap();
        assert_eq!(change.status, Status::New);
        assert_eq!(change.problem().unwrap(), "`a/../b` is no name of a project");
        for wrong in [r#"{"_number":0}"#, r#"{"_number":"7"}"#, "[]", "7", ""] {
            assert!(serde_json::from_str::<ChangeInfo>(wrong).is_err(), "{wrong}");
        }
    }
}
