//! What strangers can make happen as often as they like is said once, and then counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// For so long what was said is not said again.
const PAUSE: Duration = Duration::from_secs(60);
/// So many kinds are told apart at a time; whoever makes up more is counted as one.
const MOST_KINDS: usize = 32;
/// The kind of all others. None has this name of its own: kinds are never empty.
const OTHERS: &str = "";

/// What was said lately.
#[derive(Debug, Default)]
pub struct Repeats {
    kinds: BTreeMap<String, Said>,
}

#[derive(Debug)]
struct Said {
    text: String,
    at: Instant,
    since: u64,
}

impl Repeats {
    /// What is to be said now that `text` happened: nothing where its kind was said within a minute.
    pub fn say(&mut self, kind: &str, text: &str, now: Instant) -> Option<String> {
        self.kinds.retain(|_, said| said.since > 0 || now.duration_since(said.at) < PAUSE);
        let is_known = self.kinds.contains_key(kind);
        let has_room = self.kinds.len() < MOST_KINDS;
        let kind = if is_known || has_room { kind } else { OTHERS };
        let Some(said) = self.kinds.get_mut(kind) else {
            let said = Said { text: text.to_owned(), at: now, since: 0 };
            self.kinds.insert(kind.to_owned(), said);
            return Some(text.to_owned());
        };
        if now.duration_since(said.at) < PAUSE {
            said.since += 1;
            return None;
        }
        let now_said = counted(text, said.since);
        *said = Said { text: text.to_owned(), at: now, since: 0 };
        Some(now_said)
    }

    /// What was counted and never said.
    pub fn rest(&mut self) -> Vec<String> {
        let kinds = std::mem::take(&mut self.kinds);
        let counted_ones = kinds.into_values().filter(|said| said.since > 0);
        counted_ones.map(|said| counted(&said.text, said.since)).collect()
    }
}

fn counted(text: &str, times: u64) -> String {
    match times {
        0 => text.to_owned(),
        1 => format!("{text} (and once more)"),
        times => format!("{text} (and {times} times more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_again_is_counted() {
        let mut repeats = Repeats::default();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(repeats.say("a", "a is refused", at(0)).unwrap(), "a is refused");
        for second in 1..=59 {
            assert_eq!(repeats.say("a", "a is refused", at(second)), None);
        }
        assert_eq!(repeats.say("b", "b is refused", at(59)).unwrap(), "b is refused");
        let said = repeats.say("a", "a is refused", at(60)).unwrap();
        assert_eq!(said, "a is refused (and 59 times more)");
        assert_eq!(repeats.say("a", "a is refused", at(61)), None);
        assert_eq!(repeats.rest(), ["a is refused (and once more)"]);
        assert_eq!(repeats.rest(), [""; 0]);
    }

    #[test]
    fn who_makes_up_names_is_counted_too() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        let names = (0..10_000).map(|number| format!("user {number}"));
        let said = names.filter_map(|name| repeats.say(&name, &name, now)).count();
        assert_eq!(said, MOST_KINDS + 1);
        assert_eq!(repeats.rest().len(), 1);
        // A quiet minute later all is as at first.
        let later = now + PAUSE;
        assert_eq!(repeats.say("user 9999", "user 9999", later).unwrap(), "user 9999");
    }
}
