//! Which line of which template wrote a line of a file, and which names it used.
//!
//! Every line of a template that writes something gets an invisible mark at its end before it is
//! rendered; the marks that arrive in the output tell where its lines came from. What a line used
//! is read from the template's text: names in its own tags, in the tags that enclose it, and in
//! the `set` and `for` that gave those names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Private use characters: no configuration file has them.
const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// What one line of a template uses: `variables.debug`, `members("galera")`.
pub type Names = BTreeSet<String>;

/// A template's lines.
pub struct Traced {
    /// The text with a mark at the end of each line that writes something.
    pub text: String,
    /// What each line uses, by its number from 0.
    pub names: Vec<Names>,
}

/// A line of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Without marks.
    pub text: String,
    /// Template and line (from 1) of every mark in it.
    pub marks: Vec<(usize, usize)>,
}

/// The mark for a line (from 1) of the text that is called `number`.
pub fn mark(number: usize, line: usize) -> String {
    format!("{OPEN}{number}:{line}{CLOSE}")
}

/// Marks a template; `number` is what its marks call it.
pub fn trace(text: &str, number: usize) -> Traced {
    let tags = tags(text);
    let starts = line_starts(text);
    let line_of = |offset: usize| starts.partition_point(|start| *start <= offset) - 1;
    let mut names = vec![Names::new(); starts.len()];
    let mut scope = Scope::default();
    let mut done = 0;
    for tag in &tags {
        let first = line_of(tag.range.start);
        // The lines up to this tag stand in what is open now.
        for line in names.iter_mut().take(first).skip(done) {
            line.extend(scope.enclosing());
        }
        done = done.max(first);
        let used = scope.enter(&text[tag.range.clone()]);
        for line in names.iter_mut().take(line_of(tag.range.end - 1) + 1).skip(first) {
            line.extend(used.iter().cloned());
            line.extend(scope.enclosing());
        }
    }
    for line in names.iter_mut().skip(done) {
        line.extend(scope.enclosing());
    }
    Traced { text: marked(text, &tags, number), names }
}

/// Takes the marks out of an output and says which line had which.
pub fn read(output: &str) -> Vec<Written> {
    output.lines().map(read_line).collect()
}

fn read_line(line: &str) -> Written {
    let mut written = Written::default();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(OPEN) {
        written.text.push_str(before);
        let Some((mark, after)) = after.split_once(CLOSE) else { break };
        let mark = mark
            .split_once(':')
            .and_then(|(template, line)| Some((template.parse().ok()?, line.parse().ok()?)));
        written.marks.extend(mark);
        rest = after;
    }
    written.text.push_str(rest);
    written
}

struct Tag {
    range: Range<usize>,
}

/// `{{ … }}`, `{% … %}` and `{# … #}`, in order; text between `raw` and `endraw` has none.
fn tags(text: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut from = 0;
    while let Some(start) = next_open(text, from) {
        let end = end_of_tag(text, start);
        tags.push(Tag { range: start..end });
        from = end;
        if statement(&text[start..end]) == Some("raw") {
            from = text[end..].find("endraw").map_or(text.len(), |offset| end + offset);
            from = text[..from].rfind("{%").unwrap_or(from).max(end);
        }
    }
    tags
}

fn next_open(text: &str, from: usize) -> Option<usize> {
    let found = ["{{", "{%", "{#"].into_iter().filter_map(|open| text[from..].find(open)).min()?;
    Some(from + found)
}

/// Returns where a tag ends. Its strings may hold what looks like an end, its maps too.
fn end_of_tag(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    if bytes[start + 1] == b'#' {
        return text[start..].find("#}").map_or(text.len(), |offset| start + offset + 2);
    }
    let close = if bytes[start + 1] == b'{' { b"}}" } else { b"%}" };
    let (mut quote, mut depth, mut at) = (None, 0_u32, start + 2);
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, _) if depth == 0 && bytes[at..].starts_with(close) => return at + 2,
            (None, b'{') => depth += 1,
            (None, b'}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        at += 1;
    }
    text.len()
}

/// The first word of a `{% … %}` tag.
fn statement(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix("{%")?.trim_start_matches(['-', '+']).trim_start();
    inner.split(|c: char| !c.is_alphanumeric()).next()
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(index, _)| index + 1)).collect()
}

/// A mark at the end of each line that ends outside of a tag, unless the tag before it swallows
/// the line break: then the mark would keep it.
fn marked(text: &str, tags: &[Tag], number: usize) -> String {
    let mut marked = String::with_capacity(text.len() * 2);
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let content = line.strip_suffix('\n').unwrap_or(line);
        let end = offset + content.len();
        marked.push_str(content);
        if writes_line_break(&text[..end], tags) {
            marked.push_str(&mark(number, index + 1));
        }
        marked.push_str(&line[content.len()..]);
        offset += line.len();
    }
    marked
}

/// Whether a line break after `before` is written.
fn writes_line_break(before: &str, tags: &[Tag]) -> bool {
    let inside = tags.iter().any(|tag| tag.range.contains(&before.len()));
    let after_tag = tags.iter().any(|tag| tag.range.end == before.len());
    let swallowed = ["%}", "#}", "-}}"].iter().any(|end| before.ends_with(end));
    !(inside || after_tag && swallowed)
}

/// What is open while a template is read from top to bottom.
#[derive(Default)]
struct Scope {
    /// Names used by the tags around the present place.
    open: Vec<Names>,
    /// What a name that the template gave stands for.
    given: BTreeMap<String, Names>,
}

impl Scope {
    fn enclosing(&self) -> Names {
        self.open.iter().flatten().cloned().collect()
    }

