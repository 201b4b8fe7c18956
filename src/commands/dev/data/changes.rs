//! What became of databases since their picture was taken.

use std::collections::BTreeSet;

use super::picture::Picture;

/// The most that is named of a kind.
const MOST_NAMED: usize = 6;

/// The longest name that is told whole, in characters.
const LONGEST_NAME: usize = 100;

/// What is other than it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Why the release's own code may not run on them, by what is most telling; empty where it may.
    pub reasons: Vec<String>,
    /// Whether it is certain that it cannot: what it knows is gone or another, or other code has written
    /// down its version.
    pub unfit: bool,
    /// What was written, by table.
    pub written: Vec<String>,
}

impl Changes {
    pub fn between(before: &Picture, after: &Picture) -> Self {
        let mut reasons = Vec::new();
        let databases: BTreeSet<&String> =
            before.revisions.keys().chain(after.revisions.keys()).collect();
        for database in databases {
            let at = |picture: &Picture| {
                picture.revisions.get(database).map_or_else(String::new, |all| all.join(" and "))
            };
            let (was, is) = (at(before), at(after));
            if was != is {
                reasons.push(format!("{database} is at revision {}, not {was}", brief(&is)));
            }
        }
        let records = before
            .records
            .iter()
            .any(|(query, was)| after.records.get(query).is_none_or(|is| others_than(was, is)));
        if records {
            reasons.push("other code has written down its version".to_owned());
        }
        let mut altered = false;
        for (name, shape) in &before.shapes {
            match after.shapes.get(name) {
                None => reasons.push(format!("the {} is gone", brief(name))),
                Some(is) if is != shape => reasons.push(format!("the {} is another", brief(name))),
                Some(_) => continue,
            }
            altered = true;
        }
        let new = after.shapes.keys().filter(|name| !before.shapes.contains_key(*name));
        reasons.extend(new.map(|name| format!("the {} is new", brief(name))));
        Self { reasons, unfit: records || altered, written: written(before, after) }
    }

    /// Of databases that answer, and cannot be looked at, for this reason.
    pub fn unreadable(reason: &str) -> Self {
        Self { reasons: vec![brief(reason)], unfit: true, written: Vec::new() }
    }

    /// Whether the release's own code may run on them.
    pub fn are_harmless(&self) -> bool {
        self.reasons.is_empty()
    }

    /// What a user hears before they go back.
    pub fn going_back(&self, service: &str) -> String {
        format!(
            "The databases of {service} go back to what they were before it ran from a checkout: {}.",
            self.describe()
        )
    }

    /// Why the release's own code may not run on them.
    pub fn why(&self) -> String {
        some(&self.reasons)
    }

    /// Why they go back, and what is lost with it.
    pub fn describe(&self) -> String {
        let mut text = self.why();
        if !self.written.is_empty() {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&format!("lost is what was written since: {}", some(&self.written)));
        }
        text
    }
}

/// Whether one that was recorded (by the first column) is recorded otherwise. Who came or went meanwhile
/// is nobody's version.
fn others_than(was: &[Vec<Option<String>>], is: &[Vec<Option<String>>]) -> bool {
    was.iter().any(|old| is.iter().any(|new| new.first() == old.first() && new != old))
}

