//! What a wrong name could have meant.

use crate::error::{Error, ErrorKind};

/// The candidate that is most like `wrong`, if any is like enough to be worth a suggestion.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = roughly(wrong);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&folded, &roughly(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= 0.75)
        // The first of equals, so that the same mistake always gets the same answer.
        .fold(None, |best: Option<(f64, &str)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        })
        .map(|(_, candidate)| candidate)
}

/// A sentence that helps after an unknown name: the nearest candidate or, when none is near and
/// they are few, all of them.
pub fn suggestion<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let mut candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(name) = nearest(wrong, candidates.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    candidates.sort_unstable();
    candidates.dedup();
    match candidates.len() {
        0 => None,
        1..=16 => Some(format!("there are: {}", candidates.join(", "))),
        many => Some(format!("none of the {many} known names is like it")),
    }
}

/// People write `-` and `_` as it comes.
pub fn fold(name: &str) -> String {
    name.replace('-', "_")
}

/// An error about a name that stands in a file of the user's and that nothing has.
pub fn unknown<'a>(
    place: &str,
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    Error::new(ErrorKind::Config, format!("{place}: there is no {what} `{name}`"))
        .hints(suggestion(name, known))
}

/// Case and the choice between `-` and `_` are how people mistype names most.
fn roughly(name: &str) -> String {
    fold(&name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_likely_name_and_nothing_far_fetched() {
        let names = ["heat_engine", "heat_apis", "galera", "keystone"];
        assert_eq!(nearest("heat-engin", names), Some("heat_engine"));
        assert_eq!(nearest("Galera", names), Some("galera"));
        assert_eq!(nearest("keystnoe", names), Some("keystone"));
        assert_eq!(nearest("zzz", names), None);
    }

    #[test]
    fn lists_all_when_nothing_is_near() {
        assert_eq!(suggestion("zzz", ["b", "a"]).as_deref(), Some("there are: a, b"));
        assert_eq!(suggestion("zzz", []), None);
    }
}
