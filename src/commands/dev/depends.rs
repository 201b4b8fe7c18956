//! A change with what it depends on: shown, then fetched like any other.

use super::source::change::Change;
use super::source::clone::Wanted;
use super::source::gerrit;
use super::source::gerrit::needed::{Below, Needed};
use super::source::git::Watch;
use crate::error::Result;
use crate::ui;

/// Says what a change needs, itself first, and returns what is to be fetched for it. Nothing is yet.
///
/// # Errors
/// As [`gerrit::dependencies`], and when nobody agrees that other people's changes come along.
pub fn wanted(from: &str, change: Change, yes: bool, watch: &mut Watch) -> Result<Vec<Wanted>> {
    let found = gerrit::dependencies(from, change, watch)?;
    found.changes.iter().flat_map(described).for_each(|line| ui::out::note(&line));
    found.notes.iter().for_each(|note| ui::out::note(note));
    if let [_, others @ ..] = &found.changes[..]
        && !others.is_empty()
    {
        let addresses: Vec<&str> = others.iter().map(|it| it.from.as_str()).collect();
        let question = format!("The cloud runs code of {} too. Go on?", addresses.join(", "));
        ui::prompt::confirm(&question, yes)?;
    }
    let wanted = found.changes.into_iter().map(|needed| Wanted {
        from: needed.from,
        reference: None,
        change: Some(needed.change),
        naming: "--ref REF",
    });
    Ok(wanted.collect())
}

/// A change, and in lines of their own those that it contains.
fn described(needed: &Needed) -> Vec<String> {
    let Needed { project, change, branch, subject, .. } = needed;
    let why: Vec<String> = needed.why.iter().map(ToString::to_string).collect();
    let mut lines = vec![format!("{project} {change} on {branch}: {subject} ({})", why.join(", "))];
    for Below { change, newest, subject, is_abandoned, .. } in &needed.below {
        let older = change.patch_set.is_some_and(|patch_set| patch_set < *newest);
        let newer = if older { format!(", of which there is {newest}") } else { String::new() };
        let abandoned = if *is_abandoned { ", which was abandoned" } else { "" };
        lines.push(format!("  on top of {change}{newer}{abandoned}: {subject}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::source::gerrit::needed::Why;

    #[test]
    fn a_change_is_shown_with_its_reasons_and_what_it_contains() {
        let change = |text: &str| text.parse().unwrap();
        let needed = Needed {
            project: "openstack/nova".to_owned(),
            change: change("912345/2"),
            branch: "master".to_owned(),
            subject: "Use it".to_owned(),
            from: "https://review.opendev.org/openstack/nova".to_owned(),
            why: vec![
                Why::Asked,
                Why::DependsOn { number: 7, project: "openstack/heat".to_owned() },
            ],
            below: vec![Below {
                change: change("912344/1"),
                newest: 3,
                subject: "Add it".to_owned(),
                is_abandoned: true,
                why: Vec::new(),
            }],
        };
        assert_eq!(
            described(&needed),
            [
                "openstack/nova 912345/2 on master: Use it (asked for, Depends-On of 7 (openstack/heat))",
                "  on top of 912344/1, of which there is 3, which was abandoned: Add it",
            ]
        );
    }
}