/// A stranger's name in a sentence.
fn brief(name: &str) -> String {
    let line: String = name.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    match line.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn written(before: &Picture, after: &Picture) -> Vec<String> {
    let mut written = Vec::new();
    for (table, rows) in &after.rows {
        let was = before.rows.get(table).cloned().unwrap_or_default();
        let shape = |picture: &Picture| picture.shapes.get(&format!("table {table}")).cloned();
        let same_shape = shape(before) == shape(after);
        let name = brief(table);
        let (more, fewer) =
            (rows.count.saturating_sub(was.count), was.count.saturating_sub(rows.count));
        match (more, fewer) {
            (0, 0) if same_shape && rows.checksum != was.checksum => {
                written.push(format!("{name} (other rows)"));
            }
            (0, 0) => {}
            (more, 0) => written.push(format!("{name} ({} more)", counted(more))),
            (_, fewer) => written.push(format!("{name} ({} fewer)", counted(fewer))),
        }
    }
    written
}

fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// The first few.
fn some(all: &[String]) -> String {
    let named = all.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::data::picture::Rows;

    fn picture(tables: &[(&str, &str)], rows: &[(&str, u64, &str)], revision: &str) -> Picture {
        let owned = |text: &&str| (*text).to_owned();
        Picture {
            shapes: tables
                .iter()
                .map(|(name, shape)| (format!("table {name}"), owned(shape)))
                .collect(),
            revisions: [("heat".to_owned(), vec![revision.to_owned()])].into(),
            records: [(
                "q".to_owned(),
                vec![vec![Some("engine".to_owned()), Some("66".to_owned())]],
            )]
            .into(),
            rows: rows
                .iter()
                .map(|(name, count, sum)| {
                    (owned(name), Rows { count: *count, checksum: owned(sum) })
                })
                .collect(),
        }
    }

    #[test]
    fn rows_alone_are_harmless_and_are_named() {
        let before = picture(
            &[("heat.a", "x"), ("heat.b", "x")],
            &[("heat.a", 1, "1"), ("heat.b", 9, "1")],
            "r",
        );
        let after = picture(
            &[("heat.a", "x"), ("heat.b", "x")],
            &[("heat.a", 3, "2"), ("heat.b", 9, "2")],
            "r",
        );
        let changes = Changes::between(&before, &after);
        assert!(changes.are_harmless());
        assert_eq!(changes.written, ["heat.a (2 rows more)", "heat.b (other rows)"]);
        assert_eq!(Changes::between(&before, &before), Changes::default());
        assert_eq!(Changes::between(&after, &before).written[0], "heat.a (2 rows fewer)");
    }

    #[test]
    fn a_table_that_came_went_or_changed_is_a_reason_and_its_rewritten_rows_are_not_lost() {
        let before = picture(
            &[("heat.a", "x"), ("heat.b", "x")],
            &[("heat.a", 1, "1"), ("heat.b", 2, "1")],
            "r",
        );
        let after = picture(
            &[("heat.a", "y"), ("heat.c", "x")],
            &[("heat.a", 1, "2"), ("heat.c", 1, "1")],
            "s",
        );
        let changes = Changes::between(&before, &after);
        assert_eq!(
            changes.reasons,
            [
                "heat is at revision s, not r",
                "the table heat.a is another",
                "the table heat.b is gone",
                "the table heat.c is new",
            ]
        );
        assert_eq!(changes.written, ["heat.c (1 row more)"]);
        assert!(changes.unfit);
    }

    #[test]
    fn what_code_says_of_itself_is_a_reason() {
        let before = picture(&[], &[], "r");
        let mut after = before.clone();
        let row = |who: &str, version: &str| vec![Some(who.to_owned()), Some(version.to_owned())];
        after.records.insert("q".to_owned(), vec![row("engine", "66"), row("api", "67")]);
        assert!(Changes::between(&before, &after).are_harmless(), "somebody came");
        after.records.insert("q".to_owned(), vec![row("api", "66"), row("engine", "67")]);
        let changes = Changes::between(&before, &after);
        assert!(changes.unfit && !changes.are_harmless());
        assert_eq!(changes.describe(), "other code has written down its version");
    }

    #[test]
    fn a_strangers_name_is_one_short_line() {
        let evil = format!("a\n\u{1b}[2J{}", "x".repeat(1000));
        let after = picture(&[(&evil, "x")], &[(&evil, 1, "1")], &evil);
        let said = Changes::between(&picture(&[], &[], "r"), &after).describe();
        assert!(!said.contains(char::is_control) && said.chars().count() < 500, "{said}");
    }

    #[test]
    fn a_long_list_is_cut() {
        let all: Vec<String> = (0..9).map(|number| format!("t{number}")).collect();
        assert_eq!(some(&all), "t0, t1, t2, t3, t4, t5 and 3 more");
    }
}