    /// Reads a tag and returns what it uses.
    fn enter(&mut self, tag: &str) -> Names {
        if tag.starts_with("{#") {
            return Names::new();
        }
        let inner = tag.get(2..tag.len().saturating_sub(2)).unwrap_or_default();
        let inner = inner.trim_matches(['-', '+']).trim();
        let Some(word) = statement(tag) else { return self.resolve(inner) };
        let rest = inner.strip_prefix(word).unwrap_or_default();
        match word {
            "if" => {
                let used = self.resolve(rest);
                self.open.push(used.clone());
                used
            }
            "elif" => {
                let used = self.resolve(rest);
                if let Some(open) = self.open.last_mut() {
                    open.extend(used.iter().cloned());
                }
                used
            }
            "for" => {
                let (targets, expression) = rest.split_once(" in ").unwrap_or(("", rest));
                let used = self.resolve(expression);
                self.give(targets, &used);
                self.open.push(used.clone());
                used
            }
            "set" => {
                let (targets, expression) = rest.split_once('=').unwrap_or((rest, ""));
                let used = self.resolve(expression);
                self.give(targets, &used);
                used
            }
            "endif" | "endfor" => self.open.pop().unwrap_or_default(),
            _ => self.resolve(rest),
        }
    }

    fn give(&mut self, targets: &str, used: &Names) {
        for target in targets.split(',') {
            self.given.insert(target.trim().to_owned(), used.clone());
        }
    }

    /// The names in an expression, those that the template gave itself replaced by what they are.
    fn resolve(&self, expression: &str) -> Names {
        let mut resolved = Names::new();
        for name in names_in(expression) {
            let root = name.split(['.', '(']).next().unwrap_or_default();
            match self.given.get(root) {
                Some(given) => resolved.extend(given.iter().cloned()),
                None => {
                    resolved.insert(name);
                }
            }
        }
        resolved
    }
}

/// `a.b.c` and `f("x")` in an expression, outside of strings; no filters, no keywords.
fn names_in(expression: &str) -> Names {
    let mut names = Names::new();
    let of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let mut rest = expression;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            rest = after_string(rest);
            before = first;
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c| !of_name(c)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            rest = after;
            // After `|` comes a filter, after `.` or `)` an attribute of what came before.
            if before != '|' && before != '.' {
                names.insert(with_argument(name, after));
            }
            before = 'a';
        } else {
            rest = &rest[first.len_utf8()..];
            if !first.is_whitespace() {
                before = first;
            }
        }
    }
    names
}

fn after_string(text: &str) -> &str {
    let mut characters = text.char_indices();
    let quote = characters.next().map(|(_, quote)| quote);
    let mut escaped = false;
    for (index, character) in characters {
        if !escaped && Some(character) == quote {
            return &text[index + 1..];
        }
        escaped = !escaped && character == '\\';
    }
    ""
}

/// `members` with the text that follows it: `members("galera")`.
fn with_argument(name: &str, after: &str) -> String {
    let argument = after.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let argument = argument.map(|(argument, _)| argument.trim().replace('\'', "\""));
    match argument.filter(|argument| argument.starts_with('"') && !name.contains('.')) {
        Some(argument) => format!("{name}({argument})"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, line: usize) -> Vec<String> {
        trace(text, 0).names[line - 1].iter().cloned().collect()
    }

    #[test]
    fn marks_stand_where_they_change_nothing() {
        let text = "a\n{% if x %}\nb {{ y\n }}c\n{% endif %}\n{# n #}\nd {{ e -}}\nf";
        let marked = trace(text, 7).text;
        let readable = marked.replace(OPEN, "<").replace(CLOSE, ">");
        assert_eq!(
            readable,
            "a<7:1>\n{% if x %}\nb {{ y\n }}c<7:4>\n{% endif %}\n{# n #}\nd {{ e -}}\nf<7:8>"
        );
    }

    #[test]
    fn marks_are_read_and_taken_out() {
        let lines =
            read(&format!("a{OPEN}0:1{CLOSE}\nplain\nb{OPEN}1:2{CLOSE}c{OPEN}0:3{CLOSE}\n"));
        let marks: Vec<_> = lines.iter().map(|line| line.marks.clone()).collect();
        assert_eq!(marks, [vec![(0, 1)], vec![], vec![(1, 2), (0, 3)]]);
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a", "plain", "bc"]);
    }

    #[test]
    fn a_line_uses_its_own_names_and_those_around_it() {
        let text = "{{ variables.a | join(',') }} {{ 'secrets.no' }}\n{% if variables.b %}\nx = {{ sizing.c }}\n{% endif %}\ny\n";
        assert_eq!(names(text, 1), ["variables.a"]);
        assert_eq!(names(text, 3), ["sizing.c", "variables.b"]);
        assert!(names(text, 5).is_empty());
    }

    #[test]
    fn given_names_stand_for_what_gave_them() {
        let text = "{% set url = frontend('galera').url %}\n{% for m in members(\"galera\") %}\n{{ m.address }} {{ url }}\n{% endfor %}\n";
        assert_eq!(names(text, 3), ["frontend(\"galera\")", "members(\"galera\")"]);
    }

    #[test]
    fn strings_and_maps_do_not_end_a_tag() {
        let text = "{{ {\"a\": {\"b\": '}}'}} }}|{% set x = '%}' %}|";
        let found: Vec<&str> = tags(text).into_iter().map(|tag| &text[tag.range]).collect();
        assert_eq!(found, ["{{ {\"a\": {\"b\": '}}'}} }}", "{% set x = '%}' %}"]);
        let raw = "{% raw %}{{ no }}{% endraw %}{{ yes }}";
        let found: Vec<&str> = tags(raw).into_iter().map(|tag| &raw[tag.range]).collect();
        assert_eq!(found, ["{% raw %}", "{% endraw %}", "{{ yes }}"]);
    }
}
