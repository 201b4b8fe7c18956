//! `Depends-On:` in commit messages.
//!
//! A line of its own anywhere in the message, in whatever case, as Zuul reads it: of an address, its
//! number alone counts, and the newest patch set is meant.

use super::address::Base;
use super::answers::{is_change_id, shown};

const FOOTER: &str = "depends-on:";

/// What a footer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Footer {
    /// A change by its number.
    Number(u32),
    /// All changes with an id, as it was written in former times.
    Id(String),
    /// An address of another server, or one that is no change's.
    Elsewhere(String),
    /// No address at all.
    Unclear(String),
}

/// How many of a message's footers are read.
const MOST: usize = 200;

/// The footers of a message, each once.
pub fn read(message: &str, base: &Base) -> Vec<Footer> {
    let mut found = Vec::new();
    for value in message.lines().filter_map(value).take(MOST) {
        let footer = meaning(value, base);
        if !found.contains(&footer) {
            found.push(footer);
        }
    }
    found
}

fn value(line: &str) -> Option<&str> {
    let (name, value) = line.split_at_checked(FOOTER.len())?;
    let value = value.trim();
    (name.eq_ignore_ascii_case(FOOTER) && !value.is_empty()).then_some(value)
}

fn meaning(value: &str, base: &Base) -> Footer {
    let word = value.split_whitespace().next().unwrap_or_default();
    let word = word.trim_start_matches('<').trim_end_matches('>');
    if is_change_id(word) {
        return Footer::Id(word.to_owned());
    }
    if let Some(number) = base.below(word).and_then(number) {
        return Footer::Number(number);
    }
    if word.contains("://") {
        Footer::Elsewhere(shown(word))
    } else {
        Footer::Unclear(shown(value))
    }
}

/// The number of a change in what follows the server in its address: `/N`, `/#/c/N`, `/c/N` or
/// `/c/PROJECT/+/N`, and then maybe a patch set and more.
fn number(path: &str) -> Option<u32> {
    let path = path.strip_prefix("/#").unwrap_or(path);
    let path = path.split(['?', '#']).next()?;
    let mut segments = path.split('/').skip(1);
    let mut segment = segments.next()?;
    if segment == "c" {
        segment = segments.next()?;
        if !is_number(segment) {
            segments.find(|it| *it == "+")?;
            segment = segments.next()?;
        }
    }
    // Not by itself: `+7` is a number there, too.
    is_number(segment).then(|| segment.parse().ok())?.filter(|number| *number > 0)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::commands::dev::source::gerrit::address;

    fn base(url: &str) -> Base {
        address::places(url).remove(0).0
    }

    fn one(value: &str) -> Footer {
        let message = format!("Subject\n\nBody.\n\nDepends-On: {value}\nChange-Id: I1\n");
        read(&message, &base("https://review.example/nova")).remove(0)
    }

    #[test]
    fn all_forms_of_an_address_are_understood() {
        for url in [
            "https://review.example/7",
            "https://review.example/7/",
            "https://review.example/7/2",
            "http://review.example/7",
            "https://REVIEW.example:443/7",
            "https://review.example/#/c/7",
            "https://review.example/#/c/7/",
            "https://review.example/#/c/7/2/",
            "https://review.example/#/c/openstack/nova/+/7/",
            "https://review.example/c/7",
            "https://review.example/c/openstack/nova/+/7",
            "https://review.example/c/openstack/nova/+/7/2/nova/test.py",
            "https://review.example/c/c/+/7?tab=comments",
            "https://review.example/7#message-1",
            "<https://review.example/7>",
        ] {
            assert_eq!(one(url), Footer::Number(7), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_told_from_what_is_no_address() {
        for url in [
            "https://github.example/a/b/pull/7",
            "https://review.example:8443/7",
            "https://review.example.evil/7",
            "https://review.example@evil.example/7",
            "https://review.example/q/topic:7",
            "https://review.example/+7",
            "https://review.example/0",
            "https://review.example/99999999999",
            "https://review.example",
            "ssh://review.example/7",
        ] {
            assert_eq!(one(url), Footer::Elsewhere(url.to_owned()));
        }
        for text in ["7", "the other change", "#7", "I12", "review.example/7"] {
            assert_eq!(one(text), Footer::Unclear(text.to_owned()));
        }
        let id = format!("I{:040x}", 7);
        assert_eq!(one(&id), Footer::Id(id));
    }

    #[test]
    fn a_server_in_a_directory_has_its_changes_there() {
        let base = base("https://host.example/gerrit/a/nova");
        let message = "Depends-On: https://host.example/gerrit/7\n\
                       depends-on:https://host.example/gerrit/#/c/8/\n\
                       Depends-On: https://host.example/gerritx/9\n";
        let elsewhere = Footer::Elsewhere("https://host.example/gerritx/9".to_owned());
        assert_eq!(read(message, &base), [Footer::Number(7), Footer::Number(8), elsewhere]);
    }

    #[test]
    fn several_are_read_and_each_counts_once() {
        let base = base("https://review.example/nova");
        let message = "It Depends-On: https://review.example/1\n\n\
                       DEPENDS-ON: https://review.example/2\n Depends-On: https://review.example/3\n\
                       Depends-On:\nDepends-On: https://review.example/4/1\r\n\
                       Depends-On: https://review.example/4/2";
        assert_eq!(read(message, &base), [Footer::Number(2), Footer::Number(4)]);
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(message in "(Depends-On: ?)?(https?://review.example[/#c+0-9]*)?\\PC*") {
            for footer in read(&message, &base("https://review.example/nova")) {
                if let Footer::Elsewhere(text) | Footer::Unclear(text) = footer {
                    prop_assert!(!text.contains(char::is_control));
                }
            }
        }

        #[test]
        fn the_number_is_the_changes(number in 1..u32::MAX, patch_set in 1..1000_u32) {
            for path in ["", "#/c/", "c/", "c/openstack/nova/+/", "c/a/b/c/+/"] {
                let url = format!("https://review.example/{path}{number}/{patch_set}");
                prop_assert_eq!(one(&url), Footer::Number(number));
            }
        }
    }
}
